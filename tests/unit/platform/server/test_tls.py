"""The newest good certificate is in force, whatever the files say."""

import ssl
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from datastorage.platform.server.tls import ServerTls
from datastorage.platform.watched import BadFileError
from datastorage.settings import ServerTlsSettings
from tests.support.tls import Authority

EXPIRES_AT = datetime(2099, 5, 1, tzinfo=UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def settings(authority: Authority) -> ServerTlsSettings:
    pair = authority.issue("localhost", not_after=EXPIRES_AT)
    return ServerTlsSettings(cert_file=pair.cert, key_file=pair.key)


def test_metrics_have_tls_when_asked_for_and_never_ask_for_a_certificate(
    settings: ServerTlsSettings, authority: Authority
) -> None:
    with_client_ca = replace(settings, client_ca_file=authority.ca_file)

    alone = ServerTls(with_client_ca).value
    both = ServerTls(replace(with_client_ca, metrics=True)).value

    assert alone.metrics is None
    assert both.metrics is not None
    assert (both.api.verify_mode, both.metrics.verify_mode) == (ssl.CERT_REQUIRED, ssl.CERT_NONE)


def test_least_version_is_what_the_settings_say(settings: ServerTlsSettings) -> None:
    assert ServerTls(settings).value.api.minimum_version == ssl.TLSVersion.TLSv1_2
    newer = ServerTls(replace(settings, min_version="1.3"))
    assert newer.value.api.minimum_version == ssl.TLSVersion.TLSv1_3


def test_expiry_is_known(settings: ServerTlsSettings) -> None:
    assert ServerTls(settings).value.expires_at == EXPIRES_AT.timestamp()


def test_changed_files_make_new_contexts(settings: ServerTlsSettings, authority: Authority) -> None:
    tls = ServerTls(settings)
    before = tls.value

    tls.look()
    assert tls.value is before
    authority.issue("localhost")
    tls.look()

    assert tls.value.expires_at != before.expires_at


def test_pair_that_does_not_fit_leaves_the_old_one(
    settings: ServerTlsSettings, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    tls = ServerTls(settings)
    before = tls.value
    assert settings.key_file is not None
    settings.key_file.write_bytes(authority.issue("elsewhere").key.read_bytes())

    tls.look()
    tls.look()

    assert (tls.value, tls.is_valid) == (before, False)
    assert [record.getMessage() for record in caplog.records] == ["TLS certificate not reloaded"]
    assert "KEY_VALUES_MISMATCH" in vars(caplog.records[0])["error"]


def test_other_settings_count_as_soon_as_their_files_are_good(
    settings: ServerTlsSettings, authority: Authority
) -> None:
    tls = ServerTls(settings)
    before = tls.value
    other = authority.issue("elsewhere")
    good = other.cert.read_bytes()
    other.cert.write_text("")

    tls.use(ServerTlsSettings(cert_file=other.cert, key_file=other.key))
    assert tls.value is before
    other.cert.write_bytes(good)
    tls.look()

    assert tls.value is not before


@pytest.mark.parametrize("broken", ["cert_file", "key_file", "client_ca_file"])
@pytest.mark.parametrize("content", ["", "nothing of use"])
def test_bad_file_is_named(
    settings: ServerTlsSettings, authority: Authority, broken: str, content: str
) -> None:
    settings = replace(settings, client_ca_file=authority.ca_file)
    path: Path = getattr(settings, broken)
    path.write_text(content)

    with pytest.raises(BadFileError, match=path.name):
        ServerTls(settings)


def test_encrypted_key_is_an_error_and_no_question(settings: ServerTlsSettings) -> None:
    assert settings.key_file is not None
    key = load_pem_private_key(settings.key_file.read_bytes(), None)
    settings.key_file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )

    with pytest.raises(BadFileError, match="cannot be used"):
        ServerTls(settings)
