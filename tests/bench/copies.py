"""From one registry into another."""

import shutil
from contextlib import ExitStack

from measure import say, summed
from registry import Registry
from weather import PEERS, at_a_distance

TOOLS = ("skopeo", "crane", "regctl", "image-syncer")
"""Those that are at hand are measured."""


def copy(bench) -> None:
    rows(bench, "copy", bench.names, {"skopeo": 2, "crane": 2, "regctl": 2, "image-syncer": 2, "hod pull, hod push": 1.2})
    two(bench)


def far_copy(bench) -> None:
    rows(bench, "far copy", bench.far, {"skopeo": 5, "hod pull, hod push": 1.5})


def rows(bench, name: str, names, bars: dict) -> None:
    """hod beside every tool, each into a registry of its own."""
    is_far = name.startswith("far")
    store, work = bench.work / "copy-store", bench.work / "copy-work"

    def ends(stack: ExitStack):
        """The source, the target, and how what is asked of the target is counted."""
        target = stack.enter_context(Registry(bench.work / "target", bench.trash.take, counts=True))
        if not is_far:
            return bench.source, target.host, target
        near = bench.work / "connections"
        return (
            stack.enter_context(at_a_distance(bench.source, near.with_suffix(".source"))),
            stack.enter_context(at_a_distance(target.host, near)),
            target,
        )

    def once(who: str):
        with ExitStack() as stack:
            source, host, target = ends(stack)
            if who == "hod":
                command = [bench.hod, "copy", names, "--source", source, host, "--platform", "all"]
                cost = bench.measured(command)
            elif who == "hod pull, hod push":
                pull = [bench.hod, "pull", names, "--source", source, "--platform", "all", "--store", store]
                cost = summed([bench.measured(pull), bench.measured([bench.hod, "push", store, host])])
                bench.trash.take(store)
            else:
                cost = bench.measured([PEERS / "copy.sh", who, source, names, host, work])
            counted[who] = len(target.requests())
        return cost

    counted: dict[str, int] = {}
    tools = [tool for tool in TOOLS if shutil.which(tool)]
    for tool in sorted(set(TOOLS) - set(tools)):
        say(f"{tool} is not installed, and is left out")
    for who in (*tools, "hod pull, hod push"):
        row = bench.row(name, who, bars.get(who, 0))
        bench.in_turn(row, lambda: once("hod"), lambda who=who: once(who))
    bench.counted += [f"{who}, {name}: {n} requests to the target" for who, n in counted.items()]


def two(bench) -> None:
    """Two targets cost one fetch: what the source is asked is counted, and the time is that of one and
    of what the second registry uses."""
    row = bench.row("copy to two", "hod copy, twice")
    command = [bench.hod, "copy", bench.names, "--source"]

    def into(*groups: tuple):
        with ExitStack() as stack:
            open_one = lambda at: stack.enter_context(Registry(bench.work / f"target{at}", bench.trash.take))
            targets = [open_one(at).host for at in range(2)]
            lines = [[*command, bench.source, *(targets[at] for at in group), "--platform", "all"] for group in groups]
            return summed([bench.measured(line) for line in lines])

    bench.in_turn(row, lambda: into((0, 1)), lambda: into((0,), (1,)))
