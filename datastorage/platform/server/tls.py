"""TLS of our own listeners: what is made of certificate, key and client CA, and replaced when they change."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from pkgutil import resolve_name
from typing import Final, NamedTuple

from datastorage.platform.watched import BadFileError, Watched
from datastorage.settings import ServerTlsSettings

LOOK_INTERVAL: Final = timedelta(seconds=5)
"""How often the files are looked at."""
EXPIRY: Final = "datastorage.platform.server.certificates:expiry_of"
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Contexts(NamedTuple):
    """What new connections get.

    Attributes:
        api: of the API port.
        metrics: of the metrics port, ``None`` without TLS.
        expires_at: when our certificate, or one that vouches for it, expires; Unix time.
    """

    api: ssl.SSLContext
    metrics: ssl.SSLContext | None
    expires_at: float


class ServerTls(Watched[Contexts]):
    """The newest good certificate.

    Made before the first fork: a worker that starts while the files are bad has the good one, and a client
    can resume with one worker what it began with another.

    Raises:
        BadFileError: the files cannot be used at the start.
    """

    def __init__(self, settings: ServerTlsSettings) -> None:
        self._settings = settings
        super().__init__("TLS certificate", lambda: _files(self._settings), lambda: _read(self._settings))

    def use(self, settings: ServerTlsSettings) -> None:
        """Read what other settings name; the old certificate stays in force until that is good."""
        self._settings = settings
        self.look(anyway=True)

    def context(self, *, is_for_metrics: bool) -> ssl.SSLContext | None:
        """Return what a new connection is encrypted with, ``None`` where its port has no TLS."""
        return self.value.metrics if is_for_metrics else self.value.api


def _files(settings: ServerTlsSettings) -> list[Path]:
    named = settings.cert_file, settings.key_file, settings.client_ca_file
    return [path for path in named if path is not None]


def _read(settings: ServerTlsSettings) -> Contexts:
    assert settings.cert_file is not None  # as the settings were checked
    expiry_of: Callable[[Path], float] = resolve_name(EXPIRY)
    api = _context(settings)
    if settings.client_ca_file is not None:
        with _naming(settings.client_ca_file):
            api.load_verify_locations(settings.client_ca_file)
        api.verify_mode = ssl.CERT_REQUIRED
    with _naming(settings.cert_file):
        expires_at = expiry_of(settings.cert_file)
    return Contexts(api, _context(settings) if settings.metrics else None, expires_at)


def _context(settings: ServerTlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[settings.min_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    assert settings.cert_file is not None
    with _naming(settings.cert_file, settings.key_file):
        # Without a password OpenSSL would ask for that of an encrypted key at the terminal.
        context.load_cert_chain(settings.cert_file, settings.key_file, password="")
    return context


@contextmanager
def _naming(*files: Path | None) -> Iterator[None]:
    names = " and ".join(str(file) for file in files)
    try:
        yield
    except ssl.SSLError as error:
        raise BadFileError(f"{names} cannot be used: {error.reason or 'no certificate'}") from None
    except OSError as error:
        raise BadFileError(f"{names} cannot be read: {error.strerror}") from None
    except ValueError:
        raise BadFileError(f"{names} cannot be used: no certificate") from None
