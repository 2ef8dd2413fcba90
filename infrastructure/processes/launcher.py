"""Start a program that the kernel kills when its parent process dies (Linux).

Run as a script, ``python -I -S launcher.py PARENT PROGRAM [ARGUMENT ...]``; it needs the standard
library only. On other systems the program runs without this protection.
"""

from __future__ import annotations

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for SIGKILL on the parent's death, then exec the program."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):
            # The parent died before the request; no signal would ever come.
            sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
