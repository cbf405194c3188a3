"""A dictionary with a bound: beyond it the entry that was used longest ago goes."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The entries that were used last; safe for threads.

    Args:
        most: how many it keeps.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """Return an entry and count it as used."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key]

    def get_or_add(self, key: K, make: Callable[[], V]) -> V:
        """Return the entry of ``key``, a new one if there is none."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key]
            entry = self._entries[key] = make()
            if len(self._entries) > self._most:
                self._entries.popitem(last=False)
            return entry

    def put(self, key: K, value: V) -> None:
        """Set an entry."""
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            if len(self._entries) > self._most:
                self._entries.popitem(last=False)

    def discard(self, key: K) -> None:
        """Forget an entry, if it is there."""
        with self._lock:
            self._entries.pop(key, None)
