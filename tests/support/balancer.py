"""A load balancer that treats pods as Kubernetes does: it forwards connections, and follows readiness.

Each backend is probed at a fixed period; one failure takes it out (``failureThreshold: 1``), one success
puts it in. A connection goes to one backend and stays there; it is never tried again on another, and
whatever befalls it befalls the client.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from threading import Thread
from types import TracebackType
from typing import Any, Self

from tests.support.service import free_port

PROBE_TIMEOUT_SECONDS = 1.0
PROBE = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
HOST = "127.0.0.1"


@dataclass
class Backend:
    """One pod, and whether the last probe said it was ready."""

    port: int
    is_ready: bool = False
    probing: "asyncio.Task[None] | None" = field(default=None, repr=False)


class Balancer:
    """Listens on ``port`` and forwards to the ready backends in turn.

    Args:
        period_seconds: between two probes of a backend.
    """

    def __init__(self, period_seconds: float) -> None:
        self.port = free_port()
        self.refused = 0
        self._period_seconds = period_seconds
        self._backends: dict[int, Backend] = {}
        self._turn = 0
        self._open: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="balancer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, HOST, self.port))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def add(self, port: int) -> None:
        """Begin to probe a backend."""
        self._call(self._add(port))

    def remove(self, port: int) -> None:
        """Forget a backend that is gone."""
        self._call(self._remove(port))

    def is_ready(self, port: int) -> bool:
        """Tell whether a backend gets new connections."""
        return port in self._backends and self._backends[port].is_ready

    def _call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _add(self, port: int) -> None:
        backend = self._backends[port] = Backend(port)
        backend.probing = asyncio.create_task(self._probe_for_ever(backend))

    async def _remove(self, port: int) -> None:
        backend = self._backends.pop(port)
        await _cancelled([backend.probing])

    async def _close(self) -> None:
        self._server.close()
        await _cancelled([*(each.probing for each in self._backends.values()), *self._open])

    async def _probe_for_ever(self, backend: Backend) -> None:
        while True:
            backend.is_ready = await _answers_ready(backend.port)
            await asyncio.sleep(self._period_seconds)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._forward(reader, writer)
        except OSError:
            self.refused += 1
        finally:
            writer.close()
            self._open.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_read, to_write = await asyncio.open_connection(HOST, self._next())
        try:
            sending = asyncio.create_task(_copy(reader, to_write))
            await _copy(to_read, writer)  # when the service hangs up, so do we
            await _cancelled([sending])
        finally:
            to_write.close()

    def _next(self) -> int:
        ready = [backend.port for backend in self._backends.values() if backend.is_ready]
        if not ready:
            raise ConnectionError("no backend is ready")
        self._turn += 1
        return ready[self._turn % len(ready)]


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
    if target.can_write_eof() and not target.is_closing():
        target.write_eof()


async def _answers_ready(port: int) -> bool:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(PROBE)
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except OSError:  # a timeout is one too
        return False


async def _cancelled(tasks: "list[asyncio.Task[None] | None]") -> None:
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
