"""Counts with SI prefixes."""

from __future__ import annotations


def si(count: int) -> str:
    """`count` to four significant digits with its SI prefix: 300774272 -> '300.8 M'.

    Rounds before choosing the prefix, so 999999 is '1.000 M'. Below 1000 the count is exact.
    """
    if abs(count) < 1000:
        return str(count)
    for power, prefix in enumerate("kMGTPE", 1):  # noqa: B007 (the last one is the answer)
        text = f"{count / 1000**power:#.4g}"
        if abs(float(text)) < 1000:
            break
    return f"{text.removesuffix('.')} {prefix}"


def si_bytes(count: int) -> str:
    """`count` bytes to four significant digits: 10545696 -> '10.55 MB'."""
    text = si(count)
    return f"{text}B" if " " in text else f"{text} B"
