"""What no program can beat on this machine, and one layer that is larger than any memory."""

import sys

import corpus
from measure import median, say
from pulls import pull_row
from registry import Registry
from table import MIB, Limit
from weather import PEERS

HASH = """
import hashlib, sys
for path in sys.stdin.read().split("\\0")[:-1]:
    with open(path, "rb") as file:
        hashlib.file_digest(file, "sha256") if hasattr(hashlib, "file_digest") else hashlib.sha256(file.read())
"""


def physical(bench) -> None:
    say("physical limits ...")
    out = bench.work / "written"
    files = f"find {bench.store}/docker/registry/v2/blobs -name data -print0 | sort -z"
    shell = {
        "write": f"{files} | xargs -0 cat >{out}",
        "sync": f"{files} | xargs -0 cat >{out} && sync {out}",
        "hash": f"{files} | {sys.executable} -B -c '{HASH}'",
    }
    walls: dict[str, list] = {name: [] for name in shell}
    for _ in range(bench.runs):
        for name, command in shell.items():
            outputs = [] if name == "hash" else [out]
            walls[name].append(bench.fresh(["sh", "-c", command], *outputs))
    jobs = {
        "write": ("the same bytes written to one file", ("pack", "pack beside cp", "pack TREE --rehash")),
        "sync": ("the same, on disk (fsync)", ("pull", "pack --fsync", "unpack")),
        "hash": ("sha256 of the same bytes, one core", ("verify store", "verify bundle", "verify bundle -j 1")),
    }
    for name, (text, rows) in jobs.items():
        bench.limits.append(Limit(text, median(walls[name]).wall, rows))
    for who, seconds in bench.registry_cpu.items():
        if seconds:
            middle = sorted(seconds)[len(seconds) // 2]
            bench.limits.append(Limit(f"the registry's own CPU while {who} pushes", middle, ("push",)))


def large(bench) -> None:
    """One layer through everything, once: its peak memory is what counts."""
    size = bench.large_len
    if not size:
        return
    name = f"{size / MIB / 1024:g} GiB layer"
    with Registry(bench.work / "large-source", bench.trash.take) as source:
        say(f"making a {name}")
        names = corpus.push_all(source.host, bench.work / "large", [corpus.large_image(size)])
        pull_row(bench, f"{name}, pull", source.host, names, 0, runs=1)
        store = bench.work / "large-store"
        bench.hod_once("pull", names, "--source", source.host, "--store", store)
    bundle, zst = bench.work / "large.tar", bench.work / "large.tar.zst"
    tarred, layouts = bench.work / "large-tarred.tar", bench.work / "large-layouts"
    unpacked = bench.work / "large-unpacked"

    def hod(job: str, *arguments, peer=None, peer_name=""):
        row = bench.row(f"{name}, {job}", peer_name)
        bench.in_turn(row, lambda: bench.measured([bench.hod, *arguments]), peer, runs=1)

    tar = ["tar", "cf", tarred, "-C", store, "docker"]
    hod("pack", "pack", names, "--store", store, "--output", bundle,
        peer=lambda: bench.fresh(tar, tarred), peer_name="tar cf")
    hod("pack .zst", "pack", names, "--store", store, "--output", zst)
    hod("unpack", "unpack", bundle, "--output", unpacked)
    bench.trash.take(unpacked)
    hod("unpack .zst", "unpack", zst, "--output", unpacked)
    bench.trash.take(unpacked)
    row = bench.row(f"{name}, unpack -")
    pipe = ["sh", "-c", f"cat {bundle} | {bench.hod} unpack - --output {unpacked}"]
    row.hod_costs.append(bench.fresh(pipe, unpacked))
    hod("verify", "verify", bundle)
    archive = bench.work / "large-oci.tar"
    hod("export oci-archive", "export", bundle, "--format", "oci-archive", "--output", archive)
    bench.trash.take(archive)
    bench.hod_once("export", store, "--output", layouts)
    row = bench.row(f"{name}, push", "skopeo sync --src dir")
    for costs, command in (
        (row.hod_costs, [bench.hod, "push", bundle]),
        (row.peer_costs, [PEERS / "push.sh", layouts]),
    ):
        with Registry(bench.work / "target", bench.trash.take) as target:
            costs.append(bench.measured([*command, target.host]))
    with Registry(bench.work / "large-source", bench.trash.take) as source:
        bench.hod_once("push", bundle, source.host)
        row = bench.row(f"{name}, copy")
        with Registry(bench.work / "target", bench.trash.take) as target:
            row.hod_costs.append(bench.measured([bench.hod, "copy", source.host, target.host]))
    for job, command in {
        "push .zst": lambda host: [bench.hod, "push", zst, host],
        "push -": lambda host: ["sh", "-c", f"cat {bundle} | {bench.hod} push - {host}"],
    }.items():
        row = bench.row(f"{name}, {job}")
        with Registry(bench.work / "target", bench.trash.take) as target:
            row.hod_costs.append(bench.measured(command(target.host)))
    bench.trash.take(bundle, zst, layouts, store)
