"""Check 11: whoever vouches for callers can be asked, sessions hold on every pod, our certificate is good."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from datastorage.platform.access.errors import AccessRefused
from datastorage.platform.access.permissions import Permission
from datastorage.platform.clock import utc_now
from datastorage.platform.server.tls import ServerTls
from datastorage.platform.watched import BadFileError
from datastorage.settings import ServerTlsSettings, Settings
from datastorage.validation.servers import load_settings
from datastorage.validation.subject import Broken, Doubtful, Subject
from datastorage.wiring.access import control_of

_NOBODY = "validate"
"""A token that nobody has: the answer about it shows that there is one."""


EXPIRES_SOON: Final = timedelta(days=14)


def access(subject: Subject, _seconds: float) -> str:
    """Read the files, ask whoever would be asked about a token, and look at our certificate."""
    settings = load_settings(subject)
    modes = ", ".join(settings.auth.mode)
    doubts = list(_doubts_about_certificate(settings.server.tls))
    if settings.auth.mode == ("none",):
        doubts.append(
            Doubtful(
                "access control is off: whoever reaches the port may do everything",
                "set auth.mode, see docs/access.md",
            )
        )
    else:
        _ask(settings)
    if settings.auth.takes_tokens and settings.console.session_key_file is None:
        doubts.append(
            Doubtful(
                f"access control by {modes} is ready, but sessions of the console hold on one pod,"
                " until it ends",
                "put a key in a file and name it in console.session_key_file, see docs/access.md",
            )
        )
    if doubts:
        raise Doubtful("; ".join(map(str, doubts)), "; ".join(each.repair for each in doubts))
    return f"access control by {modes} is ready"


def _doubts_about_certificate(settings: ServerTlsSettings) -> Iterator[Doubtful]:
    if not settings.is_on:
        return
    try:
        expires_at = datetime.fromtimestamp(ServerTls(settings).value.expires_at, UTC)
    except BadFileError as error:
        raise Broken(f"clients cannot come by TLS: {error}", "correct the file") from error
    if expires_at - utc_now() < EXPIRES_SOON:
        yield Doubtful(
            f"the certificate of server.tls.cert_file expires on {expires_at:%Y-%m-%d}",
            "replace certificate and key, see docs/access.md",
        )


def _ask(settings: Settings) -> None:
    try:
        control_of(settings).admit({"HTTP_AUTHORIZATION": f"Bearer {_NOBODY}"}, Permission.IDENTITY)
    except BadFileError as error:
        raise Broken(f"access control cannot be set up: {error}", "correct the file") from error
    except AccessRefused as refusal:
        if refusal.slug == "auth-unavailable":
            raise Broken(
                f"mode {refusal.mode}: nobody answers who bears a token",
                "check auth.kubernetes.api_url, ca_file and token_file, and whether the service's account is"
                " bound to system:auth-delegator",
            ) from refusal
