"""Out of a registry, and out of a store."""

from pathlib import Path

from measure import Failed, summed
from weather import PEERS, at_a_distance


def pull(bench) -> None:
    pull_row(bench, "pull", bench.source, bench.names, 3)


def far_pull(bench) -> None:
    with at_a_distance(bench.source, bench.work / "connections") as source:
        pull_row(bench, "far pull", source, bench.far, 5)


def pull_row(bench, name: str, source: str, names: Path, bar: float, runs: int = 0) -> None:
    out, layouts, tree = (bench.work / name for name in ("pulled", "pulled-dirs", "pulled-tree"))

    def peer():
        costs = [
            bench.measured([PEERS / "pull.sh", source, names, layouts]),
            bench.measured([PEERS / "convert.sh", layouts / source, tree]),
        ]
        if names == bench.names:
            compare_blobs(bench.store, tree)
        bench.trash.take(layouts, tree)
        return summed(costs)

    hod = [bench.hod, "pull", names, "--source", source, "--platform", "all", "--store", out]
    row = bench.row(name, "skopeo sync loop, ln loop", bar)
    bench.in_turn(row, lambda: bench.fresh(hod, out), peer, runs)


def compare_blobs(store: Path, tree: Path) -> None:
    """Makes sure that the peer carried what hod carried."""
    blobs = "docker/registry/v2/blobs/sha256"
    ours, theirs = ({path.name for path in (root / blobs).glob("*/*")} for root in (store, tree))
    if ours != theirs:
        raise Failed(f"hod has {len(ours - theirs)} blobs that skopeo lacks, and lacks {len(theirs - ours)}")


def select(bench) -> None:
    out, shell = bench.work / "selected", bench.work / "selected-shell"
    hod = [bench.hod, "select", bench.images, "--store", bench.store, "--output", out]
    peer = [PEERS / "select.sh", bench.store, bench.stored_names, shell]
    row = bench.row("select", "ln, mkdir, echo a file", 30)
    bench.in_turn(row, lambda: bench.fresh(hod, out), lambda: bench.fresh(peer, shell))
