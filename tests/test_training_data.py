"""Data sets: digits, folders of images, and one line for each that cannot be used."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from training_nets import Tiny
from witness import torchvision_operators

import mbanalyze
from mbanalyze.training.data_names import DataError
from mbanalyze.training.datasets import load
from mbanalyze.training.stratified import stratified_split

torchvision_operators()


def paint(folder: Path, colours: Iterable[tuple[int, int, int]]) -> None:
    """Write an image of one colour for each colour."""
    folder.mkdir(parents=True)
    for number, colour in enumerate(colours):
        Image.new("RGB", (12, 8), colour).save(folder / f"{number}.png")


def reds_and_greens(folder: Path) -> None:
    """Write five images of each of two classes."""
    paint(folder / "red", [(200 + shade, 0, 0) for shade in range(5)])
    paint(folder / "green", [(0, 200 + shade, 0) for shade in range(5)])


def test_digits_are_split_by_class() -> None:
    """A fifth of each class is for the test, and no image is in both parts: 1,438 and 359 of 1,797."""
    digits = load("digits", (8, 8))

    assert (len(digits.train), len(digits.test)) == (1438, 359)
    whole, test = Counter[int](), Counter(digits.test.labels.tolist())
    whole.update(digits.train.labels.tolist())
    whole.update(test)
    # scikit-learn's own description: about 180 images of each class
    assert sum(whole.values()) == 1797
    assert {label: round(whole[label] / 5) for label in whole} == dict(test)


def test_digits_are_those_of_scikit_learn() -> None:
    """At 8 x 8 pixels, the three channels are the greys of scikit-learn, from 0 to 1."""
    from sklearn.datasets import load_digits

    digits, known = load("digits", (8, 8)), load_digits()
    images = {image.tobytes() for image in (known.images / 16).astype("float32")}

    pixels = digits.train.pixels(torch.arange(50))
    assert pixels.shape == (50, 3, 8, 8)
    assert all(channel.numpy().tobytes() in images for channel in pixels[:, 2].contiguous())
    all_pixels = digits.normalised(digits.train.pixels(torch.arange(1438)))
    assert float(all_pixels.mean()) == pytest.approx(0, abs=1e-4)
    assert float(all_pixels.std()) == pytest.approx(1, abs=1e-4)


def test_digits_are_resized() -> None:
    """Images have the size that is asked for; a resized image keeps its mean."""
    small, large = (load("digits", size).train.pixels(torch.arange(20)) for size in ((8, 8), (32, 24)))

    assert large.shape == (20, 3, 32, 24)
    assert torch.allclose(small.mean((1, 2, 3)), large.mean((1, 2, 3)), atol=0.02)


def test_a_folder_is_split(tmp_path: Path) -> None:
    """One of five images of each class is for the test; the middle of each image is kept."""
    reds_and_greens(tmp_path / "photos")
    images = load(f"folder:{tmp_path / 'photos'}", (4, 4))

    assert images.classes == ("green", "red")
    assert (len(images.train), len(images.test)) == (8, 2)
    assert images.test.labels.tolist() == [0, 1]
    assert images.test.pixels(torch.tensor([1]))[0, :, 2, 2].tolist()[1:] == [0, 0]


def test_a_folder_has_its_own_split(tmp_path: Path) -> None:
    """With folders `train` and `val`, the images of `val` are for the test."""
    reds_and_greens(tmp_path / "train")
    reds_and_greens(tmp_path / "val")

    assert len(load(f"folder:{tmp_path}", (4, 4)).test) == 10


def test_a_network_learns_a_folder(tmp_path: Path) -> None:
    """Red is told from green, and the record has the names of the classes."""
    reds_and_greens(tmp_path / "photos")
    run = mbanalyze.train(
        Tiny, data=f"folder:{tmp_path / 'photos'}", resolution=8, epochs=20, batch=8, lr=0.1, channels=8
    )

    assert run.record.classes == ("green", "red")
    assert run.test_accuracy == 1.0


def _empty(folder: Path) -> None:
    folder.mkdir()


def _unlabelled(folder: Path) -> None:
    paint(folder, [(1, 2, 3)])


def _one_class(folder: Path) -> None:
    paint(folder / "red", [(1, 2, 3)])


def _empty_class(folder: Path) -> None:
    reds_and_greens(folder)
    (folder / "blue").mkdir()


def _corrupt(folder: Path) -> None:
    reds_and_greens(folder)
    (folder / "red" / "7.png").write_bytes((folder / "red" / "0.png").read_bytes()[:40])


def _single_images(folder: Path) -> None:
    for name in ("red", "blue"):
        paint(folder / name, [(1, 2, 3)])


def _differing(folder: Path) -> None:
    reds_and_greens(folder / "train")
    paint(folder / "test" / "red", [(1, 2, 3)])
    paint(folder / "test" / "blue", [(1, 2, 3)])


def _texts(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        (folder / name / "notes.txt").write_text("no image")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (None, "there is no folder"),
        (_empty, "has no images: make one folder of images for each class"),
        (_texts, "has no images: make one folder of images for each class"),
        (_unlabelled, "has images without classes: make one folder of images for each class"),
        (_one_class, "has one class, red: give images of at least two classes"),
        (_empty_class, "blue has no images: add some, or remove the folder"),
        (_corrupt, "7.png is no image that can be read"),
        (_single_images, "has one image of each class, and none is left for the test: add some"),
        (_differing, "have different classes: blue, green"),
    ],
)
def test_folders_without_data(make: object, message: str, tmp_path: Path) -> None:
    """Each fault of a folder is one line with a path, before anything is trained."""
    folder = tmp_path / "photos"
    if callable(make):
        make(folder)

    with pytest.raises(DataError, match=message) as raised:
        mbanalyze.train(Tiny, data=f"folder:{folder}", resolution=8, output=tmp_path / "run")
    assert str(folder) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("data", ["digit", "folder:", "folder", "digits:x", "cifar10:", ""])
def test_unknown_data(data: str) -> None:
    """A name that is no data set is refused, with the names."""
    with pytest.raises(DataError, match="give digits, cifar10, cifar10:PATH or folder:PATH"):
        mbanalyze.train(Tiny, data=data)


def test_cifar10_is_not_downloaded_unless_asked(tmp_path: Path) -> None:
    """A folder without CIFAR-10 is an error that names the option, and stays empty."""
    with pytest.raises(DataError, match="does not have CIFAR-10: --download fetches it"):
        load(f"cifar10:{tmp_path}", (32, 32))
    assert not list(tmp_path.iterdir())


def test_cifar10_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The images of torchvision's loader are read in its order, with its classes."""
    from torchvision import datasets

    class Stored:
        classes = ("airplane", "automobile")

        def __init__(self, root: Path, *, train: bool, download: bool) -> None:
            assert (root, download) == (tmp_path, False)
            self.data = np.full((4 if train else 2, 32, 32, 3), 51, "uint8")
            self.targets = [0, 1, 0, 1][: len(self.data)]

    monkeypatch.setattr(datasets, "CIFAR10", Stored)
    images = load(f"cifar10:{tmp_path}", (16, 16))

    assert (len(images.train), len(images.test), images.classes) == (4, 2, Stored.classes)
    pixels = images.test.pixels(torch.tensor([1]))
    assert pixels.shape == (1, 3, 16, 16)
    assert torch.allclose(pixels, torch.tensor(0.2))


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without scikit-learn, the error says how to install it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(DataError, match=r"scikit-learn is not installed: pip install 'mbanalyze\[train\]'"):
        mbanalyze.train(Tiny)


def test_small_classes_have_a_test_image() -> None:
    """A fifth of two images is none; one is held out, but not the only image of a class."""
    train, test = stratified_split([0, 0, 1, 1, 2])

    assert sorted([*train, *test]) == [0, 1, 2, 3, 4]
    assert len(test) == 2
    assert 4 in train
