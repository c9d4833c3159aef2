"""Ctrl-C and SIGTERM end the program without a traceback, from its first instruction on."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import NoReturn


class StoppedError(KeyboardInterrupt):
    """A signal that ends the program; for a plain `KeyboardInterrupt`, Python may end itself by the signal."""


class Stop:
    """The handler of SIGINT and SIGTERM.

    Attributes:
        at_once: True while there is nothing to clean up: a signal ends the process. Otherwise, the first
            signal raises `StoppedError`, and a second one ends the process.
        code: the exit code of the signal that arrived; 0 before.
    """

    def __init__(self) -> None:
        self.at_once, self.code = True, 0
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup does
                signal.signal(number, self._handle)

    def _handle(self, number: int, _: FrameType | None) -> NoReturn:
        if self.at_once:
            os._exit(128 + number)
        self.at_once, self.code = True, 128 + number
        raise StoppedError
