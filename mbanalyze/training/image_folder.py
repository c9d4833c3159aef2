"""A folder of images: one folder for each class, in `train` and `test`, or split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from mbanalyze.sources.references import summarize
from mbanalyze.training.data_names import DataError
from mbanalyze.training.extra import import_extra
from mbanalyze.training.image_set import ImageSet
from mbanalyze.training.stratified import stratified_split

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""The mean and the standard deviation of ImageNet, by channel, which are usual for photographs."""
MOST_KEPT = 2**31
"""The largest number of bytes of decoded images that are kept in memory."""
_LAYOUT = "make one folder of images for each class, such as PATH/cat/1.png"


@dataclass(frozen=True, slots=True, eq=False)
class FileImages:
    """Images in files, decoded when they are first read.

    Attributes:
        paths: the files.
        labels: as in `Images`.
        size: height and width in pixels: the shorter side is resized, and the middle is kept.
        kept: the decoded images by index, if all of them fit into `MOST_KEPT`.
    """

    paths: Sequence[Path]
    labels: Tensor
    size: tuple[int, int]
    kept: dict[int, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.paths)

    def pixels(self, indices: Tensor) -> Tensor:
        """Return some images, as `Images` does.

        Raises:
            DataError: a file is no image.
        """
        return torch.stack([self._image(index) for index in indices.tolist()]).to(torch.float32) / 255

    def decode(self) -> None:
        """Decode every image once; error as for `pixels`."""
        for index in range(len(self)):
            self._image(index)

    def _image(self, index: int) -> Tensor:
        """An image as bytes of shape `[3, h, w]`."""
        found = self.kept.get(index)
        if found is None:
            found = _decoded(self.paths[index], self.size)
            if len(self) * found.numel() <= MOST_KEPT:
                self.kept[index] = found
        return found


def load_folder(name: str, folder: Path, size: tuple[int, int]) -> ImageSet:
    """Return the images of a folder at a size in pixels.

    The folders `train` and `test`, or `train` and `val`, hold the classes. Without them, the classes are in the
    folder itself, and a fixed part of each class is for the test. Every image is decoded once.

    Raises:
        DataError: torchvision is not installed, the folder has fewer than two classes, or no images, or a file
            is no image.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}: {_LAYOUT}")
    classes, parts = _parts(folder)
    train_images, test_images = [
        FileImages([path for path, _ in part], torch.tensor([label for _, label in part]), size)
        for part in parts
    ]
    for each in (train_images, test_images):
        each.decode()
    return ImageSet(name, classes, train_images, test_images, MEAN, DEVIATION)


_Files = list[tuple[Path, int]]
"""The files of a part, each with its label."""


def _parts(folder: Path) -> tuple[tuple[str, ...], tuple[_Files, _Files]]:
    """The classes, and the files for training and for the test."""
    given = [folder / name for name in ("train", "test", "val") if (folder / name).is_dir()]
    if folder / "train" not in given or len(given) == 1:
        classes, files = _labelled(folder)
        train, test = stratified_split([label for _, label in files])
        if not test:
            raise DataError(f"{folder} has one image of each class, and none is left for the test: add some")
        return classes, ([files[index] for index in train], [files[index] for index in test])
    classes, train_files = _labelled(given[0])
    other, test_files = _labelled(given[1])
    if other != classes:
        differ = ", ".join(sorted({*classes} ^ {*other}))
        raise DataError(f"{given[0]} and {given[1]} have different classes: {differ}")
    return classes, (train_files, test_files)


def _labelled(folder: Path) -> tuple[tuple[str, ...], _Files]:
    """The classes of a folder and its images, as torchvision finds them."""
    datasets = import_extra("torchvision.datasets")
    if not any(each.is_dir() for each in folder.iterdir()):
        loose = any(each.suffix.lower() in datasets.folder.IMG_EXTENSIONS for each in folder.iterdir())
        raise DataError(f"{folder} has {'images without classes' if loose else 'no images'}: {_LAYOUT}")
    found = datasets.ImageFolder(folder, allow_empty=True)
    classes: list[str] = found.classes
    if not found.samples:
        raise DataError(f"{folder} has no images: {_LAYOUT}")
    if len(classes) == 1:
        raise DataError(f"{folder} has one class, {classes[0]}: give images of at least two classes")
    if empty := [name for label, name in enumerate(classes) if label not in set(found.targets)]:
        raise DataError(f"{folder / empty[0]} has no images: add some, or remove the folder")
    return tuple(classes), [(Path(path), label) for path, label in found.samples]


def _decoded(path: Path, size: tuple[int, int]) -> Tensor:
    """The middle of an image, resized: bytes of shape `[3, h, w]`."""
    image, operations = import_extra("PIL.Image"), import_extra("PIL.ImageOps")
    height, width = size
    try:
        with image.open(path) as opened:
            fitted = operations.fit(opened.convert("RGB"), (width, height), image.Resampling.BILINEAR)
    except Exception as error:
        raise DataError(
            f"{path} is no image that can be read ({summarize(error)}): mend or remove it"
        ) from error
    stored = torch.frombuffer(bytearray(fitted.tobytes()), dtype=torch.uint8)
    return stored.view(height, width, 3).permute(2, 0, 1).contiguous()
