"""Count all architectures that match a pattern: one that does not have the given options is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mbanalyze.sources.patterns import matching_models

if TYPE_CHECKING:
    import pandas as pd


def count_architectures(pattern: str, count_one: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """Return the frames of all matching architectures, one below the other.

    The first column is `model`. The last one is `error`: the reason if an architecture has no counts, or None.
    Those without counts come last.

    Args:
        pattern: the name of an architecture, with wildcards.
        count_one: returns the frame of an architecture.

    Raises:
        SourceError: no architecture matches.
    """
    import pandas as pd

    counted, failed = [], {}
    for name in matching_models(pattern):
        try:
            frame = count_one(name)
        except (ValueError, LookupError) as error:
            failed[name] = str(error)
            continue
        frame.insert(0, "model", name)
        counted.append(frame)
    made = pd.concat(counted, ignore_index=True) if counted else pd.DataFrame({"model": []})
    made["error"] = None
    if not failed:
        return made
    whole = made.select_dtypes("integer").columns
    rows = pd.DataFrame({"model": list(failed), "error": list(failed.values())})
    return pd.concat([made.astype(dict.fromkeys(whole, "Int64")), rows], ignore_index=True)
