"""A set of which one image has changed, for a site that has the set as it was."""

import shutil

import corpus
from registry import Registry
from table import MIB

MIB_IN_KIB = 1024


def versions() -> list[corpus.Image]:
    """An image before and after a change of its last layer."""
    base = {"changed-base": 24 * MIB_IN_KIB, "changed-libs": 12 * MIB_IN_KIB}
    return [
        corpus.Image("bench/changed", tag, {**base, f"changed-{tag}": 4 * MIB_IN_KIB}) for tag in ("v1", "v2")
    ]


def delta(bench) -> None:
    """Packing what is new, beside packing all; and folding it into what was there."""
    store, tree, lists = bench.work / "delta-store", bench.work / "delta-tree", {}
    # A store of hardlinks, so that its blobs are known to be right as they were.
    bench.hod_once("select", bench.images, "--store", bench.store, "--output", store)
    with Registry(bench.work / "delta-source", bench.trash.take) as source:
        names = corpus.push_all(source.host, bench.work / "delta-images", versions())
        bench.hod_once("pull", names, "--source", source.host, "--store", store)
        for image, name in zip(versions(), names.read_text().splitlines()):
            lists[image.tag] = bench.work / f"delta-{image.tag}.txt"
            lists[image.tag].write_text(f"{bench.stored_names.read_text()}{name}\n")
    old, new, whole = (bench.work / f"delta-{name}.tar" for name in ("old", "new", "whole"))
    tarred = bench.work / "delta-tarred.tar"
    bench.hod_once("pack", lists["v1"], "--store", store, "--output", old)
    bench.hod_once("select", lists["v2"], "--store", store, "--output", tree)

    pack = [bench.hod, "pack", lists["v2"], "--store", store, "--output"]
    hod = [*pack, new, "--since", old]
    tar = ["tar", "cf", tarred, "-C", tree, "."]
    row = bench.row("pack --since", "hod pack of all")
    bench.in_turn(row, lambda: bench.fresh(hod, new), lambda: bench.fresh([*pack, whole], whole))
    row = bench.row("pack --since", "tar cf of all")
    bench.in_turn(row, lambda: bench.fresh(hod, new), lambda: bench.fresh(tar, tarred))

    bench.hod_once(*hod[1:])
    bench.hod_once(*pack[1:], whole)
    new_len, whole_len = new.stat().st_size, whole.stat().st_size
    bench.counted.append(
        f"one image changed: {new_len / MIB:.1f} MiB instead of {whole_len / MIB:.1f} MiB,"
        f" {100 * new_len / whole_len:.1f} %"
    )

    merged, copied = bench.work / "merged.tar", bench.work / "copied.tar"
    merge = [bench.hod, "bundle", "merge", old, new, "--output", merged]
    cp = ["cp", "--reflink=never", whole, copied]
    row = bench.row("bundle merge", "cp of all")
    bench.in_turn(row, lambda: bench.fresh(merge, merged), lambda: bench.fresh(cp, copied))
    bench.trash.take(store, tree, old, new, whole)
    shutil.rmtree(bench.work / "delta-images")
