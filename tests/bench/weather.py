"""Bad lines: longer round trips, cut connections; hod beside all copying tools that are at hand."""

import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from measure import Failed, run
from registry import Registry, free_port, wait_for

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
SKOPEO = "skopeo copy"
SKOPEO_BAR = 5
ROUND_TRIP = 0.050
"""Seconds, of what is called far."""


@dataclass(frozen=True)
class Line:
    """What lies between a program and a registry."""

    name: str
    round_trip: float
    """Seconds."""
    cut: float = 0.0
    """How likely each 64 KiB are the last that their connection carries."""
    bar: float = 0.0


LINES = (
    Line("50 ms", 0.050, bar=SKOPEO_BAR),
    Line("200 ms", 0.200),
    Line("50 ms, 0.5 % cut", 0.050, cut=0.005),
)


@dataclass(frozen=True)
class Tool:
    name: str
    program: str
    script: str


TOOLS = (
    Tool(SKOPEO, "skopeo", "skopeo.sh"),
    Tool("crane", "crane", "crane.sh"),
    Tool("regctl", "regctl", "regctl.sh"),
)


class Proxy:
    """Passes connections on over a line; counts them."""

    def __init__(self, line: Line, target: str, count: Path, seed: int = 0):
        self.host, self.count = f"127.0.0.1:{free_port()}", count
        command = [sys.executable, "-B", str(HERE / "delay.py"), self.host, target, str(line.round_trip / 2)]
        self.process = subprocess.Popen([*command, str(line.cut), str(seed), str(count)])
        wait_for(self.host, self.process, "the proxy")

    def stop(self) -> int:
        """Ends it; returns how many connections there were, less the one that tried whether it is up."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        return int(self.count.read_text()) - 1


@contextmanager
def over(line: Line, target: str, count: Path, seed: int = 0):
    """A host from which `target` is as far as `line` says, and what was counted."""
    proxy = Proxy(line, target, count, seed)
    counted: dict[str, int] = {}
    try:
        yield proxy.host, counted
    finally:
        counted["connections"] = proxy.stop()


@contextmanager
def at_a_distance(target: str, count: Path):
    """A host from which `target` is a round trip further away."""
    with over(Line("", ROUND_TRIP), target, count) as (host, _):
        yield host


def weather(bench) -> None:
    """Adds the rows to `bench`, and what was counted."""
    tools = [tool for tool in TOOLS if shutil.which(tool.program)]
    names, work = bench.far, bench.work
    n_images = len(names.read_text().splitlines())
    bundle = work / "weather.tar"
    bench.hod_once("pack", names, "--store", bench.store, "--output", bundle)
    layouts = {tool.name: work / f"weather-{tool.program}" for tool in tools}
    for tool in tools:
        run([PEERS / tool.script, "pull", bench.source, names, layouts[tool.name]], bench.log)
    texts = []
    for line in LINES:
        rows = {(job, tool.name): bench.row(f"{job}, {line.name}", tool.name) for job in ("pull", "push", "push again") for tool in tools}
        for (_, name), row in rows.items():
            row.bar = line.bar if name == SKOPEO else 0
        pulls, pushes, agains = [], [], []
        for (job, _), row in rows.items():
            row.hod_costs = {"pull": pulls, "push": pushes, "push again": agains}[job]
        for seed in range(bench.runs):
            texts += once(bench, line, seed, (tools, layouts, bundle), rows, (pulls, pushes, agains), n_images)
    bench.trash.take(bundle, *layouts.values())
    # Of the runs over one line, the last.
    bench.counted += {text.split(":")[0]: text for text in texts}.values()


def once(bench, line: Line, seed: int, ground: tuple, rows: dict, hod_costs: tuple, n_images: int) -> list[str]:
    """Everybody does everything once."""
    tools, layouts, bundle = ground
    pulls, pushes, agains = hod_costs
    out, count, texts = bench.work / "weather-pulled", bench.work / "connections", []
    hod_pull = lambda host: [bench.hod, "pull", bench.far, "--source", host, "--platform", "all", "--store", out]
    with over(line, bench.source, count, seed) as (host, counted):
        pulls.append(bench.fresh(hod_pull(host), out))
    texts.append(f"hod pull, {line.name}: {counted['connections']} connections")
    for tool in tools:
        with over(line, bench.source, count, seed) as (host, counted):
            pull = [PEERS / tool.script, "pull", host, bench.far, out]
            try:
                rows["pull", tool.name].peer_costs.append(bench.fresh(pull, out))
            except Failed:
                bench.trash.take(out)
                texts.append(f"{tool.name} pull, {line.name}: gave up")
                continue
        texts.append(f"{tool.name} pull, {line.name}: {counted['connections']} connections")
    for tool in (None, *tools):
        who = tool.name if tool else "hod"
        with Registry(bench.work / "target", bench.trash.take, counts=True) as target:
            with over(line, target.host, count, seed) as (host, counted):
                if tool:
                    command = [PEERS / tool.script, "push", host, bench.far, layouts[tool.name]]
                    costs = rows["push", who].peer_costs, rows["push again", who].peer_costs
                else:
                    command, costs = [bench.hod, "push", bundle, host], (pushes, agains)
                try:
                    costs[0].append(bench.measured(command))
                    first = target.requests()
                    costs[1].append(bench.measured(command))
                except Failed:
                    if not tool:
                        raise
                    texts.append(f"{who} push, {line.name}: gave up")
                    continue
                again = len(target.requests()) - len(first)
                n_blobs = len(target.blobs() - target.manifests())
        blobs = [path for _, path in first if "/blobs/" in path]
        texts.append(
            f"{who} push, {line.name}: {counted['connections']} connections, {len(first)} requests,"
            f" {len(blobs) / n_blobs:.1f} a new blob; unchanged {again / n_images:.1f} an image"
        )
    return texts
