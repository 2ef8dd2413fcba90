"""Become a program that dies with the process that started it, however that one dies.

Run as a script of its own, ``python -I -S launch.py PARENT PROGRAM [ARGUMENT ...]``: it needs
nothing but the standard library, and where the kernel cannot do this (it is Linux's) the program
simply runs.
"""

from __future__ import annotations

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Bind this process's life to its parent's and turn into the program."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):
            # The parent died before the kernel knew; nobody would ever stop this process.
            sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
