"""TLS of our own listeners: on with a certificate, and fixed at the start."""

from dataclasses import replace
from pathlib import Path

import pytest

from datastorage.platform.server.startup import reload_settings
from datastorage.settings import Settings, SettingsError

URLS = {
    "DATASTORAGE_DATABASE_URL": "postgresql://app:x@127.0.0.1:1/none",
    "DATASTORAGE_REDIS_URL": "redis://127.0.0.1:1/0",
}
TLS = "DATASTORAGE_SERVER_TLS_"


@pytest.fixture
def pair(tmp_path: Path) -> dict[str, str]:
    """The variables of a certificate and its key; nothing reads the files here."""
    files = {f"{TLS}{name}": tmp_path / name for name in ("CERT_FILE", "KEY_FILE")}
    for path in files.values():
        path.touch()
    return {name: str(path) for name, path in files.items()}


def test_tls_is_on_with_a_certificate(pair: dict[str, str]) -> None:
    assert not Settings.from_environ(URLS).server.tls.is_on
    assert Settings.from_environ(URLS | pair).server.tls.is_on


@pytest.mark.parametrize("missing", [f"{TLS}CERT_FILE", f"{TLS}KEY_FILE"])
def test_certificate_and_key_stand_together(pair: dict[str, str], missing: str) -> None:
    del pair[missing]

    with pytest.raises(
        SettingsError, match=r"server\.tls\.cert_file and server\.tls\.key_file must be set together"
    ):
        Settings.from_environ(URLS | pair)


def test_other_versions_are_refused(pair: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"1\.1 \(must be 1\.2 or 1\.3\)"):
        Settings.from_environ(URLS | pair | {f"{TLS}MIN_VERSION": "1.1"})


def test_keys_without_effect_are_named(pair: dict[str, str]) -> None:
    (warning,) = Settings.from_environ(URLS | {f"{TLS}CLIENT_CA_FILE": pair[f"{TLS}CERT_FILE"]}).warnings

    assert "no effect without server.tls.cert_file" in warning


def test_reload_leaves_tls_on_or_off(pair: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    off, on = Settings.from_environ(URLS), Settings.from_environ(URLS | pair)

    switched_on = reload_settings(URLS | pair, off)
    switched_off = reload_settings(URLS, on)

    assert switched_on is not None
    assert switched_off is not None
    assert (switched_on.server.tls, switched_off.server.tls) == (off.server.tls, on.server.tls)
    assert caplog.text.count("Reload leaves TLS on or off at each port") == 2


def test_reload_takes_everything_else(pair: dict[str, str]) -> None:
    on = Settings.from_environ(URLS | pair)
    changed = pair | {f"{TLS}METRICS": "true", f"{TLS}MIN_VERSION": "1.3"}

    reloaded = reload_settings(URLS | changed, on)

    assert reloaded is not None
    assert reloaded.server.tls == replace(on.server.tls, min_version="1.3")
