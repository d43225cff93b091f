"""Becomes the program that it is given, which then dies with the process that started it.

    python -I -S launch.py PARENT_PID SIGNAL PROGRAM ARGUMENT…

Run as a script of its own because nothing may run between fork and exec in a process that has
threads. Only Linux can tie one process's life to another's; elsewhere this is a plain exec.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, death_signal, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            sys.exit(1)
    os.execvp(program[0], program)  # noqa: S606 - no shell is wanted


main()
