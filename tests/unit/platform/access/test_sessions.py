from datetime import UTC, datetime, timedelta
from http.cookies import Morsel, SimpleCookie
from typing import Any

import pytest

from datastorage.platform.access.credentials import Credentials
from datastorage.platform.access.sealing import Seal
from datastorage.platform.access.session_keys import SessionKeys
from datastorage.platform.access.sessions import SESSION_COOKIE, Sessions, is_of_console
from tests.support.clocks import SetClock

TOKEN = "a-token"
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def sessions_of(keys: SessionKeys, clock: SetClock) -> Sessions:
    return Sessions(
        keys=keys,
        seal=Seal(keys),
        longest=timedelta(hours=1),
        is_trusted_proxy=lambda address: address == "10.0.0.1",
        clock=clock,
    )


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW)


@pytest.fixture
def sessions(clock: SetClock) -> Sessions:
    return sessions_of(SessionKeys.random(), clock)


def begun(sessions: Sessions, expires_at: float | None = None) -> Morsel[str]:
    cookie = sessions.begin({}, TOKEN, expires_at)
    assert cookie is not None
    return SimpleCookie(cookie)[SESSION_COOKIE]


def opened(sessions: Sessions, sealed: str, **environ: str) -> dict[str, Any]:
    found: dict[str, Any] = {"HTTP_COOKIE": f"{SESSION_COOKIE}={sealed}", **environ}
    sessions.open(found)
    return found


def reason(environ: dict[str, Any]) -> str:
    fault = Credentials(environ).fault
    return "" if fault is None else fault.reason


def test_session_lets_its_token_stand_in_the_request(sessions: Sessions) -> None:
    assert Credentials(opened(sessions, begun(sessions).value)).token == TOKEN


def test_token_cannot_be_read_in_the_cookie(sessions: Sessions) -> None:
    assert TOKEN not in begun(sessions).value


def test_session_ends_after_its_time_wherever_the_cookie_is_kept(sessions: Sessions, clock: SetClock) -> None:
    sealed = begun(sessions).value

    clock.now = NOW + timedelta(minutes=59)
    assert reason(opened(sessions, sealed)) == ""
    clock.now = NOW + timedelta(minutes=61)
    assert reason(opened(sessions, sealed)) == "session_invalid"


@pytest.mark.parametrize(("minutes", "seconds"), [(None, 3600), (90, 3600), (10, 600), (-1, 0)])
def test_cookie_lives_as_long_as_the_session_or_the_token(
    sessions: Sessions, minutes: int | None, seconds: int
) -> None:
    expires_at = None if minutes is None else (NOW + timedelta(minutes=minutes)).timestamp()

    assert begun(sessions, expires_at)["max-age"] == str(seconds)


def test_keys_are_replaced_without_ending_a_session(clock: SetClock) -> None:
    old, new = SessionKeys.random().keys, SessionKeys.random().keys
    before, between, after = (sessions_of(SessionKeys(each), clock) for each in (old, new + old, new))

    assert reason(opened(between, begun(before).value)) == ""
    assert reason(opened(after, begun(between).value)) == ""
    assert reason(opened(after, begun(before).value)) == "session_invalid"


def test_token_that_was_sent_wins_over_a_session(sessions: Sessions) -> None:
    environ = opened(sessions, begun(sessions).value, HTTP_AUTHORIZATION="Bearer sent")

    assert Credentials(environ).token == "sent"


def test_session_that_has_ended_is_not_the_same_as_no_credentials(sessions: Sessions) -> None:
    assert Credentials(opened(sessions, "gone")).has_authorization
    assert not Credentials({}).has_authorization


@pytest.mark.parametrize(
    ("peer", "protocol", "is_secure"),
    [
        ("10.0.0.1", "https", True),
        ("10.0.0.1", "http, https", True),
        ("10.0.0.1", "https, http", False),
        ("10.0.0.1", "", False),
        ("10.0.0.2", "https", False),
        ("", "https", False),
    ],
)
def test_only_a_trusted_proxy_tells_of_tls(
    sessions: Sessions, peer: str, protocol: str, *, is_secure: bool
) -> None:
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_PROTO": protocol}

    assert sessions.is_encrypted(environ) is is_secure


def test_tls_of_our_own_makes_cookies_secure(sessions: Sessions) -> None:
    assert SimpleCookie(sessions.end({"wsgi.url_scheme": "https"}))[SESSION_COOKIE]["secure"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/console", True), ("/console/", True), ("/console/x", True), ("/consoles", False), ("/api", False)],
)
def test_console_is_a_whole_segment(path: str, *, expected: bool) -> None:
    assert is_of_console(path) is expected
