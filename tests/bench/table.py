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
    hod_costs: list[Cost] = field(default_factory=list)
    peer_costs: list[Cost] = field(default_factory=list)

    def ratio(self) -> float:
        return median(self.peer_costs).wall / median(self.hod_costs).wall

    def misses(self) -> list[str]:
        found = []
        if self.bar and self.peer_costs and self.ratio() < self.bar:
            found.append(f"{self.name}: {self.ratio():.2f}x as fast as {self.peer}, bar {self.bar:g}x")
        peak = median(self.hod_costs).peak
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
        if row.peer_costs:
            peer = median(row.peer_costs)
            bar = f">= {row.bar:g}x" if row.bar else ""
            verdict = ("pass" if row.ratio() >= row.bar else "MISS") if row.bar else ""
            line += [seconds(peer.wall), seconds(peer.cpu), mib(peer.peak)]
            line += [f"{row.ratio():.2f}x", bar, verdict]
            line += [times(peer.cpu, hod.cpu), times(peer.peak, hod.peak), row.peer]
        else:
            line += [""] * 9
        lines.append(line)
    return align(lines)


def limits(found: list[Limit], rows: list[Row]) -> str:
    walls = {row.name: median(row.hod_costs).wall for row in rows}
    lines = [["", "s", "hod, in times of it"]]
    for limit in found:
        jobs = [f"{job} {walls[job] / limit.seconds:.1f}x" for job in limit.jobs if job in walls]
        lines.append([limit.name, seconds(limit.seconds), ", ".join(jobs)])
    return align(lines)
