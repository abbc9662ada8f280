"""delay.py LISTEN TARGET SECONDS [CUT SEED COUNT]: passes TCP connections on, and every byte later.

Each direction is a pipeline of its own: a byte leaves SECONDS after it came, however many are on
the way, so that round trips get longer and throughput stays what it was. Opening a connection
costs nothing.

CUT is how likely it is that 64 KiB, or less that comes at once, are the last of their connection,
which is then reset; chance begins with SEED. The number of connections is written to COUNT in the end.
"""

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

READ_LEN = 256 * 1024
CUT_LEN = 64 * 1024
CHUNKS_ON_THE_WAY_MAX = 4096


class Cut(Exception):
    """The line broke."""


class Proxy:
    def __init__(self, target: str, seconds: float, cut: float, seed: int):
        self.target, self.seconds, self.cut = target, seconds, cut
        self.chance = random.Random(seed)
        self.n_connections = 0

    def breaks(self, length: int) -> bool:
        pieces = -(-length // CUT_LEN)
        return self.cut > 0 and self.chance.random() > (1 - self.cut) ** pieces

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clock = asyncio.get_running_loop().time
        under_way: asyncio.Queue = asyncio.Queue(CHUNKS_ON_THE_WAY_MAX)

        async def take() -> None:
            chunk = None
            while chunk != b"":
                try:
                    chunk = await reader.read(READ_LEN)
                except ConnectionError:
                    chunk = b""
                await under_way.put((clock() + self.seconds, chunk))

        taking = asyncio.create_task(take())
        try:
            while True:
                due, chunk = await under_way.get()
                await asyncio.sleep(due - clock())
                if not chunk:
                    break
                if self.breaks(len(chunk)):
                    raise Cut
                writer.write(chunk)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        finally:
            taking.cancel()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connections += 1
        host, port = self.target.rsplit(":", 1)
        try:
            far_reader, far_writer = await asyncio.open_connection(host, int(port), limit=READ_LEN)
        except OSError:
            writer.transport.abort()
            return
        ends = writer, far_writer
        ways = [asyncio.ensure_future(self.carry(*way)) for way in ((reader, far_writer), (far_reader, writer))]
        try:
            await asyncio.gather(*ways)
        except (Cut, OSError):
            for way in ways:
                way.cancel()
            for end in ends:
                end.transport.abort()
        for end in ends:
            end.close()


async def main(listen: str, proxy: Proxy, count: str | None) -> None:
    host, port = listen.rsplit(":", 1)
    server = await asyncio.start_server(proxy.connected, host, int(port), limit=READ_LEN)

    def end() -> None:
        if count:
            Path(count).write_text(str(proxy.n_connections))
        # At once: what is still on the way has nobody left to go to.
        os._exit(0)

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    listen, target, seconds, *more = sys.argv[1:]
    cut, seed, count = more or ("0", "0", None)
    asyncio.run(main(listen, Proxy(target, float(seconds), float(cut), int(seed)), count))
