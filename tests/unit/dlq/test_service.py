import logging

import pytest
from redis import exceptions as redis_errors

from datastorage.dlq.durability import NotDurable
from datastorage.dlq.service import band_of, failure_reason
from datastorage.dlq.stream import QueueFull


@pytest.mark.parametrize(
    ("depth", "text"),
    [
        (0, None),
        (799, None),
        (800, "DLQ near capacity"),
        (899, "DLQ near capacity"),
        (900, "DLQ CRITICAL capacity"),
        (949, "DLQ CRITICAL capacity"),
        (950, "DLQ OVERFLOW IMMINENT"),
        (1000, "DLQ OVERFLOW IMMINENT"),
    ],
)
def test_band_is_the_first_that_the_ratio_reaches(depth: int, text: str | None) -> None:
    band = band_of(depth / 1000)

    assert (band.text if band else None) == text


def test_only_the_lowest_band_is_no_error() -> None:
    levels = [band.level for ratio in (0.8, 0.9, 0.95) if (band := band_of(ratio))]

    assert levels == [logging.INFO, logging.ERROR, logging.ERROR]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (redis_errors.ConnectionError("refused"), "redis_unavailable"),
        (ConnectionResetError(), "redis_unavailable"),
        (redis_errors.TimeoutError("slow"), "timeout"),
        (TimeoutError(), "timeout"),
        (redis_errors.OutOfMemoryError("OOM"), "oom"),
        (redis_errors.ReadOnlyError("READONLY"), "readonly"),
        (redis_errors.AuthenticationError("WRONGPASS"), "auth"),
        (redis_errors.NoPermissionError("NOPERM"), "auth"),
        (redis_errors.BusyLoadingError("LOADING"), "loading"),
        (redis_errors.ResponseError("MISCONF"), "other"),
        (QueueFull(1000), "full"),
        (NotDurable(), "not_durable"),
    ],
)
def test_every_way_not_to_queue_has_its_reason(error: Exception, reason: str) -> None:
    assert failure_reason(error) == reason
