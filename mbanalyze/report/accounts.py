"""The activations in memory while the network of a report runs, by account."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

from mbanalyze.inputs.choices import choose
from mbanalyze.ops.cost import ITEM_SIZES, Count
from mbanalyze.ops.record import Op
from mbanalyze.peak_memory.deployed import deployed
from mbanalyze.peak_memory.liveness import ideal
from mbanalyze.peak_memory.timeline import ACCOUNTS, Account, Timeline
from mbanalyze.report.rows import Row

PEAKS: dict[str, Account] = {
    "peak_bytes": "ideal",
    "peak_bytes_deployed": "deployed",
    "peak_bytes_eager": "eager",
}
"""The totals of memory, and the account of each."""


class AccountError(ValueError):
    """An account of memory that a report does not have."""


class Accounts:
    """The accounts of memory, a base of `Report`, which has the attributes below."""

    model: str
    method: str
    dtype: str
    ops: tuple[Op, ...]
    outputs: tuple[int, ...] | None
    run: Callable[[], Timeline] | None

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return ITEM_SIZES[self.dtype]

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The accounts of memory that the report has."""
        return tuple(account for account in PEAKS.values() if account != "eager" or self.run)

    def timeline(self, account: Account = "ideal") -> Timeline:
        """Return the activations in memory while the network runs.

        Args:
            account: `ideal` for the least that the order of the operators needs, `eager` for what PyTorch holds in
                Python, `deployed` for an inference engine.

        Raises:
            ChoiceError: unknown account.
            AccountError: `eager` of a closed form or a file without a module, which run nothing.
        """
        choose("account", account, ACCOUNTS)
        if account == "eager":
            if self._eager is None:
                way = f"count {self.model} with trace=True"
                if self.method == "file":
                    way = (
                        f"{self.model} has no module, so choose ideal or deployed, or give a .pt2 file of it"
                    )
                raise AccountError(f"the account eager needs a trace: {way}")
            return self._eager
        return self._ideal if account == "ideal" else self._deployed

    @cached_property
    def _eager(self) -> Timeline | None:
        return self.run() if self.run else None

    @cached_property
    def _ideal(self) -> Timeline:
        return ideal(self.ops, self.itemsize, self.outputs)

    @cached_property
    def _deployed(self) -> Timeline:
        return deployed(self.ops, self.itemsize, self.outputs)

    def peak_bytes(self, account: Account = "ideal") -> Count:
        """Return the most bytes of activations in memory at once; None for `eager` of a closed form."""
        return self.timeline(account).peak_bytes if account in self.accounts else None

    def live_bytes(self, rows: Iterable[Row]) -> int:
        """Return the most bytes of activations that are in memory while one of some rows runs (account `ideal`)."""
        return max([self._live_bytes[id(op)] for row in rows for op in row.recorded], default=0)

    @cached_property
    def _live_bytes(self) -> dict[int, int]:
        """The bytes in memory while each operator runs, by its id."""
        return dict(zip(map(id, self.ops), self._ideal.live_bytes, strict=True))
