"""The 1,797 handwritten digits of scikit-learn, in greys of 8 x 8 pixels."""

from __future__ import annotations

import torch

from mbanalyze.training.extra import import_extra
from mbanalyze.training.image_set import ImageSet, TensorImages
from mbanalyze.training.stratified import stratified_split

MEAN, DEVIATION = (0.3046834170818329,), (0.3757294714450836,)
"""The mean and the standard deviation of the training images, from 0 to 1."""
WHITE = 16
"""The largest value of a pixel."""


def load_digits(size: tuple[int, int], channels: int) -> ImageSet:
    """Return the digits at a size in pixels; the split into training and test images is fixed.

    Raises:
        DataError: scikit-learn is not installed.
    """
    data = import_extra("sklearn.datasets").load_digits()
    stored = torch.tensor(data.images, dtype=torch.float32)[:, None]
    labels = torch.tensor(data.target, dtype=torch.int64)
    train, test = stratified_split(labels.tolist())
    train_images, test_images = [
        TensorImages(stored[part], labels[part], size, channels, WHITE) for part in (train, test)
    ]
    return ImageSet("digits", tuple(map(str, data.target_names)), train_images, test_images, MEAN, DEVIATION)
