"""Images from a seed: the same bytes on every machine, pushed into a registry."""

import hashlib
import http.client
import io
import json
import random
import tarfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from measure import Failed

MIB = 1024 * 1024
DOCKER = "application/vnd.docker.distribution.manifest"
MANIFEST = f"{DOCKER}.v2+json"
INDEX = f"{DOCKER}.list.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@dataclass
class Made:
    """A blob in a file."""

    path: Path
    digest: str
    size: int


@dataclass
class Image:
    name: str
    tag: str
    layers: dict[str, int]
    """Seeds of layers, shared by equal seed, with their sizes in KiB."""
    platforms: list[str] = field(default_factory=lambda: ["amd64"])


def images() -> list[Image]:
    """Products in two versions over shared bases, from a few KiB to a dozen MiB."""
    base, libs = {"base": 6 * 1024}, {"base": 6 * 1024, "libs": 4 * 1024}
    made = [
        Image("pause", "3.9", {"pause": 200}, ["amd64", "arm64"]),
        Image("busybox", "1.36", {"busybox": 700}, ["amd64", "arm64"]),
        Image("base/os", "12", base),
    ]
    for version in ("v1.0.0", "v1.0.1"):
        made += [
            Image("app/api", version, {**libs, f"api-{version}": 3 * 1024}),
            Image("app/controller", version, {**libs, f"controller-{version}": 5 * 1024}),
            Image("app/console", version, {**base, f"console-{version}": 2 * 1024, "assets": 3 * 1024}),
            Image("addons/proxy", version, {"proxy": 4 * 1024, f"proxy-{version}": 100}),
        ]
    return made


def write_layer(directory: Path, seed: str, size: int) -> Made:
    """A gzipped tar of one file of `size` random bytes, which no compression makes smaller."""
    path = directory / seed
    sha256, compress = hashlib.sha256(), zlib.compressobj(0, wbits=31)
    source = random.Random(seed)
    with path.open("wb") as out:

        def put(data: bytes) -> None:
            sha256.update(data)
            out.write(data)

        member = tarfile.TarInfo(f"srv/{seed}")
        member.size = size
        put(compress.compress(member.tobuf()))
        for offset in range(0, size, MIB):
            put(compress.compress(source.randbytes(min(MIB, size - offset))))
        put(compress.compress(bytes(-size % 512 + 1024)))
        put(compress.flush())
    return Made(path, f"sha256:{sha256.hexdigest()}", path.stat().st_size)


class Pusher:
    """Pushes into one registry."""

    def __init__(self, host: str, directory: Path):
        self.connection = http.client.HTTPConnection(host)
        self.directory = directory
        self.layers: dict[str, Made] = {}

    def ask(self, method: str, target: str, body=None, headers: dict | None = None, expect: int = 201):
        self.connection.request(method, target, body, headers or {})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != expect:
            raise Failed(f"{method} {target}: {answer.status} {text[:200]!r}")
        return answer

    def upload(self, name: str, digest: str, size: int, body) -> None:
        location = self.ask("POST", f"/v2/{name}/blobs/uploads/", expect=202).headers["Location"]
        target = location.split("//", 1)[-1].partition("/")[2]
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        self.ask("PUT", f"/{target}&digest={digest}", body, headers)

    def manifest(self, name: str, reference: str, value: dict) -> dict:
        data = json.dumps(value, indent=3).encode()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        headers = {"Content-Type": value["mediaType"]}
        self.ask("PUT", f"/v2/{name}/manifests/{reference or digest}", data, headers)
        return {"mediaType": value["mediaType"], "size": len(data), "digest": digest}

    def platform(self, image: Image, architecture: str, reference: str) -> dict:
        layers = []
        for seed, kib in image.layers.items():
            seed = seed if len(image.platforms) == 1 else f"{seed}-{architecture}"
            if seed not in self.layers:
                self.layers[seed] = write_layer(self.directory, seed, kib * 1024)
            layers.append(self.layers[seed])
        for layer in layers:
            with layer.path.open("rb") as body:
                self.upload(image.name, layer.digest, layer.size, body)
        config = json.dumps({
            "architecture": architecture,
            "os": "linux",
            "config": {"Labels": {"name": image.name, "version": image.tag}},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        }).encode()
        digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
        self.upload(image.name, digest, len(config), io.BytesIO(config))
        return self.manifest(image.name, reference, {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "size": len(config), "digest": digest},
            "layers": [{"mediaType": LAYER, "size": l.size, "digest": l.digest} for l in layers],
        })

    def push(self, image: Image) -> str:
        """Pushes one image; returns its line of a list."""
        if len(image.platforms) == 1:
            self.platform(image, image.platforms[0], image.tag)
        else:
            children = []
            for architecture in image.platforms:
                child = self.platform(image, architecture, "")
                children.append({**child, "platform": {"architecture": architecture, "os": "linux"}})
            self.manifest(image.name, image.tag, {
                "schemaVersion": 2,
                "mediaType": INDEX,
                "manifests": children,
            })
        return f"{image.name}:{image.tag}\n"


def push_all(host: str, work: Path, wanted: list[Image]) -> Path:
    """Pushes the images and returns a list of them."""
    work.mkdir(parents=True)
    pusher = Pusher(host, work)
    names = work / "images-list.txt"
    names.write_text("".join([pusher.push(image) for image in wanted]))
    for layer in pusher.layers.values():
        layer.path.unlink()
    return names


def large_image(size: int) -> Image:
    """An image of one layer of `size` bytes."""
    return Image("large/layer", "1", {"large": size // 1024})
