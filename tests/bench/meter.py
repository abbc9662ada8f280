"""meter.py RESULT COMMAND...: runs the command, and writes to RESULT what it cost.

A child starts as a copy of who starts it, so that its peak memory is at least its parent's. This is
a program of its own, which imports next to nothing, to be a small parent.

RESULT is one line: the status, the wall time, the CPU time and the peak of the command in bytes, and
the peak of the meter, below which nothing can be told.
"""

import os
import sys
import time

result, *command = sys.argv[1:]
started = time.monotonic()
pid = os.posix_spawnp(command[0], command, os.environ)
_, status, usage = os.wait4(pid, 0)
wall = time.monotonic() - started
with open("/proc/self/status") as about:
    floor = next(int(line.split()[1]) for line in about if line.startswith("VmHWM:"))
with open(result, "w") as out:
    print(
        os.waitstatus_to_exitcode(status),
        wall,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * 1024,
        floor * 1024,
        file=out,
    )
