"""delay.py LISTEN TARGET SECONDS: passes TCP connections on, and every byte later.

Each direction is a pipeline of its own: a byte leaves SECONDS after it came, however many are on
the way, so that round trips get longer and throughput stays what it was. Opening a connection
costs nothing.
"""

import asyncio
import sys

READ_LEN = 256 * 1024
CHUNKS_ON_THE_WAY_MAX = 4096


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    clock = asyncio.get_running_loop().time
    under_way: asyncio.Queue = asyncio.Queue(CHUNKS_ON_THE_WAY_MAX)

    async def take() -> None:
        chunk = None
        while chunk != b"":
            try:
                chunk = await reader.read(READ_LEN)
            except ConnectionError:
                chunk = b""
            await under_way.put((clock() + seconds, chunk))

    async def give() -> None:
        while True:
            due, chunk = await under_way.get()
            await asyncio.sleep(due - clock())
            if not chunk:
                break
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    taking = asyncio.create_task(take())
    try:
        await give()
    except (ConnectionError, OSError):
        writer.transport.abort()
    finally:
        taking.cancel()


async def main(listen: str, target: str, seconds: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = target.rsplit(":", 1)
        try:
            far_reader, far_writer = await asyncio.open_connection(host, int(port), limit=READ_LEN)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(carry(reader, far_writer, seconds), carry(far_reader, writer, seconds))
        for end in (writer, far_writer):
            end.close()

    host, port = listen.rsplit(":", 1)
    server = await asyncio.start_server(connected, host, int(port), limit=READ_LEN)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
