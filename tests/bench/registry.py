"""docker-registry on loopback, on a free port, over a directory of its own."""

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from measure import Failed

CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: {silent}}}}}
storage:
  cache: {{blobdescriptor: inmemory}}
  filesystem: {{rootdirectory: {root}}}
  delete: {{enabled: true}}
http: {{addr: "{host}"}}
"""
START_SECONDS_MAX = 10


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(host: str, process: subprocess.Popen, what: str) -> None:
    """Returns when somebody listens there."""
    name, port = host.rsplit(":", 1)
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((name, int(port)), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise Failed(f"{what} did not start on {host}")


class Server:
    """A server that is running, on a free port of its own."""

    def __init__(self, command: Callable[[str], list], log: Path):
        """`command` is given the `HOST:PORT` to listen on; what it says goes to `log`."""
        self.host = f"127.0.0.1:{free_port()}"
        # A setting of the caller's own registry would take the place of ours.
        env = {k: v for k, v in os.environ.items() if not k.startswith("REGISTRY_")}
        self.command = [str(part) for part in command(self.host)]
        with log.open("wb") as output:
            self.process = subprocess.Popen(self.command, stdout=output, stderr=output, env=env)
        wait_for(self.host, self.process, self.command[0])

    def cpu(self) -> float:
        """Seconds of CPU that it used so far."""
        fields = self.about("stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak(self) -> int:
        """Bytes of memory that it held at once so far."""
        return next(int(line.split()[1]) * 1024 for line in self.about("status").splitlines() if line.startswith("VmHWM:"))

    def about(self, what: str) -> str:
        return Path(f"/proc/{self.process.pid}/{what}").read_text()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


class Registry(Server):
    """A running docker-registry over a directory, new or not, which `discard` takes in the end."""

    def __init__(self, directory: Path, discard: Callable[[Path], None], counts: bool = False):
        """With `counts` it keeps a log of its requests."""
        self.directory, self.discard = directory, discard
        directory.mkdir(parents=True, exist_ok=True)

        def command(host: str) -> list:
            config = directory / "config.yml"
            config.write_text(CONFIG.format(root=directory / "data", host=host, silent=str(not counts).lower()))
            return ["docker-registry", "serve", config]

        super().__init__(command, directory / "log")

    def requests(self) -> list[tuple[str, str]]:
        """Method and path of all requests that were answered so far."""
        lines = (self.directory / "log").read_text(errors="replace").splitlines()
        asked = [line.split('"')[1].split(" ") for line in lines if ' HTTP/1.1" ' in line]
        return [(method, path.split("?")[0]) for method, path, _ in asked]

    def blobs(self) -> set[str]:
        """The digests of everything it has, manifests too."""
        return {path.parent.name for path in self.directory.glob("data/**/blobs/sha256/*/*/data")}

    def manifests(self) -> set[str]:
        """The digests of the manifests it has."""
        return {path.parent.name for path in self.directory.glob("data/**/revisions/sha256/*/link")}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.discard(self.directory)
