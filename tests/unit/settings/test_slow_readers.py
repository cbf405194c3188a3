"""How many slow readers a worker bears follows its threads, unless it is set."""

import pytest

from datastorage.settings import Settings, SettingsError
from datastorage.settings.groups import ServerSettings

SERVERS = {
    "DATASTORAGE_DATABASE_URL": "postgresql://app:x@127.0.0.1:1/none",
    "DATASTORAGE_REDIS_URL": "redis://127.0.0.1:1/0",
}


@pytest.mark.parametrize(("threads", "readers"), [(32, 8), (4, 4)])
def test_default_is_never_more_than_the_threads(threads: int, readers: int) -> None:
    assert ServerSettings(threads=threads).slow_readers == readers


def test_more_than_the_threads_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"max_slow_readers must be at most server\.threads"):
        Settings.from_environ(SERVERS | {"DATASTORAGE_SERVER_MAX_SLOW_READERS": "33"})


@pytest.mark.parametrize(("percent", "total", "reads"), [(25, 32, 24), (25, 12, 9), (0, 8, 8), (75, 1, 1)])
def test_reads_may_hold_what_is_not_kept_for_writes(percent: int, total: int, reads: int) -> None:
    assert ServerSettings(write_reserve_percent=percent).share_of_reads(total) == reads
