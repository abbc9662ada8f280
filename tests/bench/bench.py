"""hod beside what people use without it: skopeo, a shell loop, tar.

Every job is done by hod and by its peer in turn, A B A B, several times; the medians of wall time
and CPU (user and system, of all processes) and the largest peak of any single process are compared.
All caches are warm, and everybody carries the same bytes: all platforms of all images.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import corpus
import table
import weather
from measure import Failed, median, run, say, summed
from registry import Registry
from table import MIB, Limit, Row

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
ROUND_TRIP = 0.050
N_FAR = 10
HASH = """
import hashlib, sys
for path in sys.stdin.read().split("\\0")[:-1]:
    with open(path, "rb") as file:
        hashlib.file_digest(file, "sha256") if hasattr(hashlib, "file_digest") else hashlib.sha256(file.read())
"""


class Trash:
    """Frees the space of what was written and keeps its files, emptied, until the end.

    ext4 passes over inodes that were freed in the last minute, one by one, and is slow to create
    files where many were removed. Nobody removes a tree just before he makes another one.
    """

    def __init__(self, directory: Path):
        self.directory = directory
        self.n_moved = 0
        directory.mkdir()

    def take(self, *paths: Path) -> None:
        """Takes files and trees away; blobs that have names elsewhere too keep their bytes."""
        names: dict[tuple[int, int], list[Path]] = {}
        for path in paths:
            self.n_moved += 1
            path = path.rename(self.directory / str(self.n_moved))
            files = [path] if path.is_file() else [Path(d, f) for d, _, fs in os.walk(path) for f in fs]
            for file in files:
                stat = file.lstat()
                if stat.st_size:
                    names.setdefault((stat.st_ino, stat.st_nlink), []).append(file)
        for (_, n_names), files in names.items():
            if len(files) == n_names:
                os.truncate(files[0], 0)


class Bench:
    """One session over one registry and list."""

    def __init__(self, options: argparse.Namespace, source: str, images: Path):
        self.hod, self.runs, self.work = options.hod, options.runs, options.work
        self.wanted = options.rows
        self.source, self.images = source, images
        self.log = self.work / "output.log"
        self.trash = Trash(self.work / "trash")
        self.rows: list[Row] = []
        self.limits: list[Limit] = []
        self.counted: list[str] = []
        self.n_blobs = self.len = self.apart_len = 0
        self.registry_cpu: dict[str, list[float]] = {"hod": [], "skopeo": []}
        self.store, self.tree = self.work / "store", self.work / "tree"
        self.layouts, self.bundle = self.work / "layouts", self.work / "bundle.tar"
        self.names, self.stored_names = self.work / "names.txt", self.work / "stored-names.txt"
        self.far = self.work / "far.txt"

    # -- the ground

    def prepare(self) -> None:
        """Pulls everything once, which warms the source, and makes what the jobs start from."""
        say(f"pulling {self.images} from {self.source}")
        pulled = self.hod_json("pull", self.images, "--source", self.source, "--platform", "all", "--store", self.store)
        pairs = [(image["image"], image["destination"]) for image in pulled["images"]]
        other = [name for name, stored in pairs if stored not in (name, f"library/{name}")]
        if other:
            raise Failed(f"the list is to say `repository:tag` on every line and nothing more: {', '.join(other)}")
        self.n_blobs, self.len = pulled["n_blobs"], pulled["bytes"]
        self.apart_len = self.len + pulled["shared_bytes"]
        self.names.write_text("".join(f"{name}\n" for name, _ in pairs))
        self.stored_names.write_text("".join(f"{stored}\n" for _, stored in pairs))
        smallest = sorted(pulled["images"], key=lambda image: image["bytes"])[:N_FAR]
        self.far.write_text("".join(f"{image['image']}\n" for image in smallest))
        free = shutil.disk_usage(self.work).free
        need = 4 * self.len + 2 * self.apart_len
        if free < need:
            raise Failed(f"{self.work} has {free // MIB} MiB free, and up to {need // MIB} MiB are needed")
        self.hod_once("select", self.images, "--store", self.store, "--output", self.tree)
        self.hod_once("pack", self.images, "--store", self.store, "--output", self.bundle)
        self.hod_once("export", self.store, "--output", self.layouts)

    def hod_json(self, *arguments) -> dict:
        command = [self.hod, "--json", "--quiet", *map(str, arguments)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise Failed(f"`{' '.join(command)}` exited {done.returncode}")
        return json.loads(done.stdout)

    def hod_once(self, *arguments) -> None:
        run([self.hod, *arguments], self.log)

    # -- measuring

    def measured(self, command: list):
        return run(command, self.log)

    def row(self, name: str, peer: str = "", bar: float = 0) -> Row:
        say(f"{name} ...")
        row = Row(name, peer, bar)
        self.rows.append(row)
        return row

    def in_turn(self, row: Row, hod, peer=None, runs: int = 0) -> None:
        """Runs `hod` and `peer`, which each return a cost, A B A B."""
        for _ in range(runs or self.runs):
            row.hod_costs.append(hod())
            if peer:
                row.peer_costs.append(peer())

    def fresh(self, command: list, *outputs: Path):
        """Measures a command, and takes away what it wrote."""
        cost = self.measured(command)
        self.trash.take(*outputs)
        return cost

    # -- the jobs

    def pull(self) -> None:
        self.pull_row("pull", self.source, self.names, 3)

    def pull_row(self, name: str, source: str, names: Path, bar: float, runs: int = 0) -> None:
        out, layouts, tree = self.work / "pulled", self.work / "pulled-dirs", self.work / "pulled-tree"

        def peer():
            costs = [
                self.measured([PEERS / "pull.sh", source, names, layouts]),
                self.measured([PEERS / "convert.sh", layouts / source, tree]),
            ]
            if not runs:
                self.compare_blobs(names, tree)
            self.trash.take(layouts, tree)
            return summed(costs)

        hod = [self.hod, "pull", names, "--source", source, "--platform", "all", "--store", out]
        row = self.row(name, "skopeo sync loop, ln loop", bar)
        self.in_turn(row, lambda: self.fresh(hod, out), peer, runs)

    def compare_blobs(self, names: Path, tree: Path) -> None:
        """Makes sure that the peer carried what hod carried."""
        if names != self.names:
            return
        blobs = "docker/registry/v2/blobs/sha256"
        ours, theirs = ({path.name for path in (root / blobs).glob("*/*")} for root in (self.store, tree))
        if ours != theirs:
            raise Failed(f"hod has {len(ours - theirs)} blobs that skopeo lacks, and lacks {len(theirs - ours)}")

    def select(self) -> None:
        out, shell = self.work / "selected", self.work / "selected-shell"
        hod = [self.hod, "select", self.images, "--store", self.store, "--output", out]
        peer = [PEERS / "select.sh", self.store, self.stored_names, shell]
        row = self.row("select", "ln, mkdir, echo a file", 30)
        self.in_turn(row, lambda: self.fresh(hod, out), lambda: self.fresh(peer, shell))

    def pack(self) -> None:
        out, tarred = self.work / "packed.tar", self.work / "tarred.tar"
        hod = [self.hod, "pack", self.images, "--store", self.store, "--output", out]
        tar = ["tar", "cf", tarred, "-C", self.tree, "."]
        row = self.row("pack", "tar cf", 1)
        self.in_turn(row, lambda: self.fresh(hod, out), lambda: self.fresh(tar, tarred))
        row = self.row("pack --fsync", "tar cf, sync", 1)
        tar = ["sh", "-c", f"tar cf {tarred} -C {self.tree} . && sync {tarred}"]
        self.in_turn(row, lambda: self.fresh([*hod, "--fsync"], out), lambda: self.fresh(tar, tarred))

        copied = self.work / "copied.tar"
        row = self.row("pack beside cp", "cp of the bundle", 1 / 1.05)
        cp = ["cp", "--reflink=never", self.bundle, copied]
        self.in_turn(row, lambda: self.fresh(hod, out), lambda: self.fresh(cp, copied))
        volumes = [self.work / f"volumes-{n}" for n in range(self.runs)]
        row = self.row("pack --volume-size", "tar cf, split")
        for directory in volumes:
            directory.mkdir()
            size = max(self.len // 4, 1 << 20)
            packed = [*hod[:-1], directory / "b.tar", "--volume-size", size]
            split = ["sh", "-c", f"tar cf - -C {self.tree} . | split -b {size} - {directory}/split."]
            row.hod_costs.append(self.measured(packed))
            row.peer_costs.append(self.measured(split))
        self.trash.take(*volumes)
        self.pack_on_xfs()

    def pack_on_xfs(self) -> None:
        """On a file system that shares blocks, in a file: packing writes hardly anything."""
        if os.geteuid() != 0 or not shutil.which("mkfs.xfs"):
            self.counted.append("pack on XFS: left out, for it needs root and mkfs.xfs")
            return
        image, mount = self.work / "xfs.img", self.work / "xfs"
        image.touch()
        os.truncate(image, 4 * self.len + 1024 * MIB)
        mount.mkdir()
        run(["mkfs.xfs", "-q", image], self.log)
        mounted = subprocess.run(["mount", "-o", "loop", image, mount], check=False)
        if mounted.returncode != 0:
            self.counted.append("pack on XFS: left out, for it could not be mounted")
            return
        try:
            store, out, copied = mount / "store", mount / "b.tar", mount / "c.tar"
            self.hod_once("unpack", self.bundle, "--output", store)
            row = self.row("pack on XFS (reflinks)", "cp of the bundle")
            for _ in range(self.runs):
                row.hod_costs.append(self.measured([self.hod, "pack", store, "--output", out]))
                row.peer_costs.append(self.measured(["cp", "--reflink=never", out, copied]))
                out.unlink()
                copied.unlink()
        finally:
            subprocess.run(["umount", mount], check=False)
            image.unlink()

    def pack_zst(self) -> None:
        out, tarred = self.work / "packed.tar.zst", self.work / "tarred.tar.zst"
        hod = [self.hod, "pack", self.images, "--store", self.store, "--output", out]
        tar = ["tar", "-I", "zstd -T0 -q", "-cf", tarred, "-C", self.tree, "."]
        zstd = shutil.which("zstd")
        row = self.row("pack .tar.zst", "tar, zstd -T0" if zstd else "")
        peer = (lambda: self.fresh(tar, tarred)) if zstd else None
        self.in_turn(row, lambda: self.fresh(hod, out), peer)

    def unpack(self) -> None:
        out, untarred = self.work / "unpacked", self.work / "untarred"
        hod = [self.hod, "unpack", self.bundle, "--output", out]
        tar = ["tar", "xf", self.bundle, "-C", untarred]

        def peer():
            untarred.mkdir()
            return self.fresh(tar, untarred)

        self.in_turn(self.row("unpack", "tar xf"), lambda: self.fresh(hod, out), peer)

    def verify(self) -> None:
        for name, source in (("verify store", self.store), ("verify bundle", self.bundle)):
            self.in_turn(self.row(name), lambda: self.measured([self.hod, "verify", source]))

    def push(self) -> None:
        push = self.row("push", "skopeo sync --src dir", 1.5)
        again = self.row("push again", "skopeo sync --src dir", 5)

        def side(who: str, row: Row, rows: tuple):
            with Registry(self.work / "target", self.trash.take) as target:
                command = {
                    "hod": [self.hod, "push", self.bundle, target.host],
                    "skopeo": [PEERS / "push.sh", self.layouts, target.host],
                }[who]
                before = target.cpu()
                rows[0].append(self.measured(command))
                self.registry_cpu[who].append(target.cpu() - before)
                rows[1].append(self.measured(command))

        for _ in range(self.runs):
            side("hod", push, (push.hod_costs, again.hod_costs))
            side("skopeo", push, (push.peer_costs, again.peer_costs))

    # -- the same from afar

    @contextmanager
    def delayed(self, target: str):
        """An address from which `target` is a round trip further away."""
        line = weather.Line("", ROUND_TRIP)
        with weather.over(line, target, self.work / "connections") as (host, _):
            yield host

    def far_pull(self) -> None:
        with self.delayed(self.source) as source:
            self.pull_row("far pull", source, self.far, 5)

    def far_push(self) -> None:
        bundle, layouts = self.work / "far.tar", self.work / "far-layouts"
        self.hod_once("pack", self.far, "--store", self.store, "--output", bundle)
        self.hod_once("export", bundle, "--output", layouts)
        push = self.row("far push", "skopeo sync --src dir", 8)
        again = self.row("far push again", "skopeo sync --src dir", 8)

        def side(rows: tuple, command):
            with Registry(self.work / "target", self.trash.take) as target, self.delayed(target.host) as host:
                for costs in rows:
                    costs.append(self.measured(command(host)))

        for _ in range(self.runs):
            side((push.hod_costs, again.hod_costs), lambda host: [self.hod, "push", bundle, host])
            side((push.peer_costs, again.peer_costs), lambda host: [PEERS / "push.sh", layouts, host])
        self.trash.take(bundle, layouts)

    def weather(self) -> None:
        self.counted += weather.measure(self)

    # -- what no program can beat

    def physical(self) -> None:
        say("physical limits ...")
        out = self.work / "written"
        files = f"find {self.store}/docker/registry/v2/blobs -name data -print0 | sort -z"
        shell = {
            "write": f"{files} | xargs -0 cat >{out}",
            "sync": f"{files} | xargs -0 cat >{out} && sync {out}",
            "hash": f"{files} | {sys.executable} -B -c '{HASH}'",
        }
        walls: dict[str, list] = {name: [] for name in shell}
        for _ in range(self.runs):
            for name, command in shell.items():
                outputs = [] if name == "hash" else [out]
                walls[name].append(self.fresh(["sh", "-c", command], *outputs))
        jobs = {
            "write": ("the same bytes written to one file", ("pack",)),
            "sync": ("the same, on disk (fsync)", ("pull", "pack --fsync", "unpack")),
            "hash": ("sha256 of the same bytes, one core", ("verify store", "verify bundle")),
        }
        for name, (text, rows) in jobs.items():
            self.limits.append(Limit(text, median(walls[name]).wall, rows))
        for who, seconds in self.registry_cpu.items():
            if seconds:
                middle = sorted(seconds)[len(seconds) // 2]
                self.limits.append(Limit(f"the registry's own CPU while {who} pushes", middle, ("push",)))

    # -- one large layer

    def large(self, size: int) -> None:
        """One layer of `size` bytes through everything, once: its peak memory is what counts."""
        name = f"{size / MIB / 1024:g} GiB layer"
        with Registry(self.work / "large-source", self.trash.take) as source:
            say(f"making a {name}")
            names = corpus.push_all(source.host, self.work / "large", [corpus.large_image(size)])
            self.pull_row(f"{name}, pull", source.host, names, 0, runs=1)
            store = self.work / "large-store"
            self.hod_once("pull", names, "--source", source.host, "--store", store)
        bundle, zst = self.work / "large.tar", self.work / "large.tar.zst"
        tarred, layouts = self.work / "large-tarred.tar", self.work / "large-layouts"
        unpacked = self.work / "large-unpacked"

        def hod(job: str, *arguments, peer=None, peer_name=""):
            row = self.row(f"{name}, {job}", peer_name)
            self.in_turn(row, lambda: self.measured([self.hod, *arguments]), peer, runs=1)

        tar = ["tar", "cf", tarred, "-C", store, "docker"]
        hod("pack", "pack", names, "--store", store, "--output", bundle,
            peer=lambda: self.fresh(tar, tarred), peer_name="tar cf")
        hod("pack .zst", "pack", names, "--store", store, "--output", zst)
        hod("unpack", "unpack", bundle, "--output", unpacked)
        self.trash.take(unpacked)
        hod("unpack .zst", "unpack", zst, "--output", unpacked)
        self.trash.take(unpacked)
        hod("verify", "verify", bundle)
        self.hod_once("export", store, "--output", layouts)
        row = self.row(f"{name}, push", "skopeo sync --src dir")
        for costs, command in (
            (row.hod_costs, [self.hod, "push", bundle]),
            (row.peer_costs, [PEERS / "push.sh", layouts]),
        ):
            with Registry(self.work / "target", self.trash.take) as target:
                costs.append(self.measured([*command, target.host]))
        row = self.row(f"{name}, push .zst")
        with Registry(self.work / "target", self.trash.take) as target:
            row.hod_costs.append(self.measured([self.hod, "push", zst, target.host]))
        self.trash.take(bundle, zst, layouts, store)

    # -- all of it

    JOBS = ("pull", "select", "pack", "pack_zst", "unpack", "verify", "push", "far_pull", "far_push", "weather")

    def run(self, large_len: int) -> None:
        self.prepare()
        for job in self.JOBS:
            if not self.wanted or job in self.wanted:
                getattr(self, job)()
        if not self.wanted or "physical" in self.wanted:
            self.physical()
        if large_len and (not self.wanted or "large" in self.wanted):
            self.large(large_len)

    def report(self) -> str:
        rows = [row for row in self.rows if row.hod_costs]
        parts = [self.title(), table.comparison(rows)]
        floor = max((cost.floor for row in rows for cost in row.hod_costs), default=0)
        parts.append(
            "wall, cpu and mem say how many times hod's the peer's is. far: the"
            f" {N_FAR} smallest images through a proxy that adds a round trip of {ROUND_TRIP * 1000:.0f} ms.\n"
            f"MiB is the largest single process; below {floor // MIB} MiB nothing can be told apart,"
            f" and hod has to stay below {table.PEAK_MAX // MIB} MiB."
        )
        if self.limits:
            parts.append(table.limits(self.limits, rows))
        if self.counted:
            parts.append("\n".join(self.counted))
        missed = [miss for row in rows for miss in row.misses()]
        parts.append("\n  ".join(["bars missed:", *missed]) if missed else "no bar is missed")
        return "\n\n".join(parts)

    def title(self) -> str:
        version = lambda *command: subprocess.run(command, capture_output=True, text=True).stdout.split("\n")[0]
        n_images = len(self.names.read_text().splitlines())
        return (
            f"{n_images} images, {self.n_blobs} unique blobs, {self.len / MIB:.0f} MiB"
            f" ({self.apart_len / MIB:.0f} MiB if every image came alone)\n"
            f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[1]:.1f};"
            f" {self.runs} runs in turn, medians\n"
            f"{version(str(self.hod), '--version')}; {version('skopeo', '--version')};"
            f" {version('docker-registry', '--version')}; {version('tar', '--version')}"
        )


def as_json(bench: Bench) -> str:
    return json.dumps({
        "bytes": bench.len,
        "rows": [
            {
                "name": row.name,
                "peer": row.peer,
                "bar": row.bar,
                "hod": [vars(cost) for cost in row.hod_costs],
                "peer_costs": [vars(cost) for cost in row.peer_costs],
            }
            for row in bench.rows
        ],
        "limits": [vars(limit) for limit in bench.limits],
        "registry_cpu": bench.registry_cpu,
    }, indent=2)


def parse() -> argparse.Namespace:
    root = HERE.parent.parent
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__)
    parser.add_argument("--registry", metavar="HOST:PORT", help="a running registry that has the images; by default one of its own with images from a seed")
    parser.add_argument("--list", type=Path, metavar="FILE", help="the images, a `repository:tag` a line; with --registry")
    parser.add_argument("--runs", type=int, default=3, help="how often each side does each job (default: 3)")
    parser.add_argument("--rows", type=lambda text: text.split(","), default=[], metavar="JOB,...", help=f"only these jobs: {', '.join(Bench.JOBS)}, physical, large")
    parser.add_argument("--large", type=float, default=2, metavar="GIB", help="the size of the large layer; 0 leaves it out (default: 2)")
    parser.add_argument("--hod", type=Path, default=os.environ.get("HOD") or root / "target/release/hod", help="the binary (default: $HOD, else target/release/hod)")
    parser.add_argument("--work", type=Path, default=root / "target/bench", metavar="DIR", help="where to work; emptied (default: target/bench)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single measurement to this file")
    options = parser.parse_args()
    if (options.registry is None) != (options.list is None):
        parser.error("--registry and --list go together")
    unknown = set(options.rows) - {*Bench.JOBS, "physical", "large"}
    if unknown:
        parser.error(f"no such job: {', '.join(sorted(unknown))}")
    options.hod, options.work = options.hod.resolve(), options.work.resolve()
    return options


def main() -> int:
    options = parse()
    marker = options.work / ".hod-bench"
    if options.work.exists() and any(options.work.iterdir()) and not marker.exists():
        say(f"{options.work} is not empty and not the bench's; it is left alone")
        return 1
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    marker.touch()
    own = None
    try:
        if options.registry:
            bench = Bench(options, options.registry, options.list.resolve())
        else:
            own = Registry(options.work / "source", shutil.rmtree)
            say("making images")
            images = corpus.push_all(own.host, options.work / "images", corpus.images())
            bench = Bench(options, own.host, images)
        try:
            bench.run(int(options.large * 1024 * MIB))
        finally:
            # What was measured before a failure stands.
            if bench.rows:
                print(f"\n{bench.report()}", flush=True)
            if options.json:
                options.json.write_text(as_json(bench))
    except (Failed, OSError) as failure:
        say(f"tests/bench/run: {failure}")
        return 1
    finally:
        if own:
            own.stop()
        shutil.rmtree(options.work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
