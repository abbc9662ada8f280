"""Into a registry."""

from measure import summed
from registry import Registry
from weather import PEERS, at_a_distance


def into_fresh(bench, command: list):
    """What `command` costs that pushes into the registry named last, a new one."""
    with Registry(bench.work / "target", bench.trash.take) as target:
        return bench.measured([*command, target.host])


def push(bench) -> None:
    row = bench.row("push", "skopeo sync --src dir", 1.5)
    again = bench.row("push again", "skopeo sync --src dir", 5)

    def side(who: str, costs: tuple):
        with Registry(bench.work / "target", bench.trash.take) as target:
            command = {
                "hod": [bench.hod, "push", bench.bundle, target.host],
                "skopeo": [PEERS / "push.sh", bench.layouts, target.host],
            }[who]
            before = target.cpu()
            costs[0].append(bench.measured(command))
            bench.registry_cpu[who].append(target.cpu() - before)
            costs[1].append(bench.measured(command))

    for _ in range(bench.runs):
        side("hod", (row.hod_costs, again.hod_costs))
        side("skopeo", (row.peer_costs, again.peer_costs))


def push_volumes(bench) -> None:
    """From volumes, beside from the store, and beside what is done with a tar that was split."""
    directory, parts = bench.work / "push-volumes", bench.work / "push-parts"
    volumes = bench.volumes(directory)
    parts.mkdir()
    # With the layouts' hardlinks, every blob is in it once.
    split = f"tar cf - -C {bench.layouts} . | split -b {bench.volume_len()} - {parts}/split."
    bench.measured(["sh", "-c", split])
    from_volumes, from_store = [bench.hod, "push", volumes[0]], [bench.hod, "push", bench.store]

    def today():
        unpacked = bench.work / "push-unpacked"
        unpacked.mkdir()
        tar = ["sh", "-c", f"cat {parts}/split.* | tar xf - -C {unpacked}"]
        cost = summed([bench.measured(tar), into_fresh(bench, [PEERS / "push.sh", unpacked])])
        bench.trash.take(unpacked)
        return cost

    near = bench.row("push volumes", "hod push STORE", 1 / 1.05)
    bench.in_turn(near, lambda: into_fresh(bench, from_volumes), lambda: into_fresh(bench, from_store))
    row = bench.row("push volumes", "cat, tar xf, skopeo sync")
    bench.in_turn(row, lambda: into_fresh(bench, from_volumes), today)

    row = bench.row("push -, of volumes", "hod push of the volumes")
    piped = lambda host: ["sh", "-c", f'cat "$@" | {bench.hod} push - {host}', "sh", *volumes]

    def pipe():
        with Registry(bench.work / "target", bench.trash.take) as target:
            return bench.measured(piped(target.host))

    bench.in_turn(row, pipe, lambda: into_fresh(bench, from_volumes))
    bench.trash.take(directory, parts)


def far_push(bench) -> None:
    bundle, layouts = bench.work / "far.tar", bench.work / "far-layouts"
    bench.hod_once("pack", bench.far, "--store", bench.store, "--output", bundle)
    bench.hod_once("export", bundle, "--output", layouts)
    row = bench.row("far push", "skopeo sync --src dir", 8)
    again = bench.row("far push again", "skopeo sync --src dir", 8)

    def side(rows: tuple, command: list):
        with Registry(bench.work / "target", bench.trash.take) as target:
            with at_a_distance(target.host, bench.work / "connections") as host:
                for costs in rows:
                    costs.append(bench.measured([*command, host]))

    for _ in range(bench.runs):
        side((row.hod_costs, again.hod_costs), [bench.hod, "push", bundle])
        side((row.peer_costs, again.peer_costs), [PEERS / "push.sh", layouts])
    bench.trash.take(bundle, layouts)
