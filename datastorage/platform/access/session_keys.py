"""``console.session_key_file``: what seals the sessions of the console, and vouches for its forms."""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from datastorage.platform.watched import BadFileError

KEY_BYTES: Final = 32
MOST_KEYS: Final = 3

_KEY = re.compile(r"[A-Za-z0-9_-]{43}=?")
_FORMS: Final = b"datastorage form\0"
"""Before what is signed, so that no signature of a form is one of anything else."""


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """One to three keys: the first seals and signs, all of them open and verify."""

    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def random(cls) -> Self:
        """Return a key that nobody else has."""
        return cls((secrets.token_bytes(KEY_BYTES),))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the keys in a file.

        Raises:
            BadFileError: it cannot be read, or is not as it has to be.
        """
        try:
            lines = path.read_text(encoding="ascii", errors="replace").split()
        except OSError as error:
            raise BadFileError(f"console.session_key_file {path} cannot be read: {error.strerror}") from None
        if not 1 <= len(lines) <= MOST_KEYS or not all(map(_KEY.fullmatch, lines)):
            raise BadFileError(
                f"console.session_key_file {path} must have one to {MOST_KEYS} lines,"
                f" each {KEY_BYTES} bytes in URL-safe base64"
            )
        return cls(tuple(base64.urlsafe_b64decode(line.rstrip("=") + "=") for line in lines))

    def sign_form(self, nonce: str) -> str:
        """Return what a form has to carry for a nonce."""
        return _signature(self.keys[0], nonce)

    def vouch_for(self, nonce: str, signature: str) -> bool:
        """Tell whether a form was made for a nonce."""
        sent = signature.encode()
        return any(hmac.compare_digest(_signature(key, nonce).encode(), sent) for key in self.keys)


def _signature(key: bytes, nonce: str) -> str:
    return hmac.new(key, _FORMS + nonce.encode(), hashlib.sha256).hexdigest()
