"""Seals the token of a session: encrypted and signed, with the moment it was sealed."""

import base64
import re

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from datastorage.platform.access.session_keys import SessionKeys

_SEALED = re.compile(r"[A-Za-z0-9_=-]{1,4096}")


class Seal:
    """Fernet: AES-128 in CBC mode and HMAC-SHA256, each with half of a key.

    Args:
        keys: the first one seals, all of them open.
    """

    def __init__(self, keys: SessionKeys) -> None:
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys.keys])

    def close(self, content: bytes, now: int) -> str:
        """Return ``content`` sealed at ``now``, in Unix seconds."""
        return self._fernet.encrypt_at_time(content, now).decode("ascii")

    def open(self, sealed: str, now: int, most_seconds: int) -> bytes | None:
        """Return the content, ``None`` of what was altered or sealed over ``most_seconds`` ago."""
        if not _SEALED.fullmatch(sealed):
            return None
        try:
            return self._fernet.decrypt_at_time(sealed, most_seconds, now)
        except InvalidToken:
            return None
