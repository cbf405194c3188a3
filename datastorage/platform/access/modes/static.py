"""Mode ``static``: tokens whose hashes an operator keeps in a file."""

import hmac
import re
from typing import Final

from datastorage.platform.access.caller import Granted
from datastorage.platform.access.credentials import Credentials
from datastorage.platform.access.errors import Unauthorized
from datastorage.platform.access.identity import Identity, kind_of
from datastorage.platform.access.permissions import Permission
from datastorage.platform.access.tokens import TOKEN_PREFIX, TokensFile, hash_of
from datastorage.platform.clock import Clock

NAME: Final = "static"
_TOKEN = re.compile(rf"{TOKEN_PREFIX}[A-Za-z0-9_-]{{43}}")


class StaticMode:
    """Takes requests with a token of our own form.

    Args:
        tokens: the file.
        clock: tells which tokens have expired.
    """

    name = NAME
    is_backend_failing = False

    def __init__(self, tokens: TokensFile, clock: Clock) -> None:
        self._tokens = tokens
        self._clock = clock

    def recognise(self, credentials: Credentials, permission: Permission) -> Granted | None:
        """Return the caller whose token this is, with the permissions of its roles.

        Raises:
            Unauthorized: it is nobody's, or has expired.
        """
        if credentials.token is None or not _TOKEN.fullmatch(credentials.token):
            return None
        if permission is Permission.ADMIN:
            self._tokens.look()
        digest = hash_of(credentials.token)
        entry = self._tokens.value.get(digest)
        if entry is None or not hmac.compare_digest(digest, entry.sha256):
            raise Unauthorized.bad_token("invalid_token", NAME)
        if entry.expires is not None and entry.expires <= self._clock():
            raise Unauthorized.bad_token("expired_token", NAME)
        identity = Identity(name=entry.name, kind=kind_of(entry.name, entry.kind), mode=NAME)
        expires_at = None if entry.expires is None else entry.expires.timestamp()
        return Granted(identity, entry.permissions, expires_at=expires_at)
