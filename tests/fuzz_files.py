"""Mutations of model files, for tests of what a damaged file does; the same seed gives the same files."""

from __future__ import annotations

import io
import json
import random
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from exported_files import program_of
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from onnx import ModelProto

from mbanalyze import count
from mbanalyze.archs.options import OptionError
from mbanalyze.inputs.typed import InputError
from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.trace.forward_errors import TraceError

Mutation = Callable[[random.Random, bytes, Sequence[bytes]], bytes]
"""A function from a generator, the content of a file and those of others to a damaged content."""

NUMBERS = (0, 1, -1, 2, 3, 7, 255, 2**16, 2**31 - 1, 2**31, -(2**31), 2**40, 10**18, 2**63 - 1, -(2**63))
"""Sizes, axes and counts at which arithmetic may fail."""

TEXTS = ("", "x", "y", "w", "/", "..", "../../etc/passwd", "\0", "é", "ai.onnx", "local", "a" * 1000)
"""Names that a file may have."""

OPERATORS = (
    *(
        "Conv",
        "ConvTranspose",
        "MatMul",
        "Gemm",
        "Add",
        "Relu",
        "Reshape",
        "Concat",
        "Slice",
        "Gather",
        "Split",
    ),
    *(
        "Resize",
        "Pad",
        "Tile",
        "Expand",
        "Range",
        "ConstantOfShape",
        "Constant",
        "Shape",
        "If",
        "Loop",
        "Scan",
    ),
    *("MaxPool", "AveragePool", "GlobalAveragePool", "Softmax", "LSTM", "GRU", "TopK", "NonZero", "Einsum"),
    *("SequenceAt", "SplitToSequence", "ConcatFromSequence", "DepthToSpace", "SpaceToDepth", "Transpose"),
    *(
        "QuantizeLinear",
        "DequantizeLinear",
        "QLinearConv",
        "ConvInteger",
        "QLinearMatMul",
        "BatchNormalization",
    ),
    *("LayerNormalization", "GroupNormalization", "ReduceMean", "Squeeze", "Unsqueeze", "Flatten", "Where"),
    *(
        "Cast",
        "Dropout",
        "Identity",
        "Size",
        "OneHot",
        "GridSample",
        "RoiAlign",
        "NonMaxSuppression",
        "Col2Im",
    ),
    *(
        "Attention",
        "DFT",
        "STFT",
        "CenterCropPad",
        "DeformConv",
        "MaxUnpool",
        "LpPool",
        "Upsample",
        "Compress",
    ),
)
"""Operators that another operator may turn into."""


def flip(generator: random.Random, content: bytes, _: Sequence[bytes]) -> bytes:
    """Change some bytes."""
    changed = bytearray(content)
    for _each in range(generator.choice((1, 1, 2, 8))):
        changed[generator.randrange(len(changed))] = generator.randrange(256)
    return bytes(changed)


def cut(generator: random.Random, content: bytes, _: Sequence[bytes]) -> bytes:
    """Leave out some bytes: a part, or the end."""
    start, stop = sorted((generator.randrange(len(content)), generator.randrange(len(content))))
    return content[:start] + (content[stop:] if generator.random() < 0.5 else b"")


def insert(generator: random.Random, content: bytes, _: Sequence[bytes]) -> bytes:
    """Add random bytes."""
    place = generator.randrange(len(content))
    return content[:place] + generator.randbytes(generator.choice((1, 2, 16, 300))) + content[place:]


def splice(generator: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Put a part of another file in the place of a part."""
    other = generator.choice(others)
    start, stop = sorted((generator.randrange(len(content)), generator.randrange(len(content))))
    first, last = sorted((generator.randrange(len(other)), generator.randrange(len(other))))
    return content[:start] + other[first:last] + content[stop:]


BYTES: tuple[Mutation, ...] = (flip, flip, cut, insert, splice)
"""Mutations of any file."""


def edit(generator: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Change some fields of a file of ONNX: sizes, names, types, attributes, operators and whole messages."""
    model, other = ModelProto.FromString(content), ModelProto.FromString(generator.choice(others))
    for _ in range(generator.choice((1, 1, 1, 2, 4))):
        messages = list(_messages(model))
        chosen = generator.choice(messages)
        if generator.random() < 0.3:
            nodes = [message for message in messages if message.DESCRIPTOR.name == "NodeProto"]
            chosen = generator.choice(nodes or messages)
        _edit_field(generator, chosen, messages + list(_messages(other)))
    try:
        return bytes(model.SerializeToString())
    except (DecodeError, ValueError):
        return content


def _messages(message: Message) -> Iterator[Message]:
    """A message and all messages in it."""
    yield message
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for each in value if field.is_repeated else (value,):
                yield from _messages(each)


def _edit_field(generator: random.Random, message: Any, pool: Sequence[Message]) -> None:
    """Change one field of a message; `pool` has messages that can take the place of others."""
    fields = [field for field, _ in message.ListFields()]
    if not fields or generator.random() < 0.2:
        fields = list(message.DESCRIPTOR.fields)
    field = generator.choice(fields)
    if field.is_repeated:
        _edit_list(generator, getattr(message, field.name), field, pool)
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        _edit_message(generator, message, field, pool)
    elif generator.random() < 0.15:
        message.ClearField(field.name)
    else:
        setattr(message, field.name, _scalar(generator, field, pool))


def _edit_message(generator: random.Random, message: Any, field: Any, pool: Sequence[Message]) -> None:
    same = [each for each in pool if each.DESCRIPTOR is field.message_type]
    if same and generator.random() < 0.7:
        copy = type(generator.choice(same))()
        copy.CopyFrom(generator.choice(same))
        getattr(message, field.name).CopyFrom(copy)
    else:
        message.ClearField(field.name)


def _edit_list(generator: random.Random, values: Any, field: Any, pool: Sequence[Message]) -> None:
    """Remove, repeat, exchange, add or change elements of a repeated field."""
    place, way = generator.randrange(len(values)) if len(values) else 0, generator.randrange(5)
    is_message = field.type == FieldDescriptor.TYPE_MESSAGE
    if way == 0 and len(values):
        del values[place]
    elif way == 1 and len(values) > 1:
        order = generator.sample(range(len(values)), len(values))
        elements = [_copied(values[i]) for i in order]
        del values[:]
        values.extend(elements)
    elif is_message:
        same = [each for each in pool if each.DESCRIPTOR is field.message_type]
        if same:
            values.append(_copied(generator.choice(same)))
    elif way == 2 or not len(values):
        values.append(_scalar(generator, field, pool))
    else:
        values[place] = _scalar(generator, field, pool)


def _copied(value: Any) -> Any:
    if not isinstance(value, Message):
        return value
    copy = type(value)()
    copy.CopyFrom(value)
    return copy


def _scalar(generator: random.Random, field: Any, pool: Sequence[Message]) -> Any:
    """A value that a field may have."""
    if field.type == FieldDescriptor.TYPE_STRING:
        if field.name == "op_type":
            return generator.choice(OPERATORS)
        names = [name for each in pool for name in (*getattr(each, "output", ()), getattr(each, "name", ""))]
        texts = [name for name in names if isinstance(name, str)]
        return generator.choice(texts if texts and generator.random() < 0.7 else TEXTS)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return generator.choice((b"", b"SAME_UPPER", b"linear", b"...ij,jk->", generator.randbytes(24)))
    if field.type in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE):
        return generator.choice((0.0, 1.0, -1.0, 0.5, 1e30, float("inf"), float("nan")))
    if field.type == FieldDescriptor.TYPE_ENUM:
        return generator.choice(sorted(field.enum_type.values_by_number))
    limit = 31 if field.type == FieldDescriptor.TYPE_INT32 else 63
    unsigned = field.type in (FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_UINT32)
    fitting = [n for n in NUMBERS if -(2**limit) <= n < 2**limit and not (unsigned and n < 0)]
    return generator.choice((*fitting, generator.randrange(20)))


def edit_program(generator: random.Random, content: bytes, _: Sequence[bytes]) -> bytes:
    """Change the program in a file of `torch.export.save`, or the description of its weights."""
    entries = _entries(content)
    chosen = generator.choice([name for name in entries if name.endswith((".json", ".pt"))])
    if generator.random() < 0.7:
        chosen = program_of(entries)
    if chosen.endswith(".pt"):
        entries[chosen] = _edit_weights(generator, entries[chosen])
    else:
        document = json.loads(entries[chosen])
        for _each in range(generator.choice((1, 1, 2, 4))):
            _edit_document(generator, document)
        entries[chosen] = json.dumps(document).encode()
    if generator.random() < 0.05:
        del entries[generator.choice(list(entries))]
    return _archive(entries)


def _edit_weights(generator: random.Random, content: bytes) -> bytes:
    """Change the pickle in an archive of `torch.save`, or the archive."""
    mutation = generator.choice(BYTES)
    if generator.random() < 0.2:
        return mutation(generator, content, [content])
    entries = _entries(content)
    chosen = next(name for name in entries if name.endswith("data.pkl"))
    entries[chosen] = mutation(generator, entries[chosen], [entries[chosen]])
    return _archive(entries)


def _entries(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _archive(entries: dict[str, bytes]) -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return found.getvalue()


def _edit_document(generator: random.Random, document: Any) -> None:
    """Change one value of a document of JSON: replace, remove, repeat or exchange it."""
    places = list(_places(document))
    if not places:
        return
    parent, key = generator.choice(places)
    way = generator.randrange(8)
    if way == 0:
        del parent[key]
    elif way == 1 and isinstance(parent, list):
        parent.append(parent[key])
    elif way == 2:
        other, name = generator.choice(places)
        parent[key] = json.loads(json.dumps(other[name]))
    elif isinstance(parent[key], str):
        texts = [each[name] for each, name in places if isinstance(each[name], str)]
        parent[key] = generator.choice((*TEXTS, *texts))
    else:
        parent[key] = generator.choice((*NUMBERS, None, True, 1.5, "x", [], {}))


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Each container of a document with each of its keys."""
    keys = list(document) if isinstance(document, dict) else range(len(document))
    for key in keys:
        yield document, key
        if isinstance(document[key], (dict, list)):
            yield from _places(document[key])


def mutated(
    seeds: Sequence[bytes], mutations: Sequence[Mutation], number: int, seed: int = 0
) -> Iterator[tuple[int, bytes]]:
    """Yield damaged files with their numbers; a number and `seed` give the same file each time."""
    for each in range(number):
        generator = random.Random(f"{seed}/{each}")
        mutation, content = generator.choice(mutations), generator.choice(seeds)
        yield each, mutation(generator, content, seeds)


def printed(path: str) -> str:
    """Return the report of a file as text."""
    return str(count(path))


def outcome(path: Path, read: Callable[[str], object] = printed) -> str:
    """Read a file, and return `report` or the name of the error that ends in exit code 2; others are raised."""
    try:
        read(str(path))
    except (ModelFileError, InputError, OptionError, TraceError) as error:
        return type(error).__name__ if "\n" not in str(error) else f"several lines: {error}"
    return "report"


def fuzz(
    folder: Path, suffix: str, files: Iterator[tuple[int, bytes]], read: Callable[[str], object] = printed
) -> tuple[Counter[str], float]:
    """Read damaged files, and return how often each outcome was met and the longest seconds that a file took.

    Raises:
        AssertionError: a file ends in another error; the message has its number.
    """
    found: Counter[str] = Counter()
    longest = 0.0
    path = folder / f"damaged{suffix}"
    for number, content in files:
        path.write_bytes(content)
        start = time.perf_counter()
        try:
            found[outcome(path, read)] += 1
        except Exception as error:
            raise AssertionError(f"file {number} raises {type(error).__name__}: {error}") from error
        longest = max(longest, time.perf_counter() - start)
    return found, longest
