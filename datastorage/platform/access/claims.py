"""What a JSON Web Token claims, before anybody has verified it."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

import msgspec

_PARTS: Final = 3
_LATEST: Final = 1e12
"""Seconds: later moments are none that anybody means."""
_NONE: Final[Mapping[str, Any]] = {}


def claims_of(token: str) -> Mapping[str, Any]:
    """Return the claims of a token, none if it is no JSON Web Token."""
    parts = token.split(".")
    if len(parts) != _PARTS:
        return _NONE
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims = msgspec.json.decode(payload)
    except (binascii.Error, ValueError, RecursionError):
        return _NONE
    return claims if isinstance(claims, dict) else _NONE


def expiry_of(claims: Mapping[str, Any]) -> float | None:
    """Return the Unix time of ``exp``, ``None`` where there is no such number."""
    expiry = claims.get("exp")
    if isinstance(expiry, bool) or not isinstance(expiry, int | float):
        return None
    return float(expiry) if abs(expiry) < _LATEST else None
