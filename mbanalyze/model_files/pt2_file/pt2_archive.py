"""The archive of a file of `torch.export.save`: a zip whose entries are read within limits, and never unpickled."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.model_files.file_formats import PT2, other_content
from mbanalyze.model_files.pt2_file.damage import EXPORT_AGAIN, reading
from mbanalyze.model_files.pt2_file.nested_archive import NestedArchive
from mbanalyze.model_files.pt2_file.stored_entries import StoredEntry, described_entries, pickled_entries
from mbanalyze.model_files.regular_file import opened

MAX_JSON_BYTES = 2**27
"""The largest text that is read."""

_PROGRAM = re.compile(r"(?:(?P<root>[^/]+)/)?models/(?P<name>[^/]+)\.json")
_OLD_PROGRAM = "serialized_exported_program.json"
"""The program in files of PyTorch 2.5 to 2.7, whose weights are archives of `torch.save` in the archive."""

_OLD_FOLDERS = {"weights": "serialized_state_dict.pt", "constants": "serialized_constants.pt"}
"""The archives of its weights. PyTorch 2.8 has such archives too, in the folders of later releases."""

_EXPORT = "export the model with torch.export.save"


class Pt2Archive:
    """The entries of a file.

    Attributes:
        path: the file, as given.
        size: the bytes of the file.
        weights, constants: the tensors of the module that are saved with it, and others, by name.
    """

    def __init__(self, path: Path) -> None:
        """Find the program in a file.

        Raises:
            ModelFileError: the file is missing, damaged, or of another format.
        """
        self.path = path
        with opened(path) as (file, self.size):
            reason = other_content(file.read(8), PT2)
        if reason:
            raise ModelFileError(f"{path} {reason}")
        self._entries = self._listed()
        self._program, self._root, name = self._found()
        self._nested: dict[str, NestedArchive] = {}
        self.weights = self._stored("weights", name)
        self.constants = self._stored("constants", name)

    @cached_property
    def program(self) -> Any:
        """The program, as JSON."""
        return self._json(self._program)

    def tensor_bytes(self, folder: str, entry: str, size: int) -> bytearray:
        """Return the first `size` bytes of a stored tensor.

        Raises:
            ModelFileError: there are fewer bytes.
        """
        if folder in self._nested:
            with reading(f"{self.path}: {folder}"):
                content = self._nested[folder].read(entry, size)
        else:
            content = self._read(f"{self._root}data/{folder}/{entry}", size)
        if len(content) < size:
            raise ModelFileError(f"{self.path} is truncated: {entry} lacks values: {EXPORT_AGAIN}")
        return bytearray(content)

    def _stored(self, folder: str, name: str) -> Mapping[str, StoredEntry]:
        """The tensors in a folder of a program, by name."""
        config = f"{self._root}data/{folder}/{name}_{folder}_config.json"
        if name and config in self._entries:
            content = self._json(config)
            with reading(f"{self.path}: {config}"):
                return described_entries(folder, content)
        pickled = f"{self._root}data/{folder}/{name}.pt" if name else _OLD_FOLDERS[folder]
        info = self._entries.get(pickled)
        if info is None or not info.file_size:
            return {}
        with reading(f"{self.path}: {info.filename}"):
            self._nested[info.filename] = NestedArchive(self.path, info)
            return pickled_entries(info.filename, self._nested[info.filename])

    def _listed(self) -> Mapping[str, zipfile.ZipInfo]:
        if not zipfile.is_zipfile(self.path):
            raise ModelFileError(f"{self.path} is truncated: {EXPORT_AGAIN}")
        with reading(str(self.path)), zipfile.ZipFile(self.path) as file:
            return {info.filename: info for info in file.infolist()}

    def _found(self) -> tuple[str, str, str]:
        """The entry of the program, the folder of all entries with a slash, and the program's name; "" for older files."""
        if _OLD_PROGRAM in self._entries:
            return _OLD_PROGRAM, "", ""
        matches = [match for name in self._entries if (match := _PROGRAM.fullmatch(name))]
        chosen = [match for match in matches if match["name"] == "model"] or matches
        if not chosen:
            raise ModelFileError(self._refusal())
        if len(chosen) > 1:
            names = ", ".join(sorted(match["name"] for match in chosen)[:8])
            raise ModelFileError(f"{self.path} holds several programs ({names}): save one in a file")
        root = chosen[0]["root"]
        return chosen[0][0], f"{root}/" if root else "", chosen[0]["name"]

    def _refusal(self) -> str:
        """The error for an archive without a program."""
        last = {name.rpartition("/")[2] for name in self._entries}
        if "constants.pkl" in last:
            return f"{self.path} is a TorchScript file, which holds code: {_EXPORT} instead"
        if "data.pkl" in last:
            return f"{self.path} is a file of torch.save, which can run any code when it is read: {_EXPORT} instead"
        if any("/data/aotinductor/" in name for name in self._entries):
            return f"{self.path} holds compiled code and no program: {_EXPORT} instead"
        return f"{self.path} holds no exported program: {_EXPORT}"

    def _json(self, entry: str) -> Any:
        if self._entries[entry].file_size > MAX_JSON_BYTES:
            raise ModelFileError(
                f"{self.path}: {entry} has over {MAX_JSON_BYTES:,} bytes, which is too large"
            )
        content = self._read(entry, MAX_JSON_BYTES + 1)
        if len(content) > MAX_JSON_BYTES:
            raise ModelFileError(f"{self.path}: {entry} is larger than it states: {EXPORT_AGAIN}")
        with reading(f"{self.path}: {entry}"):
            return json.loads(content)

    def _read(self, entry: str, size: int) -> bytes:
        """The first bytes of an entry, at most `size`."""
        with (
            reading(f"{self.path}: {entry}"),
            zipfile.ZipFile(self.path) as file,
            file.open(self._entries[entry]) as content,
        ):
            return content.read(size)
