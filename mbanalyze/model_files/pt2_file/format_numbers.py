"""The numbers by which the format names element types, layouts and memory formats."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_DTYPES = "uint8 int8 int16 int32 int64 float16 float32 float64 complex32 complex64 complex128 bool bfloat16"
_LATER_DTYPES = (
    "uint16 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu uint32 uint64"
)

DTYPES: Mapping[int, str] = MappingProxyType(
    dict(enumerate(_DTYPES.split(), 1)) | dict(enumerate(_LATER_DTYPES.split(), 28))
)
"""Number -> the name of an element type in torch."""

LAYOUTS: Mapping[int, str] = MappingProxyType(
    {1: "sparse_coo", 2: "sparse_csr", 3: "sparse_csc", 4: "sparse_bsr", 5: "sparse_bsc", 7: "strided"}
)
"""Number -> the name of a layout in torch."""

MEMORY_FORMATS: Mapping[int, str] = MappingProxyType(
    {1: "contiguous_format", 2: "channels_last", 3: "channels_last_3d", 4: "preserve_format"}
)
"""Number -> the name of a memory format in torch."""
