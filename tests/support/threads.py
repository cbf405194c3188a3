"""Threads that run for as long as a ``with`` block does."""

from collections.abc import Sequence
from threading import Event, Thread
from types import TracebackType
from typing import Self


class Running:
    """Starts ``_threads`` with the block; at its end they see ``_stopping`` and are waited for."""

    _stopping: Event
    _threads: Sequence[Thread]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
