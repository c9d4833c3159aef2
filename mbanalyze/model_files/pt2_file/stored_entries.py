"""The tensors in an archive: their descriptions, and the places of their values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mbanalyze.model_files.pt2_file.format_numbers import DTYPES
from mbanalyze.model_files.pt2_file.nested_archive import NestedArchive
from mbanalyze.model_files.pt2_file.pickle_data import Name, Outside, PickledCall, read_pickle
from mbanalyze.model_files.pt2_file.pt2_graph import TensorMeta, tensor_meta

_MAX_PICKLE_BYTES = 2**25

_STORAGES = {
    "Double": "float64",
    "Float": "float32",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
    "ComplexDouble": "complex128",
    "ComplexFloat": "complex64",
}
"""Type of a storage, as pickles name it -> the name of its element type in torch."""


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A tensor in an archive.

    Attributes:
        is_param: True for a parameter, False for a buffer or constant.
        meta: its description; None if the archive has none.
        place: the folder and the name of its values; None if they cannot be read.
    """

    is_param: bool
    meta: TensorMeta | None
    place: tuple[str, str] | None


def described_entries(folder: str, config: Mapping[str, Any]) -> dict[str, StoredEntry]:
    """Return the tensors that the JSON of a folder describes, by name."""
    return {name: _described(folder, each) for name, each in config["config"].items()}


def pickled_entries(folder: str, archive: NestedArchive) -> dict[str, StoredEntry]:
    """Return the tensors in an archive of `torch.save`, by name. Values of other types are left out.

    Raises:
        ValueError, TypeError, LookupError: its pickle is damaged.
    """
    content = archive.read("data.pkl", _MAX_PICKLE_BYTES + 1)
    if len(content) > _MAX_PICKLE_BYTES:
        raise ValueError(f"the pickle has over {_MAX_PICKLE_BYTES:,} bytes, which is too large")
    values = read_pickle(content)
    if not isinstance(values, dict):
        raise TypeError("the pickle has no names")
    return dict(_pickled(folder, values))


def _described(folder: str, content: Mapping[str, Any]) -> StoredEntry:
    described = content.get("tensor_meta")
    place = (folder, str(content["path_name"])) if content.get("use_pickle") is False else None
    meta = tensor_meta(described) if described else None
    return StoredEntry(content.get("is_param") is True, meta, place)


def _pickled(folder: str, values: Mapping[Any, Any]) -> Iterator[tuple[str, StoredEntry]]:
    for name, value in values.items():
        match value:
            case PickledCall("torch._utils _rebuild_parameter", (data, bool(trained), *_)):
                tensor = _tensor(folder, data, trained=trained)
            case _:
                tensor = _tensor(folder, value, trained=None)
        if tensor and isinstance(name, str):
            yield name, tensor


def _tensor(folder: str, value: Any, *, trained: bool | None) -> StoredEntry | None:
    """The tensor that a call makes; `trained` is None for one that is no parameter."""
    match value:
        case PickledCall("torch._utils _rebuild_tensor_v2", (Outside(key), offset, sizes, strides, *_)):
            dtype = None
        case PickledCall(
            "torch._utils _rebuild_tensor_v3", (Outside(key), offset, sizes, strides, _, _, dtype, *_)
        ):
            pass
        case _:
            return None
    _, storage, entry, *_ = key
    name = _element_type(dtype if isinstance(dtype, Name) else storage)
    numbers = tuple(map(int, (*sizes, *strides, offset)))
    rank = len(sizes)
    meta = TensorMeta(name, numbers[:rank], numbers[rank:-1], numbers[-1], trained is True, numbers[:rank])
    return StoredEntry(trained is not None, meta, (folder, f"data/{entry}"))


def _element_type(named: Name) -> str:
    """The element type that a pickle names, or that of a storage."""
    name = named.text.removeprefix("torch ")
    if name in DTYPES.values():
        return name
    return _STORAGES[name.removesuffix("Storage")]
