"""Which modes may stand together and what each of them needs (access.md 2.1); all mistakes at once."""

from datetime import timedelta

import pytest

from datastorage.settings import Rate
from tests.unit.settings.conftest import Fail, Load

POLICY = {"policy_file": __file__}
TOKENS = {"tokens_file": __file__}


@pytest.mark.parametrize(
    ("auth", "problems"),
    [
        ({"mode": "none,jwt"} | POLICY, ("auth.mode: none stands alone or last",)),
        (
            {"mode": ["kubernetes", "jwt"]} | POLICY,
            ("auth.mode: no mode may follow kubernetes that takes bearer tokens",),
        ),
        (
            {"mode": "kubernetes,static"} | TOKENS,
            ("auth.mode: no mode may follow kubernetes that takes bearer tokens",),
        ),
        ({"mode": "static,static"} | TOKENS, ("auth.mode names a mode twice",)),
        (
            {"mode": "proxy"},
            ("auth.mode proxy needs auth.trusted_proxies", "auth.mode proxy needs auth.policy_file"),
        ),
        ({"mode": "jwt"}, ("auth.mode jwt needs auth.policy_file",)),
        ({"mode": "static"}, ("auth.mode static needs auth.tokens_file",)),
        (
            {"mode": "ldap"},
            ("invalid auth.mode: ldap (must be none, proxy, kubernetes, jwt, or static)",),
        ),
        ({"kubernetes": {"api_url": "http://api"}}, ("auth.kubernetes.api_url must be an https URL",)),
        ({"tokens_file": "/nowhere"}, ("auth.tokens_file is not a readable file",)),
    ],
)
def test_modes_that_cannot_work_are_refused_with_what_to_change(
    fail: Fail, auth: dict[str, object], problems: tuple[str, ...]
) -> None:
    assert fail(auth=auth).problems == problems


@pytest.mark.parametrize("rate", ["ten/second", "10/hour", "0/second", "10"])
def test_rate_is_a_number_per_second_or_minute(fail: Fail, rate: str) -> None:
    error = fail(rate_limit={"reads": rate})

    assert error.problems == (
        "rate_limit.reads must be off, or a number per second or minute, such as 600/minute",
    )


def test_rates_and_modes_are_read(load: Load) -> None:
    proxies = ["10.0.0.0/8", "::1"]
    mode = {"mode": "proxy, none", "trusted_proxies": proxies, **POLICY}
    settings = load(auth=mode, rate_limit={"reads": "off", "writes": "20/second"})

    assert settings.auth.mode == ("proxy", "none")
    assert [str(each) for each in settings.auth.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert (settings.rate_limit.reads, settings.rate_limit.writes) == (None, Rate(20, 1))
    assert settings.rate_limit.failures == Rate(60, 60)


WITHOUT_KEY = "console.session_key_file is unset: sessions end with the process, hold on one pod only"


@pytest.mark.parametrize(
    ("mode", "warnings"), [("static", (WITHOUT_KEY,)), ("kubernetes,none", (WITHOUT_KEY,)), ("none", ())]
)
def test_mode_that_takes_tokens_warns_without_keys_for_sessions(
    load: Load, mode: str, warnings: tuple[str, ...]
) -> None:
    assert load(auth={"mode": mode, **TOKENS}).warnings == warnings
    assert load(auth={"mode": mode, **TOKENS}, console={"session_key_file": __file__}).warnings == ()


def test_session_lasts_between_five_minutes_and_twelve_hours(load: Load, fail: Fail) -> None:
    assert load(console={"session_ttl": "12h"}).console.session_ttl == timedelta(hours=12)
    assert fail(console={"session_ttl": "4m59s"}).problems == (
        "invalid session_ttl: console.session_ttl must be between 5m and 12h, got: 4m59s",
    )
