"""hod called by the names of the programs that it replaces, with their command lines."""

import shutil
from contextlib import ExitStack
from pathlib import Path

from measure import Failed, say
from registry import Registry
from weather import PEERS, at_a_distance

TOOLS = ("skopeo", "skopeo-1.22", "image-syncer")
"""Those on PATH are measured, each beside hod under its name; the second is the newest skopeo."""
NEAR_BAR, FAR_BAR = 2, 5


def sync(bench) -> None:
    rows(bench, "sync", bench.names, NEAR_BAR)


def far_sync(bench) -> None:
    rows(bench, "far sync", bench.far, FAR_BAR)


def rows(bench, name: str, names: Path, bar: float) -> None:
    for tool in TOOLS:
        if not shutil.which(tool):
            say(f"{tool} is not installed, and is left out")
            continue
        pair = Pair(bench, name, names, tool)
        if tool != "image-syncer":
            pair.row("registry to dir", pair.to_dir, bar)
        pair.row("registry to registry", pair.to_registry, bar)
        if tool != "image-syncer":
            pair.row("dir to registry", pair.from_dir, bar)


class Pair:
    """hod and one peer, called by the peer's name."""

    def __init__(self, bench, name: str, names: Path, tool: str):
        self.bench, self.name, self.names, self.tool = bench, name, names, tool
        self.is_far = name.startswith("far")
        directory = bench.work / "links"
        directory.mkdir(exist_ok=True)
        self.link = directory / tool.split("-1")[0]
        if not self.link.exists():
            self.link.symlink_to(bench.hod)
        self.found: dict[str, set[str]] = {}
        """What the target had in the end, by program."""

    def row(self, what: str, job, bar: float) -> None:
        row = self.bench.row(f"{self.name}, {what}", self.tool, bar)
        self.found = {}
        self.bench.in_turn(row, lambda: job(self.link), lambda: job(self.tool))
        ours, theirs = self.found[str(self.link)], self.found[self.tool]
        # image-syncer encodes indexes anew.
        if ours != theirs and self.tool != "image-syncer":
            raise Failed(f"hod has {len(ours - theirs)} blobs that {self.tool} lacks, and lacks {len(theirs - ours)}")

    def distant(self, stack: ExitStack, host: str, name: str) -> str:
        if not self.is_far:
            return host
        return stack.enter_context(at_a_distance(host, self.bench.work / f"connections.{name}"))

    def to_dir(self, program):
        output = self.bench.work / "synced-dirs"
        output.mkdir()
        with ExitStack() as stack:
            cost = self.measured(program, self.distant(stack, self.bench.source, "source"), output)
        self.found[str(program)] = {path.name for path in output.glob("**/*") if len(path.name) == 64}
        self.bench.trash.take(output)
        return cost

    def to_registry(self, program):
        with ExitStack() as stack:
            return self.into_registry(stack, program, self.distant(stack, self.bench.source, "source"))

    def from_dir(self, program):
        with ExitStack() as stack:
            return self.into_registry(stack, program, self.layouts())

    def into_registry(self, stack: ExitStack, program, source):
        target = stack.enter_context(Registry(self.bench.work / "target", self.bench.trash.take))
        cost = self.measured(program, source, self.distant(stack, target.host, "target"))
        self.found[str(program)] = target.blobs()
        return cost

    def layouts(self) -> Path:
        """`dir:` layouts of the images."""
        if not self.is_far:
            return self.bench.layouts
        layouts = self.bench.work / "far-synced"
        if not layouts.exists():
            bundle = self.bench.work / "far-synced.tar"
            self.bench.hod_once("pack", self.bench.far, "--store", self.bench.store, "--output", bundle)
            self.bench.hod_once("export", bundle, "--output", layouts)
            self.bench.trash.take(bundle)
        return layouts

    def measured(self, program, source, target):
        work = self.bench.work / "sync-work"
        return self.bench.measured([PEERS / "sync.sh", program, source, self.names, target, work])
