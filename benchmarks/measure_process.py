"""Run a command without its output, and print its seconds, CPU seconds and peak memory in bytes.

A small process runs this file, because Linux includes the memory of the starting process in the peak of a command.
The CPU seconds and the peak include the processes that the command started; the peak is that of the largest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

KIBIBYTE = 1024


def main() -> int:
    """Run the command of the arguments, and return its exit code."""
    start = time.perf_counter()
    running = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)  # noqa: S603 (commands of this benchmark)
    _, status, used = os.wait4(running.pid, 0)
    seconds = time.perf_counter() - start
    running.returncode = os.waitstatus_to_exitcode(status)
    sys.stdout.write(f"{seconds} {used.ru_utime + used.ru_stime} {used.ru_maxrss * KIBIBYTE}\n")
    return int(running.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
