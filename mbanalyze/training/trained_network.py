"""The network of a run, whose outputs are the classes of the data."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from mbanalyze.archs import find, name_of
from mbanalyze.archs.options import Architecture, OptionError
from mbanalyze.inputs.parsing import spell_reference
from mbanalyze.inputs.resolution import as_resolution, spell_resolution
from mbanalyze.sources.file_models import is_model_file
from mbanalyze.sources.references import SourceError, is_module, split_given, summarize
from mbanalyze.sources.resolve import Countable, resolve
from mbanalyze.sources.resolved_model import ResolvedModel
from mbanalyze.training.image_set import ImageSet
from mbanalyze.training.loop import TrainingError, inputs


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A network with the size of its images.

    Attributes:
        what: the name of the model without options, or the object that makes it.
        options: its options, with the resolution of a known architecture.
        size: height and width of its images in pixels.
        channels: their channels.
    """

    what: Any
    options: Mapping[str, Any]
    size: tuple[int, int]
    channels: int

    def on(self, batch: int) -> ResolvedModel:
        """Return the network as a model that can be counted, for a number of images."""
        if is_known(self.what):
            return resolve(self.what, batch=batch, **self.options)
        return resolve(self.what, (batch, self.channels, *self.size), **self.options)

    def module(self) -> nn.Module:
        """Return the network with initial weights, on the CPU; a module that the user made is copied.

        Raises:
            SourceError, OptionError: as for `count`.
            TrainingError: the module cannot be copied.
        """
        made = self.on(2).build(True).module
        if is_module(self.what):
            try:
                made = copy.deepcopy(made)
            except Exception as error:
                raise TrainingError(f"{self.name} cannot be copied: {summarize(error)}") from error
        return _channels_last(made, torch.zeros(2, self.channels, *self.size))

    @property
    def name(self) -> str:
        """The name of the model, without options."""
        return self.on(2).name

    @property
    def reference(self) -> str:
        """The name of the model with its options."""
        return spell_reference(self.name, {**self.options})


def _channels_last(module: nn.Module, images: Tensor) -> nn.Module:
    """Lay out the weights of convolutions by channel, which is faster, unless the forward needs the usual layout."""
    module = module.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    try:
        with torch.no_grad():
            module(images)
    except Exception:
        module = module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return module.train()


def is_known(what: object) -> bool:
    """Return True for the name of a known architecture."""
    return isinstance(what, str) and find(what) is not None


def named_options(what: Countable, options: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return a model without the options in its reference, and all of its options.

    An architecture is named, and its options that are not the usual ones are given.

    Raises:
        ParseError, OptionError: an option is malformed or given twice.
        TrainingError: the model is a file.
    """
    what = os.fspath(what) if isinstance(what, os.PathLike) else what
    if isinstance(what, str):
        name, spelled = split_given(what, options)
        if is_model_file(name):
            raise TrainingError(f"{name} is an exported file: give the function that makes the network")
        return name, {**options, **spelled}
    if isinstance(what, Architecture):
        usual = type(what)()
        own = {each.name: getattr(what, each.name) for each in fields(what)}
        own = {name: value for name, value in own.items() if value != getattr(usual, name)}
        return name_of(what), {**own, **options}
    return what, dict(options)


def trained_network(
    what: Any, options: Mapping[str, Any], size: tuple[int, int], channels: int, classes: int
) -> TrainedNetwork:
    """Return a network with one output for each class.

    `num_classes` is set if the model takes it and the user does not give it.

    Raises:
        TrainingError: the user gives another `num_classes`.
        SourceError, OptionError: as for `count`.
    """
    if is_known(what):
        options = {**options, "resolution": spell_resolution(as_resolution(size))}
    plain = TrainedNetwork(what, options, size, channels)
    given = options.get("num_classes", classes)
    if given != classes:
        raise TrainingError(
            f"num_classes is {given}, and the data has {classes} classes: leave num_classes out"
        )
    if "num_classes" in options or is_module(what):
        return plain
    sized = TrainedNetwork(what, {**options, "num_classes": classes}, size, channels)
    try:
        sized.on(2).build(False)
    except (OptionError, SourceError):
        plain.on(2).build(False)  # its error, if it has one, is not about classes
        return plain
    return sized


def require_logits(name: str, module: nn.Module, data: ImageSet, device: str) -> None:
    """Raise `TrainingError` unless a network maps images of the data to one logit for each class."""
    module.eval()
    some = torch.arange(min(2, len(data.train)))
    images = inputs(data, data.train, some, device)
    try:
        with torch.no_grad():
            found: object = module(images)
    except Exception as error:
        raise TrainingError(
            f"{name} does not run on images of {tuple(images.shape)}: {summarize(error)}"
        ) from error
    classes = len(data.classes)
    if not isinstance(found, Tensor):
        raise TrainingError(
            f"{name} returns an object of type {type(found).__name__}, not a tensor of logits"
        )
    if found.shape != (len(some), classes):
        shape = "x".join(map(str, found.shape))
        raise TrainingError(
            f"{name} returns {shape} for {len(some)} images, and the data has {classes} classes"
        )
