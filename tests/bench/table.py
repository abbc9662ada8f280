"""The measurements as tables for people."""

from dataclasses import dataclass, field

from measure import Cost, median

MIB = 1024 * 1024
PEAK_MAX = 64 * MIB


@dataclass
class Row:
    """One job, done by hod and by a peer where there is one."""

    name: str
    peer: str = ""
    """What the peer is; empty where hod has none."""
    bar: float = 0
    """How many times faster than the peer hod has to be; 0 for no bar."""
    wall_max: float = 0
    """How many seconds hod may take; 0 for no bar."""
    hod_costs: list[Cost] = field(default_factory=list)
    peer_costs: list[Cost] = field(default_factory=list)

    def ratio(self) -> float:
        return median(self.peer_costs).wall / median(self.hod_costs).wall

    def bar_text(self) -> str:
        if self.wall_max:
            return f"< {self.wall_max * 1000:g} ms"
        return f">= {self.bar:.3g}x" if self.bar and self.peer_costs else ""

    def passes(self) -> bool:
        """Whether there is no bar that is missed, but for that on memory."""
        in_time = not self.wall_max or median(self.hod_costs).wall < self.wall_max
        return in_time and not (self.bar and self.peer_costs and self.ratio() < self.bar)

    def misses(self) -> list[str]:
        found = []
        wall, peak = median(self.hod_costs).wall, median(self.hod_costs).peak
        if not self.passes():
            what = f"{wall * 1000:.0f} ms" if self.wall_max else f"{self.ratio():.2f}x as fast as {self.peer}"
            found.append(f"{self.name}: {what}, bar {self.bar_text()}")
        if peak >= PEAK_MAX:
            found.append(f"{self.name}: peak {peak / MIB:.0f} MiB, bar < {PEAK_MAX // MIB} MiB")
        return found


@dataclass
class Limit:
    """What the machine needs for the same bytes, whoever asks."""

    name: str
    seconds: float
    jobs: tuple[str, ...]
    """The rows that cannot be faster than this."""


def align(rows: list[list[str]]) -> str:
    """Columns, the first and the last to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths)]
        cells[0], cells[-1] = row[0].ljust(widths[0]), row[-1]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def times(peer: float, hod: float) -> str:
    return f"{peer / hod:.1f}x" if hod else "-"


def seconds(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def mib(value: int) -> str:
    return f"{value / MIB:.0f}"


def comparison(rows: list[Row]) -> str:
    lines = [
        ["", "hod s", "cpu s", "MiB", "", "peer s", "cpu s", "MiB", "wall", "bar", "", "cpu", "mem", "peer"]
    ]
    for row in rows:
        hod = median(row.hod_costs)
        small = "pass" if hod.peak < PEAK_MAX else "MISS"
        line = [row.name, seconds(hod.wall), seconds(hod.cpu), mib(hod.peak), small]
        bar = row.bar_text()
        verdict = [bar, ("pass" if row.passes() else "MISS") if bar else ""]
        if row.peer_costs:
            peer = median(row.peer_costs)
            line += [seconds(peer.wall), seconds(peer.cpu), mib(peer.peak), f"{row.ratio():.2f}x", *verdict]
            line += [times(peer.cpu, hod.cpu), times(peer.peak, hod.peak), row.peer]
        else:
            line += ["", "", "", "", *verdict, "", "", ""]
        lines.append(line)
    return align(lines)


def limits(found: list[Limit], rows: list[Row]) -> str:
    # Of those with one name, of which each has another peer, the first.
    walls = {row.name: median(row.hod_costs).wall for row in reversed(rows)}
    lines = [["", "s", "hod, in times of it"]]
    for limit in found:
        jobs = [f"{job} {walls[job] / limit.seconds:.1f}x" for job in limit.jobs if job in walls]
        lines.append([limit.name, seconds(limit.seconds), ", ".join(jobs)])
    return align(lines)
