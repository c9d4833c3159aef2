"""Models that other packages or the user's own code define, and the inputs that they publish."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import warnings
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, TypeGuard

from mbanalyze.archs import NAMES
from mbanalyze.archs.options import OptionError
from mbanalyze.inputs.choices import nearest, nearest_are
from mbanalyze.inputs.parsing import split_reference
from mbanalyze.inputs.resolution import Resolution
from mbanalyze.inputs.shape import Shape
from mbanalyze.sources.deferred_compiler import compiler_deferred
from mbanalyze.sources.definitions import split_factory
from mbanalyze.sources.unknown import check_arguments, known_factories, missing_file, unknown_model

if TYPE_CHECKING:
    from mbanalyze.trace.tracer import Module

Input = tuple[tuple[Any, ...], dict[str, Any]]
"""The positional and keyword arguments of a forward, as shapes."""


class SourceError(LookupError):
    """A model reference that names no model, or a model that cannot be made."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A model that other code defines.

    Attributes:
        make: makes the module; raises any error of the code that makes it.
        published: returns the input that the package publishes, for a batch size and a resolution or None.
            The result, or `published` itself, is None if no input is known.
        hint: an example of an input, for an error message.
    """

    make: Callable[[], Module]
    published: Callable[[int, Resolution | None], Input | None] | None = None
    hint: str = "--input 1,3,224,224"


def split_given(reference: str, given: Container[str]) -> tuple[str, dict[str, Any]]:
    """Split a model reference into its name and options, as `split_reference` does.

    Raises:
        ParseError: an option is malformed.
        OptionError: an option is also among those `given` as arguments.
    """
    name, options = split_reference(reference)
    for option in options:
        if option in given:
            raise OptionError(f"{option} is given twice")
    return name, options


def look_up(name: str, options: Mapping[str, Any]) -> Reference:
    """Find `torchvision:NAME`, `timm:NAME`, `transformers:CONFIG`, or a factory.

    Raises:
        SourceError: the name is unknown.
        OptionError: the options are not possible for this model.
    """
    package, _, own = name.partition(":")
    if package in PACKAGES and own:
        return PACKAGES[package](own, options)
    return Reference(_factory(name, options))


def import_package(name: str) -> ModuleType:
    """Import an optional package.

    Raises:
        SourceError: it is not installed, or its import fails.
    """
    try:
        with without_image_warning(), compiler_deferred():
            return importlib.import_module(name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            raise SourceError(f"{name} is not installed: pip install 'mbanalyze[{name}]'") from error
        raise SourceError(f"cannot import {name}: {summarize(error)}") from error


@contextmanager
def without_image_warning() -> Iterator[None]:
    """Inside the `with` block, torchvision does not warn that it lacks its own reader of image files, which is not used."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Failed to load image Python extension", UserWarning)
        yield


def missing_model(package: str, name: str, known: list[str]) -> SourceError:
    """Return the error for a name that a package does not have, with the nearest names."""
    near = nearest_are(nearest(name, known))
    return SourceError(f"{package} has no model {name!r}{': ' * bool(near)}{near}")


def _torchvision(name: str, options: Mapping[str, Any]) -> Reference:
    models = import_package("torchvision").models
    if name not in models.list_models():
        raise missing_model("torchvision", name, models.list_models())
    builder = models.get_model_builder(name)
    names = ("weights", "weights_backbone")
    off = {given: None for given in names if given in inspect.signature(builder).parameters}
    _refuse("torchvision", options, names)

    def fits(weights: Any) -> bool:
        """True if the model takes images of the size that these weights were published for."""
        least = weights.meta.get("min_size")
        crop = getattr(weights.transforms, "keywords", {}).get("crop_size")
        return bool(least != (crop, crop) or crop == options.get("image_size", 224))

    def published(batch: int, image: Resolution | None) -> Input | None:
        """Return the input of the published weights that fit; None if they have none, or none of images."""
        weights = models.get_model_weights(name)
        known = [*filter(None, [getattr(weights, "DEFAULT", None)]), *weights]
        best = next(filter(fits, known), None) or next(iter(known), None)
        if best is None:
            return None
        settings = getattr(best.transforms, "keywords", {})
        size = image or options.get("image_size") or settings.get("crop_size") or settings.get("resize_size")
        kind = getattr(getattr(best.transforms, "func", None), "__name__", "")
        if size is None or kind not in ("ImageClassification", "SemanticSegmentation", "VideoClassification"):
            return None
        frames = (max(16, best.meta.get("min_temporal_size", 16)),) if kind == "VideoClassification" else ()
        return ((batch, 3, *frames, *_sides(size)),), {}

    return Reference(lambda: builder(**off, **options), published)


def _timm(name: str, options: Mapping[str, Any]) -> Reference:
    timm = import_package("timm")
    _refuse("timm", options, ("pretrained",))
    if not timm.is_model(name.partition(".")[0]):
        raise missing_model("timm", name, timm.list_models())
    try:
        card = timm.get_pretrained_cfg(name, allow_unregistered=True)
    except RuntimeError as error:
        raise SourceError(f"timm:{name}: {error}") from error

    def published(batch: int, image: Resolution | None) -> Input | None:
        sizes = getattr(card, "input_size", None)
        if sizes is None:
            return None
        size = image or options.get("img_size") or sizes[1:]
        return ((batch, options.get("in_chans", sizes[0]), *_sides(size)),), {}

    return Reference(lambda: timm.create_model(name, pretrained=False, **options), published)


def _transformers(name: str, options: Mapping[str, Any]) -> Reference:
    transformers = import_package("transformers")
    known = [given for given in dir(transformers) if given.endswith("Config")]
    if name not in known:
        raise missing_model("transformers", name, known)
    try:
        config = getattr(transformers, name)(**options)
    except Exception as error:
        raise SourceError(f"{name} raised {summarize(error)}") from error

    def published(batch: int, image: Resolution | None) -> Input | None:
        size = getattr(config, "image_size", None)
        if size is None:
            return None
        return (), {"pixel_values": Shape(batch, getattr(config, "num_channels", 3), *_sides(image or size))}

    example = "input_ids=1,128:int64" if hasattr(config, "vocab_size") else "pixel_values=1,3,224,224"
    return Reference(lambda: transformers.AutoModel.from_config(config), published, f"--input {example}")


PACKAGES: dict[str, Callable[[str, Mapping[str, Any]], Reference]] = {
    "torchvision": _torchvision,
    "timm": _timm,
    "transformers": _transformers,
}
"""The packages whose models have names, and the function that looks a name up."""


def _sides(size: Any) -> tuple[Any, ...]:
    """The sides of an image, from one number for all or a list."""
    sides = tuple(size) if isinstance(size, list | tuple) else (size,)
    return sides * 2 if len(sides) == 1 else sides


def _refuse(package: str, options: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Raise `OptionError` for an option that would download weights."""
    for name in names:
        if name in options:
            raise OptionError(f"{package} models are counted without weights: leave {name} out")


def is_module(given: object) -> TypeGuard[Module]:
    """Return True if `given` is a module; without torch loaded, nothing is."""
    return "torch" in sys.modules and isinstance(given, sys.modules["torch"].nn.Module)


def _factory(reference: str, options: Mapping[str, Any]) -> Callable[[], Module]:
    """A function that makes the module of `package.module:factory` or `file.py:factory`."""
    known = reference.rpartition("@")[0]
    if known in NAMES:
        raise SourceError(f"malformed reference {reference!r}: write options as {known}@key=value,key=value")
    found = load_function(reference)
    if options and is_module(found):
        raise OptionError(
            f"{reference} is already built and takes no options: leave out {', '.join(options)}"
        )

    check_arguments(reference, found, options)

    def make() -> Module:
        if is_module(found):
            return found
        with _searching(_folder(split_factory(reference)[0])):
            made: Module = found(**options)
        return made

    return make


def load_function(reference: str) -> Any:
    """Return the function, class or module that `package.module:name` or `file.py:name` names.

    Raises:
        SourceError: the reference is malformed, names nothing that can be called, or its import fails.
    """
    place, name = split_factory(reference)
    if place in PACKAGES and not name:
        raise SourceError(f"{place} is a package: name a model in it, as in {place}:NAME")
    if not place or not name or place.endswith(":"):
        raise SourceError(unknown_model(reference, place))
    module = found = _import(place)
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except Exception as error:
            raise SourceError(f"{place} has no {name!r}{known_factories(module, name)}") from error
    if not callable(found):
        raise SourceError(f"{reference} is of type {type(found).__name__}, not a function, class or module")
    return found


def _import(place: str) -> ModuleType:
    """The module in a file, or at a dotted name; imports search the current directory first."""
    file = Path(place)
    if place.endswith(".py") and not file.is_file():
        raise SourceError(missing_file(place))
    try:
        with _searching(_folder(place)), compiler_deferred():
            return _load(file) if place.endswith(".py") else importlib.import_module(place)
    except (Exception, SystemExit) as error:
        raise SourceError(f"cannot import {place}: {summarize(error)}") from error


def _folder(place: str) -> Path:
    """The folder that imports search first: the file's own, or the current directory."""
    return Path(place).parent.resolve() if place.endswith(".py") else Path.cwd()


def module_name(file: Path) -> str:
    """Return the name in `sys.modules` of the module that a file is loaded as."""
    return f"mbanalyze_source_{file.stem}"


class _Uncached(SourceFileLoader):
    """A loader that ignores cached bytecode, which misses changes within a second that keep the size."""

    def get_code(self, fullname: str) -> CodeType:
        """Compile the file."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _load(file: Path) -> ModuleType:
    name = module_name(file)
    spec = importlib.util.spec_from_file_location(name, file, loader=_Uncached(name, str(file)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look modules up by name
    spec.loader.exec_module(module)
    return module


@contextmanager
def _searching(folder: Path) -> Iterator[None]:
    """Inside the `with` block, imports search `folder` first."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(str(folder))


def summarize(error: BaseException) -> str:
    """Return the type and first line of an exception's message."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
