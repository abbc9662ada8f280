"""Runs a command and says what it cost: wall time, CPU of all its processes, memory of the largest.

Linux sums up what a process and all its descendants used when they are waited for, so nothing is
sampled and nothing is missed.
"""

import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

METER = Path(__file__).resolve().parent / "meter.py"


class Failed(Exception):
    """A command failed, and with it the measurement."""


@dataclass(frozen=True)
class Cost:
    wall: float
    cpu: float
    """Seconds, user and system, of the process and all its descendants."""
    peak: int
    """Bytes of memory that the largest single process held at once."""
    floor: int
    """Peaks up to this cannot be told apart."""


def run(command: list, log: Path) -> Cost:
    """Runs the command to its end, its output into `log`; dirty pages of others go to disk first."""
    command = [str(part) for part in command]
    result = log.with_suffix(".cost")
    result.unlink(missing_ok=True)
    os.sync()
    with log.open("wb") as output:
        subprocess.run(
            [sys.executable, "-I", "-S", "-B", METER, result, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    told = result.read_text().split() if result.exists() else ["unknown"]
    if told[0] != "0":
        text = log.read_text(errors="replace")[-2000:]
        raise Failed(f"`{' '.join(command)}` exited {told[0]}:\n{text}")
    return Cost(float(told[1]), float(told[2]), int(told[3]), int(told[4]))


def summed(costs: list[Cost]) -> Cost:
    """What commands cost that run one after another as one job."""
    return Cost(
        sum(cost.wall for cost in costs),
        sum(cost.cpu for cost in costs),
        max(cost.peak for cost in costs),
        max(cost.floor for cost in costs),
    )


def median(costs: list[Cost]) -> Cost:
    """The medians of wall and CPU, and the largest peak: a limit holds for every run."""
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.cpu for cost in costs),
        max(cost.peak for cost in costs),
        max(cost.floor for cost in costs),
    )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
