"""Check 11: whoever vouches for callers can be asked, and sessions of people hold on every pod."""

from datastorage.platform.access.errors import AccessRefused
from datastorage.platform.access.permissions import Permission
from datastorage.platform.watched import BadFileError
from datastorage.validation.servers import load_settings
from datastorage.validation.subject import Broken, Doubtful, Subject
from datastorage.wiring.access import control_of

_NOBODY = "validate"
"""A token that nobody has: the answer about it shows that there is one."""


def access(subject: Subject, _seconds: float) -> str:
    """Read the files, and ask whoever would be asked about a token."""
    settings = load_settings(subject)
    modes = ", ".join(settings.auth.mode)
    if settings.auth.mode == ("none",):
        raise Doubtful(
            "access control is off: whoever reaches the port may do everything",
            "set auth.mode, see docs/access.md",
        )
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
    if settings.auth.takes_tokens and settings.console.session_key_file is None:
        raise Doubtful(
            f"access control by {modes} is ready, but sessions of the console hold on one pod, until it ends",
            "put a key in a file and name it in console.session_key_file, see docs/access.md",
        )
    return f"access control by {modes} is ready"
