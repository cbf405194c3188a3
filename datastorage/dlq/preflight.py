"""What Redis must not do behind our back: evict, forget or lose what was acknowledged."""

import logging
from typing import Any, Final

import redis

from datastorage.settings import RedisSettings

logger = logging.getLogger(__name__)

SUPPOSED_ENTRY_BYTES: Final = 2048
"""Mean size of an entry where nobody has measured it."""
ROOM: Final = 4 * 2
"""Two queues, and as much again for retry sets, dead letters and what Redis needs for itself, twice."""
FIRST_WITH_WAITAOF: Final = (7, 2)


def check_redis(client: redis.Redis, settings: RedisSettings) -> list[str]:
    """Log a warning for every setting of the server that may lose entries, and return their names.

    None of them is fatal: ``CONFIG`` may be forbidden, and without Redis the service works without its
    fallback. An unreachable server is logged as an error, with the name ``redis``.
    """
    try:
        version = client.info("server")
    except (redis.RedisError, OSError) as error:
        logger.error("Redis unreachable, no fallback for audit writes", extra={"cause": type(error).__name__})  # noqa: TRY400 - expected, and the trace says nothing more
        return ["redis"]
    try:
        found: dict[str, Any] = {**client.config_get("maxmemory*"), **client.config_get("append*")}  # type: ignore[dict-item]
    except (redis.RedisError, OSError) as error:
        extra = {"cause": type(error).__name__}
        logger.warning("Redis configuration cannot be read, durability of the DLQ unknown", extra=extra)
        found = {}
    wrong = _wrong_settings(found, settings)
    for name, wanted in wrong.items():
        extra = {"setting": name, "value": found[name], "wanted": wanted}
        logger.warning("Redis may lose entries of the DLQ", extra=extra)
    return [*wrong, *_missing_commands(version, settings)]


def _wrong_settings(found: dict[str, Any], settings: RedisSettings) -> dict[str, str]:
    """Return what is wanted instead, by name of the setting; what could not be read is not judged."""
    least_bytes = ROOM * settings.dlq_max_len * SUPPOSED_ENTRY_BYTES
    wanted = {}
    if found.get("maxmemory-policy", "noeviction") != "noeviction":
        wanted["maxmemory-policy"] = "noeviction"
    if found.get("appendonly", "yes") != "yes":
        wanted["appendonly"] = "yes"
    if found.get("appendfsync", "always") == "no":
        wanted["appendfsync"] = "everysec or always"
    if 0 < int(found.get("maxmemory", 0)) < least_bytes:
        wanted["maxmemory"] = f"at least {least_bytes}"
    return wanted


def _missing_commands(info: Any, settings: RedisSettings) -> list[str]:
    version = str(info.get("redis_version", ""))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if settings.dlq_require_aof == "true" and numbers < FIRST_WITH_WAITAOF:
        logger.error("redis.dlq_require_aof needs Redis 7.2 or later", extra={"version": version})
        return ["dlq_require_aof"]
    return []
