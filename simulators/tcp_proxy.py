"""A wire between client and server that can be stalled, torn, garbled and slowed, whatever protocol runs on it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

CHUNK_BYTES = 64 * 1024
START_S_MAX = 10.0


class _Pipe:
    """One connection: two directions, which stand still together when it is stalled."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server
        self.moving = asyncio.Event()
        self.moving.set()
        self.bytes_left: int | None = None
        """So many more reach the server; then the connection is torn. None: no limit."""

    def close(self, *, abort: bool = False) -> None:
        for writer in (self.client, self.server):
            if abort:
                writer.transport.abort()
            else:
                writer.close()


class TcpProxy:
    """Listens on `host`:`port` and passes everything to `target`. Use as a context; callable from any thread."""

    def __init__(self, target: tuple[str, int], *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._target = target
        self._host = host
        self.port = port
        """Where it listens; chosen by the system when 0 was given."""
        self.delay_s = 0.0
        """Each piece waits so long, each way."""
        self.piece_bytes = CHUNK_BYTES
        """What is passed on at once."""
        self.refusing = False
        """New connections are accepted and closed at once."""
        self.connections = 0
        """Accepted so far."""
        self._pipes: set[_Pipe] = set()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._started.wait(START_S_MAX):
            raise RuntimeError(f"the proxy for {self._target} did not start")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @property
    def clients(self) -> list[int]:
        """The ports that the present connections come from."""
        return [int(pipe.client.get_extra_info("peername")[1]) for pipe in list(self._pipes)]

    def stall(self) -> None:
        """Let the present connections stand open and pass nothing: neither end is told. New ones work."""
        self._each(lambda pipe: pipe.moving.clear())

    def resume(self) -> None:
        """Let stalled connections go on with what was held back."""
        self._each(lambda pipe: pipe.moving.set())

    def reset(self) -> None:
        """Break the present connections at once (RST)."""
        self._each(lambda pipe: pipe.close(abort=True))

    def garble(self, *, to_client: bytes = b"", to_server: bytes = b"") -> None:
        """Put foreign bytes into each present connection's stream."""

        def inject(pipe: _Pipe) -> None:
            pipe.client.write(to_client)
            pipe.server.write(to_server)

        self._each(inject)

    def tear_after(self, bytes_more: int) -> None:
        """Break each present connection once so many more bytes have gone to the server: in mid-packet, most likely."""

        def limit(pipe: _Pipe) -> None:
            pipe.bytes_left = bytes_more

        self._each(limit)

    def _each(self, act: Callable[[_Pipe], None]) -> None:
        done = threading.Event()

        def run() -> None:
            for pipe in list(self._pipes):
                act(pipe)
            done.set()

        self._loop.call_soon_threadsafe(run)
        if not done.wait(START_S_MAX):
            raise RuntimeError("the proxy does not turn any more")

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, self._host, self.port))
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        for pipe in list(self._pipes):
            pipe.close(abort=True)
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.refusing:
            writer.close()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        pipe = _Pipe(writer, far_writer)
        self._pipes.add(pipe)
        try:
            await asyncio.gather(
                self._pass(pipe, reader, far_writer, upward=True), self._pass(pipe, far_reader, writer, upward=False)
            )
        finally:
            self._pipes.discard(pipe)
            pipe.close(abort=True)

    async def _pass(
        self, pipe: _Pipe, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, upward: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(self.piece_bytes):
                await pipe.moving.wait()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if upward and pipe.bytes_left is not None:
                    data = data[: pipe.bytes_left]
                    pipe.bytes_left -= len(data)
                writer.write(data)
                await writer.drain()
                if upward and pipe.bytes_left == 0:
                    break
        pipe.close()
