"""A TCP proxy that forwards, swallows whatever comes, or stops after a number of bytes."""

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Self

_CHUNK = 65_536


class TcpProxy:
    """Stands between clients and a port of the loopback, on a thread of its own. Enter it to start it.

    As a black hole it takes connections and bytes and answers nothing. When that ends, the connections that lost
    bytes are closed, as by a router that forgot them: on a real one no bytes vanish from the middle of a stream.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._connections: set[_Connection] = set()
        self._limit: int | None = None
        self._open = asyncio.Event()
        self._open.set()
        self.port = 0
        self.bytes_sent = 0
        """Counts what clients sent and was forwarded."""
        self.swallows = False
        self.reached = threading.Event()
        """Is set when the limit of :meth:`hold_after` was reached."""

    @property
    def url(self) -> str:
        """Give the URL of a Redis behind this proxy."""
        return f"redis://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def hold_after(self, count: int) -> None:
        """Forward that many bytes more of the clients', to the byte, then nothing in either direction."""
        self._limit = self.bytes_sent + count

    def release(self) -> None:
        """Forward again what was held, and all else."""
        self._limit = None
        self._loop.call_soon_threadsafe(self._open.set)

    def swallow(self) -> None:
        """Be a black hole from now on. Returns when it is one."""
        asyncio.run_coroutine_threadsafe(self._swallow(on=True), self._loop).result()

    def forward(self) -> None:
        """Be no black hole any more."""
        asyncio.run_coroutine_threadsafe(self._swallow(on=False), self._loop).result()

    async def pass_on(self, data: bytes, writer: asyncio.StreamWriter, *, counted: bool) -> None:
        """Forward bytes as far as allowed, and wait with the rest until they are."""
        while data:
            await self._open.wait()
            size = len(data)
            if counted and self._limit is not None:
                size = min(size, self._limit - self.bytes_sent)
            writer.write(data[:size])
            await writer.drain()
            data = data[size:]
            if counted:
                self.bytes_sent += size
                if self._limit is not None and self.bytes_sent >= self._limit:
                    self._open.clear()
                    self.reached.set()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, writer)
        self._connections.add(connection)
        try:
            await connection.run(reader, self._target_port)
        finally:
            self._connections.discard(connection)

    async def _swallow(self, *, on: bool) -> None:
        self.swallows = on
        if not on:
            for connection in list(self._connections):
                connection.close_if_lossy()

    async def _close(self) -> None:
        self._server.close()
        for connection in list(self._connections):
            connection.close()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)


class _Connection:
    """Is one client's connection and the one to the target that belongs to it."""

    def __init__(self, proxy: TcpProxy, client: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._writers = [client]
        self._pumps: list[asyncio.Task[None]] = []
        self._lossy = False

    async def run(self, reader: asyncio.StreamReader, target_port: int) -> None:
        """Forward both ways until either end hangs up."""
        client = self._writers[0]
        with contextlib.suppress(OSError):
            target_reader, target = await asyncio.open_connection("127.0.0.1", target_port)
            self._writers.append(target)
            self._pumps = [
                asyncio.create_task(self._pump(reader, target, counted=True)),
                asyncio.create_task(self._pump(target_reader, client, counted=False)),
            ]
            await asyncio.wait(self._pumps, return_when=asyncio.FIRST_COMPLETED)
        self.close()

    def close(self) -> None:
        """Hang up on both ends at once."""
        for pump in self._pumps:
            pump.cancel()
        for writer in self._writers:
            writer.transport.abort()

    def close_if_lossy(self) -> None:
        """Hang up if bytes were swallowed."""
        if self._lossy:
            self.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self._proxy.swallows:
                    self._lossy = True
                else:
                    await self._proxy.pass_on(data, writer, counted=counted)
