"""What a model reference names: how to make the module, and which input it publishes."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from mbanalyze.archs import ARCHS
from mbanalyze.archs.options import OptionError

if TYPE_CHECKING:
    from torch import nn

Input = tuple[tuple[Any, ...], dict[str, Any]]
"""What a forward takes: shapes by position, and by name."""


class SourceError(LookupError):
    """A model reference that leads to no model."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A model that something else defines.

    Attributes:
        make: makes the module; raises what its maker raises.
        published: the input that the source publishes, for a batch, at a resolution or its own; None where it
            publishes none, or where nothing is known of its inputs.
        hint: an input that such a model takes.
    """

    make: Callable[[], nn.Module]
    published: Callable[[int, int | None], Input | None] | None = None
    hint: str = "--input 1,3,224,224"


def refer(text: str, options: Mapping[str, Any]) -> Reference:
    """What `text` names: `torchvision:NAME`, `timm:NAME`, `transformers:CONFIG`, or a factory.

    Raises:
        SourceError: nothing.
    """
    package, _, name = text.partition(":")
    if package in PACKAGES and name:
        return PACKAGES[package](name, options)
    return Reference(_factory(text, options))


def _package(name: str) -> ModuleType:
    """An optional package, imported."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            raise SourceError(f"{name} is not installed: pip install 'mbanalyze[{name}]'") from error
        raise SourceError(f"cannot import {name}: {said(error)}") from error
    except Exception as error:
        raise SourceError(f"cannot import {name}: {said(error)}") from error


def _nearest(package: str, name: str, known: list[str]) -> SourceError:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f": nearest are {', '.join(near)}" if near else ""
    return SourceError(f"{package} has no model {name!r}{hint}")


def _torchvision(name: str, options: Mapping[str, Any]) -> Reference:
    models = _package("torchvision").models
    if name not in models.list_models():
        raise _nearest("torchvision", name, models.list_models())
    builder = models.get_model_builder(name)
    off: dict[str, Any] = {"weights": None}
    if "weights_backbone" in inspect.signature(builder).parameters:
        off["weights_backbone"] = None
    _refuse("torchvision", options, ("weights", "weights_backbone"))

    def fits(weights: Any) -> bool:
        """Whether the model that is built takes the images that these weights were published for."""
        least = weights.meta.get("min_size")
        crop = getattr(weights.transforms, "keywords", {}).get("crop_size")
        return bool(least != (crop, crop) or crop == options.get("image_size", 224))

    def published(batch: int, side: int | None) -> Input | None:
        weights = models.get_model_weights(name)
        known = [*filter(None, [getattr(weights, "DEFAULT", None)]), *weights]
        best = next(filter(fits, known), None) or next(iter(known), None)
        if best is None:
            return None
        settings = getattr(best.transforms, "keywords", {})
        size = side or options.get("image_size") or settings.get("crop_size") or settings.get("resize_size")
        kind = getattr(getattr(best.transforms, "func", None), "__name__", "")
        if size is None or kind not in ("ImageClassification", "SemanticSegmentation", "VideoClassification"):
            return None
        image = tuple(size) if isinstance(size, list | tuple) else (size, size)
        image = image * 2 if len(image) == 1 else image
        frames = (max(16, best.meta.get("min_temporal_size", 16)),) if kind == "VideoClassification" else ()
        return ((batch, 3, *frames, *image),), {}

    return Reference(lambda: builder(**off, **options), published)


def _timm(name: str, options: Mapping[str, Any]) -> Reference:
    timm = _package("timm")
    _refuse("timm", options, ("pretrained",))
    if not timm.is_model(name.partition(".")[0]):
        raise _nearest("timm", name, timm.list_models())
    try:
        card = timm.get_pretrained_cfg(name, allow_unregistered=True)
    except RuntimeError as error:
        raise SourceError(f"timm:{name}: {error}") from error

    def published(batch: int, side: int | None) -> Input | None:
        sizes = getattr(card, "input_size", None)
        if sizes is None:
            return None
        given = side or options.get("img_size") or sizes[1:]
        image = tuple(given) if isinstance(given, list | tuple) else (given, given)
        return ((batch, options.get("in_chans", sizes[0]), *image),), {}

    return Reference(lambda: timm.create_model(name, pretrained=False, **options), published)


def _transformers(name: str, options: Mapping[str, Any]) -> Reference:
    transformers = _package("transformers")
    known = [given for given in dir(transformers) if given.endswith("Config")]
    if name not in known:
        raise _nearest("transformers", name, known)
    try:
        config = getattr(transformers, name)(**options)
    except Exception as error:
        raise SourceError(f"{name} raised {said(error)}") from error

    def published(batch: int, side: int | None) -> Input | None:
        size = getattr(config, "image_size", None)
        if size is None:
            return None
        image = (side, side) if side else tuple(size) if isinstance(size, list | tuple) else (size, size)
        return (), {"pixel_values": (batch, getattr(config, "num_channels", 3), *image)}

    hint = "--input pixel_values=1,3,224,224"
    if hasattr(config, "vocab_size"):
        hint = "--input input_ids=1,128:int64"
    return Reference(lambda: transformers.AutoModel.from_config(config), published, hint)


PACKAGES: dict[str, Callable[[str, Mapping[str, Any]], Reference]] = {
    "torchvision": _torchvision,
    "timm": _timm,
    "transformers": _transformers,
}
"""The packages whose models have names."""


def _refuse(package: str, options: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """No weights are ever downloaded."""
    for name in names:
        if name in options:
            raise OptionError(f"{package} models are counted without weights: leave {name} out")


def _factory(reference: str, options: Mapping[str, Any]) -> Callable[[], nn.Module]:
    """What makes the model of `package.module:factory` or `file.py:factory`, with `options`."""
    place, _, name = reference.rpartition(":")
    if not place or not name:
        near = difflib.get_close_matches(reference, ARCHS, n=3, cutoff=0.4) or list(ARCHS)
        raise SourceError(
            f"unknown model {reference!r}: nearest are {', '.join(near)}; "
            "your own is package.module:factory or file.py:factory"
        )
    found: Any = _import(place)
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except Exception as error:
            raise SourceError(f"{place} has no {name!r}") from error
    if not callable(found):
        raise SourceError(f"{reference} is a {type(found).__name__}, not something to call")

    if options and "torch" in sys.modules and isinstance(found, sys.modules["torch"].nn.Module):
        raise OptionError(f"{reference} is a module, already built: it takes no {', '.join(options)}")

    def make() -> nn.Module:
        from torch import nn

        if isinstance(found, nn.Module) and not options:
            return found
        with _searching(_folder(place)):
            made: nn.Module = found(**options)
        return made

    return make


def _import(place: str) -> ModuleType:
    """The module at a dotted name, with the current directory searched first, or in a file."""
    file = Path(place)
    if place.endswith(".py") and not file.is_file():
        raise SourceError(f"there is no file {place}")
    try:
        with _searching(_folder(place)):
            return _load(file) if place.endswith(".py") else importlib.import_module(place)
    except (Exception, SystemExit) as error:
        raise SourceError(f"cannot import {place}: {said(error)}") from error


def _folder(place: str) -> Path:
    """Where imports look first: beside the file, or where the user is."""
    return Path(place).parent.resolve() if place.endswith(".py") else Path.cwd()


def loaded(file: Path) -> str:
    """The name of the module that a file is loaded as."""
    return f"mbanalyze_source_{file.stem}"


class _Uncached(SourceFileLoader):
    """Compiles a file as it is: bytecode that Python keeps is told from it by whole seconds and size alone."""

    def get_code(self, fullname: str) -> CodeType:
        """The code of the file."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _load(file: Path) -> ModuleType:
    name = loaded(file)
    spec = importlib.util.spec_from_file_location(name, file, loader=_Uncached(name, str(file)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up by name
    spec.loader.exec_module(module)
    return module


@contextmanager
def _searching(folder: Path) -> Iterator[None]:
    """Inside the `with`, imports look in `folder` first."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(str(folder))


def said(error: BaseException) -> str:
    """An exception in one line."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
