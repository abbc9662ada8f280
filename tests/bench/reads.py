"""Out of a bundle: back into a store, hashed, listed, served, handed to others."""

import os
import shutil

from measure import Cost, run
from registry import Registry, Server


def unpack(bench) -> None:
    out, untarred = bench.work / "unpacked", bench.work / "untarred"
    shell = lambda text: ["sh", "-c", text]
    jobs = {
        "unpack": ([bench.hod, "unpack", bench.bundle, "--output", out], ["tar", "xf", bench.bundle, "-C", untarred], "tar xf"),
        "unpack -": (
            shell(f"cat {bench.bundle} | {bench.hod} unpack - --output {out}"),
            shell(f"cat {bench.bundle} | tar xf - -C {untarred}"),
            "cat, tar xf -",
        ),
    }
    for name, (hod, tar, peer_name) in jobs.items():

        def peer():
            untarred.mkdir()
            return bench.fresh(tar, untarred)

        bench.in_turn(bench.row(name, peer_name), lambda: bench.fresh(hod, out), peer)


def verify(bench) -> None:
    """Beside the checksum of a file that people send along, which Debian's `sha256sum` computes without
    the instructions that CPUs have for it; OpenSSL has them, as hod has."""
    for name, source in (("verify store", bench.store), ("verify bundle", bench.bundle)):
        bench.in_turn(bench.row(name), lambda: bench.measured([bench.hod, "verify", source]))
    directory = bench.work / "verify-volumes"
    volumes = bench.volumes(directory)
    sources = {"bundle": (bench.bundle, [bench.bundle]), "volumes": (volumes[0], volumes)}
    peers = {"sha256sum": (["sha256sum"], 1 / 1.1)}
    if shutil.which("openssl"):
        peers["openssl dgst -sha256"] = (["openssl", "dgst", "-sha256"], 0)
    for what, (source, files) in sources.items():
        hod = lambda jobs: bench.measured([bench.hod, "verify", source, "--jobs", jobs])
        for peer_name, (peer, bar) in peers.items():
            row = bench.row(f"verify {what} -j 1", peer_name, bar)
            bench.in_turn(row, lambda: hod(1), lambda: bench.measured([*peer, *files]))
        bench.in_turn(bench.row(f"verify {what} -j 2", "hod verify -j 1"), lambda: hod(2), lambda: hod(1))
    bench.trash.take(directory)


def receipt(bench) -> None:
    out = bench.work / "have.json"
    for name, arguments in {
        "receipt BUNDLE": [bench.bundle],
        "receipt REGISTRY": [bench.source, "--list", bench.names],
    }.items():
        hod = [bench.hod, "receipt", *arguments, "--output", out]
        bench.in_turn(bench.row(name), lambda: bench.fresh(hod, out))


def export(bench) -> None:
    out, tarred = bench.work / "exported.tar", bench.work / "tarred.tar"
    hod = [bench.hod, "export", bench.bundle, "--format", "oci-archive", "--output", out]
    tar = ["tar", "cf", tarred, "-C", bench.tree, "."]
    row = bench.row("export oci-archive", "tar cf of the tree")
    bench.in_turn(row, lambda: bench.fresh(hod, out), lambda: bench.fresh(tar, tarred))


def serve(bench) -> None:
    """The server's CPU and memory while all is pulled from it; the wall time is that of the pull."""
    # As docker-registry wants it: a directory with the tree of all images.
    root = bench.work / "serve-registry"
    shutil.copytree(bench.tree / "docker", root / "data/docker", copy_function=os.link)
    pulled = bench.work / "served"

    def pull(server: Server) -> Cost:
        before = server.cpu()
        pull = [bench.hod, "pull", bench.stored_names, "--source", server.host, "--platform", "all", "--store", pulled]
        cost = run(pull, bench.log)
        bench.trash.take(pulled)
        return Cost(cost.wall, server.cpu() - before, server.peak(), 0)

    def hod() -> Cost:
        server = Server(lambda host: [bench.hod, "--quiet", "serve", bench.bundle, "--listen", host], bench.work / "serve.log")
        try:
            return pull(server)
        finally:
            server.stop()

    def peer() -> Cost:
        with Registry(root, lambda _: None) as registry:
            return pull(registry)

    bench.in_turn(bench.row("serve BUNDLE, hod pull", "docker-registry"), hod, peer)
    bench.trash.take(root)
