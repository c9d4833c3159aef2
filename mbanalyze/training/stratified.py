"""A fixed split of labelled images into training and test images."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

TEST_SHARE = 0.2
"""The share of each class that is held out for the test."""


def stratified_split(labels: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the indices of training images and of test images, each in ascending order.

    The split is the same in every run. `TEST_SHARE` of each class is for the test, but at least one image,
    and a class with a single image has none.
    """
    places = defaultdict[int, list[int]](list)
    for index, label in enumerate(labels):
        places[label].append(index)
    test = set[int]()
    for label, members in sorted(places.items()):
        held_out = min(max(1, round(TEST_SHARE * len(members))), len(members) - 1)
        test.update(random.Random(f"split of class {label}").sample(members, held_out))  # noqa: S311 (no secret)
    return [index for index in range(len(labels)) if index not in test], sorted(test)
