"""Counting in sliding windows: in the memory of a worker, or by the ``limits`` library in Redis for all pods.

The library's own memory starts a thread up to a hundred times a second to clear itself, and a count took some
fifty microseconds of processor time. Two dictionaries, of this window and the one before, take three.
"""

import math
import time
from collections.abc import Callable
from threading import Lock
from typing import Final

import redis
from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import RedisStorage, Storage
from limits.strategies import SlidingWindowCounterRateLimiter

from datastorage.platform.access.rates import Quota
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.metrics import Metrics
from datastorage.settings import Rate

MAX_KEYS: Final = 10_000
FALLBACK_SECONDS: Final = 10.0
"""After an error of Redis each worker counts for itself so long."""
KEY_PREFIX: Final = "datastorage:limit"
_OTHERS: Final = "others"
_SECOND: Final = 1


def shared_storage(client: redis.Redis) -> Storage:
    """Return a storage in the Redis of ``client``."""
    return RedisStorage("redis://", connection_pool=client.connection_pool, key_prefix=KEY_PREFIX)


class RateLimit:
    """One limit, for all its callers.

    Args:
        policy: its name.
        rate: what is allowed.
        workers: among which a count in memory is divided.
        shared: makes the storage that all pods share, ``None`` to count in memory.
        metrics: counts errors of the shared storage.
    """

    def __init__(
        self, policy: str, rate: Rate, workers: int, shared: Callable[[], Storage] | None, metrics: Metrics
    ) -> None:
        self._policy = policy
        self._errors = metrics.rate_limit_backend_errors
        self._own = _OwnWindows(Rate(math.ceil(rate.amount / workers), rate.seconds))
        self._shared = None if shared is None else _SharedWindows(rate, shared())
        self._shared_again_at = 0.0

    def count(self, key: str) -> Quota:
        """Count one request of ``key``."""
        return self._asked(key, counts=True)

    def look(self, key: str) -> Quota:
        """Tell where ``key`` stands, and count nothing."""
        return self._asked(key, counts=False)

    def _asked(self, key: str, *, counts: bool) -> Quota:
        if self._shared is not None and monotonic_seconds() >= self._shared_again_at:
            try:
                return self._shared.quota(self._policy, key, counts=counts)
            except (redis.RedisError, OSError):
                self._errors.inc()
                self._shared_again_at = monotonic_seconds() + FALLBACK_SECONDS
        return self._own.quota(self._policy, key, counts=counts)


class _OwnWindows:
    """One rate in memory: what was counted in this window, and the part of the last one that still counts."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._number = 0
        self._current: dict[str, int] = {}
        self._before: dict[str, int] = {}
        self._lock = Lock()

    def quota(self, policy: str, key: str, *, counts: bool) -> Quota:
        windows = monotonic_seconds() / self._rate.seconds
        number = int(windows)
        with self._lock:
            self._move_to(number)
            if key not in self._current and len(self._current) >= MAX_KEYS:
                key = _OTHERS
            before, current = self._before.get(key, 0), self._current.get(key, 0)
            left = number + 1 - windows
            is_exceeded = before * left + current >= self._rate.amount
            if counts and not is_exceeded:
                current += 1
                self._current[key] = current
        remaining = max(self._rate.amount - math.floor(before * left + current), 0)
        reset_seconds = self._reset_seconds(before, current, left)
        return Quota(policy, self._rate, remaining, reset_seconds, is_exceeded)

    def _move_to(self, number: int) -> None:
        if number != self._number:
            self._before = self._current if number == self._number + 1 else {}
            self._current, self._number = {}, number

    def _reset_seconds(self, before: int, current: int, left: float) -> int:
        """Return in how many whole seconds a request passes; where one passes now, when the window ends."""
        free = self._rate.amount - current
        waits = left - free / before if before and 0 < free <= before * left else left
        return max(math.ceil(waits * self._rate.seconds), 1)


class _SharedWindows:
    """One rate in a storage of the library."""

    def __init__(self, rate: Rate, storage: Storage) -> None:
        self._rate = rate
        self._item = _item(rate)
        self._strategy = SlidingWindowCounterRateLimiter(storage)
        self._keys: set[str] = set()
        self._keys_since = monotonic_seconds()
        self._lock = Lock()

    def quota(self, policy: str, key: str, *, counts: bool) -> Quota:
        place = self._place_of(key)
        allowed = (self._strategy.hit if counts else self._strategy.test)(self._item, policy, place)
        found = self._strategy.get_window_stats(self._item, policy, place)
        reset_seconds = max(1, math.ceil(found.reset_time - time.time()))
        return Quota(policy, self._rate, max(found.remaining, 0), reset_seconds, not allowed)

    def _place_of(self, key: str) -> str:
        """Return under which key is counted: beyond a number of keys further ones share one."""
        with self._lock:
            now = monotonic_seconds()
            if now - self._keys_since > 2 * self._rate.seconds:
                self._keys, self._keys_since = set(), now
            if key not in self._keys and len(self._keys) >= MAX_KEYS:
                return _OTHERS
            self._keys.add(key)
            return key


def _item(rate: Rate) -> RateLimitItem:
    per = RateLimitItemPerSecond if rate.seconds == _SECOND else RateLimitItemPerMinute
    return per(rate.amount)
