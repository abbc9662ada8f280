"""Into one file, or several."""

import os
import shutil
import subprocess
from contextlib import contextmanager

from measure import run
from table import MIB


def pack(bench) -> None:
    out, tarred = bench.work / "packed.tar", bench.work / "tarred.tar"
    hod = [bench.hod, "pack", bench.images, "--store", bench.store, "--output", out]
    tar = ["tar", "cf", tarred, "-C", bench.tree, "."]
    row = bench.row("pack", "tar cf", 1)
    bench.in_turn(row, lambda: bench.fresh(hod, out), lambda: bench.fresh(tar, tarred))
    row = bench.row("pack --fsync", "tar cf, sync", 1)
    tar = ["sh", "-c", f"tar cf {tarred} -C {bench.tree} . && sync {tarred}"]
    bench.in_turn(row, lambda: bench.fresh([*hod, "--fsync"], out), lambda: bench.fresh(tar, tarred))


def pack_cp(bench) -> None:
    """Beside copying the file that comes of it: from the same file system to the same one, both
    read from memory, both written to a file that is not there yet."""
    out, copied = bench.work / "packed.tar", bench.work / "copied.tar"
    # Of a foreign tree nothing is known, so that all of it is hashed.
    jobs = {
        "pack beside cp": ([bench.images, "--store", bench.store], 1 / 1.05),
        "pack TREE --rehash": ([bench.tree, "--rehash"], 0),
    }
    for name, (arguments, bar) in jobs.items():
        hod = [bench.hod, "pack", *arguments, "--output", out]
        cp = ["cp", "--reflink=never", bench.bundle, copied]
        row = bench.row(name, "cp of the bundle", bar)
        bench.warm(bench.store, bench.bundle)
        bench.in_turn(row, lambda: bench.fresh(hod, out), lambda: bench.fresh(cp, copied))


def pack_volumes(bench) -> None:
    row = bench.row("pack --volume-size", "tar cf, split")
    size = bench.volume_len()
    # Each run has directories of its own, which are taken away together.
    directories = [bench.work / f"volumes-{n}" for n in range(bench.runs)]
    for directory in directories:
        directory.mkdir()
        packed = [bench.hod, "pack", bench.images, "--store", bench.store, "--output", directory / "b.tar"]
        split = ["sh", "-c", f"tar cf - -C {bench.tree} . | split -b {size} - {directory}/split."]
        row.hod_costs.append(bench.measured([*packed, "--volume-size", size]))
        row.peer_costs.append(bench.measured(split))
    bench.trash.take(*directories)


def pack_zst(bench) -> None:
    out, tarred = bench.work / "packed.tar.zst", bench.work / "tarred.tar.zst"
    hod = [bench.hod, "pack", bench.images, "--store", bench.store, "--output", out]
    tar = ["tar", "-I", "zstd -T0 -q", "-cf", tarred, "-C", bench.tree, "."]
    zstd = shutil.which("zstd")
    row = bench.row("pack .tar.zst", "tar, zstd -T0" if zstd else "")
    peer = (lambda: bench.fresh(tar, tarred)) if zstd else None
    bench.in_turn(row, lambda: bench.fresh(hod, out), peer)


def pack_xfs(bench) -> None:
    """On a file system that shares blocks: packing writes hardly anything."""
    with xfs(bench) as mount:
        if mount is None:
            return
        store, out, copied = mount / "store", mount / "b.tar", mount / "c.tar"
        bench.hod_once("unpack", bench.bundle, "--output", store)
        jobs = {
            "pack on XFS": [bench.hod, "pack", store, "--output", out],
            "cp": ["cp", "--reflink=never", out, copied],
        }
        row = bench.row("pack on XFS", "cp --reflink=never")
        new: dict[str, int] = {}
        for _ in range(bench.runs):
            for (name, command), costs in zip(jobs.items(), (row.hod_costs, row.peer_costs)):
                before = used(mount)
                costs.append(bench.measured(command))
                # Of the first run: XFS takes its time to free what was removed after it.
                new.setdefault(name, used(mount) - before)
            length = out.stat().st_size
            out.unlink()
            copied.unlink()
        taken = ", ".join(f"{name} {taken / MIB:.1f} MiB" for name, taken in new.items())
        bench.counted.append(f"new blocks for a bundle of {length / MIB:.1f} MiB: {taken}")


def used(mount) -> int:
    """The bytes that are taken on the file system, once all that was written has its place."""
    os.sync()
    stat = os.statvfs(mount)
    return (stat.f_blocks - stat.f_bfree) * stat.f_frsize


@contextmanager
def xfs(bench):
    """A new XFS, in a file; none where it cannot be made or mounted, which is said in the end."""
    programs = {name: shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") for name in ("mkfs.xfs", "mount", "umount")}
    lacks = ["root"] if os.geteuid() else []
    lacks += [name for name, path in programs.items() if not path]
    if lacks:
        bench.counted.append(f"pack on XFS: left out, for want of {', '.join(lacks)}")
        yield None
        return
    image, mount = bench.work / "xfs.img", bench.work / "xfs"
    image.touch()
    # More than it takes, in a file with holes.
    os.truncate(image, 4 * bench.len + 1024 * MIB)
    mount.mkdir()
    run([programs["mkfs.xfs"], "-q", "-m", "reflink=1", image], bench.log)
    mounted = subprocess.run([programs["mount"], "-o", "loop", image, mount], capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        bench.counted.append(f"pack on XFS: left out, for it cannot be mounted: {mounted.stderr.strip()}")
        yield None
        return
    try:
        yield mount
    finally:
        subprocess.run([programs["umount"], mount], check=False)
        image.unlink()
