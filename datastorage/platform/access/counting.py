"""Counting in sliding windows, by the ``limits`` library: in memory, or in Redis for all pods."""

import math
import time
from collections.abc import Callable
from threading import Lock
from typing import Final

import redis
from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage, RedisStorage, Storage
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
        self._own_rate = Rate(math.ceil(rate.amount / workers), rate.seconds)
        self._own = _Counting(self._own_rate, MemoryStorage())
        self._rate = rate
        self._shared = None if shared is None else _Counting(rate, shared())
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


class _Counting:
    """One rate in one storage."""

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
