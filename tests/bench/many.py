"""A bundle of many images, of which nothing but its head is to be read to say what is in it."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import corpus
from measure import say
from table import MIB

N_IMAGES = 300
LAYERS_EACH = 5
LAYER_LEN = 6 * MIB
"""Of the shortest; with the steps, 1,500 of them are 10 GB."""
STEP = 512
SPACE_NEEDED = 12 * 1024 * MIB
WALL_MAX = 0.050


class Tree:
    """A registry's storage tree, written as it stands on the disk; all layers are holes."""

    def __init__(self, root: Path):
        self.root = root / "docker/registry/v2"
        self.zeros = hashlib.sha256(bytes(LAYER_LEN))
        self.n_layers = 0

    def link(self, path: str, digest: str) -> None:
        file = self.root / "repositories" / path / "link"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(digest)

    def blob(self, digest: str) -> Path:
        hexes = digest.removeprefix("sha256:")
        file = self.root / "blobs/sha256" / hexes[:2] / hexes / "data"
        file.parent.mkdir(parents=True)
        return file

    def put(self, data: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.blob(digest).write_bytes(data)
        return digest

    def layer(self) -> dict:
        """One that no other is like, for it is longer; what was hashed of it is not hashed again."""
        self.zeros.update(bytes(STEP))
        self.n_layers += 1
        size = LAYER_LEN + self.n_layers * STEP
        digest = f"sha256:{self.zeros.hexdigest()}"
        file = self.blob(digest)
        file.touch()
        os.truncate(file, size)
        return {"mediaType": corpus.LAYER, "size": size, "digest": digest}

    def image(self, name: str, tag: str) -> None:
        layers = [self.layer() for _ in range(LAYERS_EACH)]
        config = json.dumps({
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"name": name, "version": tag}},
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
        }).encode()
        config_digest = self.put(config)
        manifest = self.put(json.dumps({
            "schemaVersion": 2,
            "mediaType": corpus.MANIFEST,
            "config": {"mediaType": corpus.CONFIG, "size": len(config), "digest": config_digest},
            "layers": layers,
        }).encode())
        for digest in (config_digest, *(layer["digest"] for layer in layers)):
            self.link(f"{name}/_layers/{digest.replace(':', '/')}", digest)
        path = manifest.replace(":", "/")
        self.link(f"{name}/_manifests/revisions/{path}", manifest)
        self.link(f"{name}/_manifests/tags/{tag}/index/{path}", manifest)
        self.link(f"{name}/_manifests/tags/{tag}/current", manifest)


def many(bench) -> None:
    free = shutil.disk_usage(bench.work).free
    if free < SPACE_NEEDED:
        bench.counted.append(f"{N_IMAGES} images: left out, for want of {(SPACE_NEEDED - free) // MIB + 1} MiB of space")
        return
    tree, old, new = bench.work / "many-tree", bench.work / "many.tar", bench.work / "many-new.tar"
    say(f"making a bundle of {N_IMAGES} images ...")
    made = Tree(tree)
    for n in range(N_IMAGES):
        made.image(f"product/service-{n:03}", "v1.0.0")
    bench.hod_once("pack", tree, "--output", old)
    # Its zeros become holes again, so that nobody waits until they are on the disk.
    subprocess.run(["fallocate", "--dig-holes", old], check=False)
    size = f"{old.stat().st_size / 1e9:.1f} GB"
    bench.counted.append(f"{size}: {N_IMAGES} images, {made.n_layers} layers; diff: to a delta of one image more")
    made.image("product/service-000", "v1.0.1")
    bench.hod_once("pack", tree, "--since", old, "--output", new)
    for verb, bundles in {"ls": [old], "diff": [old, new]}.items():
        row = bench.row(f"{verb}, {size}", wall_max=WALL_MAX)
        bench.in_turn(row, lambda: bench.measured([bench.hod, verb, *bundles]))
    bench.trash.take(tree, old, new)
