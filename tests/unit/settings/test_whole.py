"""What is decided about the settings as a whole."""

import sys

import pytest

from datastorage.settings import Settings, SettingsError
from tests.unit.settings.conftest import URLS, Fail, Load


@pytest.mark.parametrize(
    ("environ", "groups", "text"),
    [
        ({}, {"database": {"ssl_mode": "disable"}}, "database.ssl_mode disable, allow and prefer"),
        ({}, {"server": {"cors_allowed_origins": ["*"]}}, "* in server.cors_allowed_origins"),
        ({}, {"logging": {"format": "console"}}, "logging.format console"),
        ({"DB_PASSWORD": "hidden-word"}, {}, "a password in DB_PASSWORD"),
        ({"REDIS_PASSWORD": "hidden-word"}, {}, "a password in REDIS_PASSWORD"),
        (
            {"DATASTORAGE_DATABASE_URL": "postgresql://u:hidden-word@h/n"},
            {},
            "a password in DATASTORAGE_DATABASE_URL",
        ),
        ({"DATASTORAGE_REDIS_URL": "redis://:hidden-word@h"}, {}, "a password in DATASTORAGE_REDIS_URL"),
    ],
)
def test_strict_security_refuses_what_is_careless_in_production(
    fail: Fail, environ: dict[str, str], groups: dict[str, dict[str, object]], text: str
) -> None:
    strict = {"database": {"ssl_mode": "require"}} | groups | {"security": {"strict": True}}

    error = fail(environ, **strict)

    assert error.message == "Invalid configuration"
    assert error.problems == (f"security.strict refuses {text}",)


def test_strict_security_accepts_urls_without_passwords(load: Load) -> None:
    environ = {
        "DATASTORAGE_DATABASE_URL": "postgresql://app@db/history?sslmode=require",
        "DATASTORAGE_REDIS_URL": "redis://cache",
    }

    settings = load(environ, security={"strict": True})

    assert settings.summary()["security_strict"] is True


def test_migrations_need_only_the_database() -> None:
    database = Settings.load_database(
        None, {"DATASTORAGE_DATABASE_URL": URLS["DATASTORAGE_DATABASE_URL"], "HTTP_PORT": "80"}
    )

    assert database.url.render_as_string(hide_password=False) == (
        "postgresql+psycopg://app:p%40ss@db.example:5433/history?sslmode=require"
    )


def test_migrations_without_database_are_told_about_its_url_only() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load_database(None, {})

    assert caught.value.message == "CONFIG_PATH environment variable required"
    assert "DATASTORAGE_DATABASE_URL" in str(caught.value)
    assert "redis" not in str(caught.value).lower()


def test_traces_need_an_endpoint(fail: Fail) -> None:
    error = fail({}, telemetry={"enabled": True})

    assert error.problems == ("telemetry.otlp_endpoint is required when telemetry.enabled is true",)


def test_traces_need_their_packages(fail: Fail, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    telemetry = {"enabled": True, "otlp_endpoint": "http://collector.example:4318"}
    assert load({}, telemetry=telemetry).telemetry.enabled

    for name in ("opentelemetry", "opentelemetry.exporter.otlp.proto.http"):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed

    assert fail({}, telemetry=telemetry).problems == (
        "telemetry.enabled needs packages that are not installed: pip install 'datastorage[telemetry]'",
    )
