"""Why the server refused a connection; no other module reads the words of a message.

libpq does not tell the SQLSTATE of a failed connection, only the server's sentence and whether a password was
used. A sentence in another language than English is not recognised; if a password was used, the refusal is
then taken to be about the login.
"""

from typing import Final

import psycopg

UNREACHABLE: Final = "db_unreachable"

_SENTENCES: Final = {
    "db_overloaded": (
        b"too many clients already",
        b"too many connections for",  # a role or a database with a limit of its own
        b"remaining connection slots are reserved",
        b"no more connections allowed",  # a pooler between us and the server
    ),
    "read_only": (b"session is read-only", b"server is in hot standby mode"),  # a primary is wanted
    UNREACHABLE: (b"the database system is",),  # starting up, shutting down, in recovery mode
    "misconfigured": (
        b"authentication failed",
        b"no password supplied",
        b"pg_hba.conf",
        b"does not exist",  # the database, or the role
        b"not permitted to log in",
        b"permission denied for database",
        b"not currently accepting connections",  # this database, by decision of its owner
    ),
}

_AFTER_SEVERITY: Final = b":  "
"""What separates the severity from the sentence in the server's messages, in every language."""


def reason_of(error: psycopg.Error) -> str:
    """Return the reason of a failure that has no SQLSTATE; ``db_unreachable`` unless the server said more."""
    attempt = error.pgconn
    if attempt is None:  # a connection that was lost later, or whose time was up
        return UNREACHABLE
    return reason_of_message(attempt.error_message, used_password=attempt.used_password)


def reason_of_message(message: bytes, *, used_password: bool) -> str:
    """Return the reason that a failed attempt to connect gives in words."""
    for reason, sentences in _SENTENCES.items():
        if any(sentence in message for sentence in sentences):
            return reason
    return "misconfigured" if used_password and _AFTER_SEVERITY in message else UNREACHABLE
