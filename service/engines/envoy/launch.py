"""Becomes Envoy, and dies with whoever started it.

Runs as a process of its own and imports nothing of ours, so that it starts in milliseconds. Called as
``python -I -S launch.py <process id of the caller> <variables as JSON> <program> <argument>...``.
"""

import ctypes
import json
import os
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux; where there is none, the end of the lifeline does


def main(caller: str, variables: str, program: str, *arguments: str) -> None:
    """Ask the kernel to be killed with the caller, then replace this process by the program."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != int(caller):
        sys.exit("whoever started this has gone already")
    for name, value in json.loads(variables).items():
        os.putenv(name, value)
    os.execv(program, [program, *arguments])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(*sys.argv[1:])
