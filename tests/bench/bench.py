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
from pathlib import Path

import copies
import corpus
import deltas
import limits
import many
import packs
import pulls
import pushes
import reads
import syncs
import table
import weather
from measure import Failed, run, say
from registry import Registry
from table import MIB, Limit, Row
from trash import Trash

HERE = Path(__file__).resolve().parent
N_FAR = 10

JOBS = {
    "pull": pulls.pull,
    "select": pulls.select,
    "pack": packs.pack,
    "pack_cp": packs.pack_cp,
    "pack_volumes": packs.pack_volumes,
    "pack_xfs": packs.pack_xfs,
    "pack_zst": packs.pack_zst,
    "delta": deltas.delta,
    "unpack": reads.unpack,
    "verify": reads.verify,
    "receipt": reads.receipt,
    "export": reads.export,
    "serve": reads.serve,
    "many": many.many,
    "push": pushes.push,
    "push_volumes": pushes.push_volumes,
    "copy": copies.copy,
    "sync": syncs.sync,
    "far_copy": copies.far_copy,
    "far_pull": pulls.far_pull,
    "far_push": pushes.far_push,
    "far_sync": syncs.far_sync,
    "weather": weather.weather,
    "physical": limits.physical,
    "large": limits.large,
}
"""What can be asked for, in the order it is done."""


class Bench:
    """One session over one registry and list."""

    def __init__(self, options: argparse.Namespace, source: str, images: Path):
        self.hod, self.runs, self.work = options.hod, options.runs, options.work
        self.wanted = options.rows
        self.large_len = int(options.large * 1024 * MIB)
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

    def row(self, name: str, peer: str = "", bar: float = 0, wall_max: float = 0) -> Row:
        say(f"{name} ...")
        row = Row(name, peer, bar, wall_max)
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

    def warm(self, *paths: Path) -> None:
        """Reads files and trees, so that all of them are in memory, as far as there is memory."""
        self.measured(["sh", "-c", 'find "$@" -type f -exec cat {} + >/dev/null', "sh", *paths])

    # -- volumes

    def volume_len(self) -> int:
        """About a quarter of all there is."""
        return max(self.len // 4, 1 << 20)

    def volumes(self, directory: Path) -> list[Path]:
        """Packs everything as volumes into a new directory."""
        directory.mkdir()
        pack = ["pack", self.images, "--store", self.store, "--output", directory / "b.tar"]
        self.hod_once(*pack, "--volume-size", self.volume_len())
        return sorted(directory.iterdir())

    # -- all of it

    def run(self) -> None:
        self.prepare()
        for name, job in JOBS.items():
            if not self.wanted or name in self.wanted:
                job(self)

    def report(self) -> str:
        rows = [row for row in self.rows if row.hod_costs]
        parts = [self.title(), table.comparison(rows)]
        floor = max((cost.floor for row in rows for cost in row.hod_costs), default=0)
        parts.append(
            "wall, cpu and mem say how many times hod's the peer's is. far: the"
            f" {N_FAR} smallest images through a proxy that adds a round trip of {weather.ROUND_TRIP * 1000:.0f} ms.\n"
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
                "wall_max": row.wall_max,
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
    parser.add_argument("--rows", type=lambda text: text.split(","), default=[], metavar="JOB,...", help=f"only these jobs: {', '.join(JOBS)}")
    parser.add_argument("--large", type=float, default=2, metavar="GIB", help="the size of the large layer; 0 leaves it out (default: 2)")
    parser.add_argument("--hod", type=Path, default=os.environ.get("HOD") or root / "target/release/hod", help="the binary (default: $HOD, else target/release/hod)")
    parser.add_argument("--work", type=Path, default=root / "target/bench", metavar="DIR", help="where to work; emptied (default: target/bench)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single measurement to this file")
    options = parser.parse_args()
    if (options.registry is None) != (options.list is None):
        parser.error("--registry and --list go together")
    unknown = set(options.rows) - set(JOBS)
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
            bench.run()
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
