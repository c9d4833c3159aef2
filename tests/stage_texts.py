"""Texts of the option `stages`: the papers' own tables, and random ones."""

from __future__ import annotations

from hypothesis import strategies as st

PAPERS = {
    # Table 2 of arXiv:1801.04381: t, c, n
    "mobilenet_v2": "k3e1d1c16-k3e6d2c24-k3e6d3c32-k3e6d4c64-k3e6d3c96-k3e6d3c160-k3e6d1c320",
    # Tables 1 and 2 of arXiv:1905.02244: exp size / input channels, such as 72 / 24 = 3 and 200 / 80 = 2.5
    "mobilenet_v3_large": "k3e1d1c16-k3e4+3d2c24-k5e3d3c40-k3e6+2.5+2.3+2.3d4c80-k3e6d2c112-k5e6d3c160",
    "mobilenet_v3_small": "k3e1d1c16-k3e4.5+3.67d2c24-k5e4+6+6d3c40-k5e3d2c48-k5e6d3c96",
}
"""Network -> the table of its paper as stages."""


@st.composite
def texts(draw: st.DrawFn, number: int) -> str:
    """Draw the stages of a network that has this number of them."""
    return "-".join(draw(_stages()) for _ in range(number))


@st.composite
def _stages(draw: st.DrawFn) -> str:
    depth = draw(st.integers(1, 3))
    each = st.lists(st.sampled_from([1, 2.5, 3, 4, 6]), min_size=depth, max_size=depth)
    expansions = "+".join(map(str, draw(each | st.sampled_from([[1], [3], [6]]))))
    return f"k{draw(st.sampled_from([1, 3, 5, 7]))}e{expansions}d{depth}c{draw(st.integers(1, 64))}"


def number(name: str) -> int:
    """Return the number of stages of a network."""
    return PAPERS[name].count("-") + 1
