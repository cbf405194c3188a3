"""What the attempts of the hostile round show, and the installation that knows none of it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa

from datastorage.platform.access.tokens import hash_of, new_token
from tests.support.issuer import Issuer, issuer, keyed_with_the_public_key
from tests.support.review_server import Account, review_server

ANONYMOUS: Final = "nothing"
UNKNOWN: Final = "unknown token"
NOBODY: Final = "token without a permission"
REVOKED: Final = "token that was good a moment ago"

MODES: Final = ("kubernetes", "jwt", "static", "proxy", "proxy,static,jwt,kubernetes")

_FOREIGN_PROXY: Final = "192.0.2.0/24"
_PAST: Final = "2020-01-01T00:00:00Z"
_EVERYTHING: Final = frozenset({"get", "list", "create", "update"})
_ACCOUNTS: Final = {"good": _EVERYTHING, "nobody": frozenset[str](), "revoked": _EVERYTHING}

SHOWN: Final = (
    ANONYMOUS,
    UNKNOWN,
    NOBODY,
    REVOKED,
    "another scheme",
    "scheme without a token",
    "scheme in lower case, unknown token",
    "token that is too long",
    "token with a NUL",
    "good token and a word",
    "good token with another end",
    "good token behind a tab",
    "good token in a scheme of its own",
    "good token and a bad one",
    "bad token and a good one, in another case",
    "good token twice",
    "good token in a folded header",
    "good token behind a space before the colon",
    "good token in a header that CGI would know",
    "good token for a proxy",
    "good token in cookies",
    "good token in other headers",
    "user by the header of a proxy",
    "user by headers that others believe",
    "tokens file: unknown",
    "tokens file: expired",
    "JWT: expired",
    "JWT: not signed",
    "JWT: signed with a key of its own",
    "JWT: keyed with the public key",
    "JWT: of another issuer",
    "JWT: for somebody else",
    "JWT: name of a service account",
)


@dataclass(frozen=True)
class Installation:
    """One that is attacked.

    Attributes:
        settings: the variables of its service.
        good: a token that may do everything; in mode ``proxy`` none may.
        shown: the lines of each credential, by name.
        revoke: takes the token away that is shown as ``REVOKED``.
    """

    settings: Mapping[str, str]
    good: bytes
    shown: Mapping[str, bytes]
    revoke: Callable[[], object]


@contextmanager
def installation(mode: str, directory: Path) -> Iterator[Installation]:
    """Run what knows the callers of an installation in ``mode``, a list as the setting has it."""
    with (
        review_server(_made(directory / "reviews")) as reviews,
        issuer(_made(directory / "issuer")) as provider,
    ):
        for name, verbs in _ACCOUNTS.items():
            reviews.accounts[name] = Account(f"system:serviceaccount:hostile:{name}", verbs)
        good, expired = new_token(), new_token()
        policy, tokens = directory / "policy.yaml", directory / "tokens.yaml"
        bindings = [{"role": "admin", "groups": ["oidc:good"], "users": ["root"]}]
        policy.write_text(yaml.safe_dump({"issuers": [provider.entry], "bindings": bindings}))
        tokens.write_text(yaml.safe_dump({"tokens": [_entry(good), _entry(expired, expires=_PAST)]}))
        settings = reviews.settings | {
            "AUTH_MODE": mode,
            "AUTH_CACHE_TTL": "0s",
            "AUTH_TRUSTED_PROXIES": _FOREIGN_PROXY,
            "AUTH_POLICY_FILE": str(policy),
            "AUTH_TOKENS_FILE": str(tokens),
            "RATE_LIMIT_FAILURES": "off",
            "SERVER_WORKERS": "1",
        }
        known = {"jwt": provider.token(groups=["good"]), "static": good}.get(mode, "good")
        nobody = {"jwt": provider.token(), "static": expired}.get(mode, "nobody")
        shown = {
            ANONYMOUS: b"",
            UNKNOWN: _bearer("unknown"),
            NOBODY: _bearer(nobody),
            REVOKED: _bearer("revoked"),
            "tokens file: unknown": _bearer(new_token()),
            "tokens file: expired": _bearer(expired),
        }
        shown |= _misplaced(known) | _signed(provider)
        yield Installation(settings, known.encode(), shown, lambda: reviews.accounts.pop("revoked"))


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def _entry(token: str, **fields: Any) -> Mapping[str, Any]:
    return {"name": "robot", "sha256": hash_of(token), "roles": ["admin"], **fields}


def _bearer(token: str) -> bytes:
    return f"Authorization: Bearer {token}\r\n".encode()


def _misplaced(good: str) -> dict[str, bytes]:
    """Return a good token in every place and form in which it does not count, and what is no token."""
    texts = {
        "another scheme": "Authorization: Basic cm9vdDpyb290",
        "scheme without a token": "Authorization: Bearer ",
        "scheme in lower case, unknown token": "authorization: bearer unknown",
        "token that is too long": f"Authorization: Bearer {'x' * 8001}",
        "token with a NUL": f"Authorization: Bearer {good}\0",
        "good token and a word": f"Authorization: Bearer {good} x",
        "good token with another end": f"Authorization: Bearer {good}x",
        "good token behind a tab": f"Authorization: Bearer\t{good}",
        "good token in a scheme of its own": f"Authorization: Token {good}",
        "good token and a bad one": f"Authorization: Bearer {good}\r\nAuthorization: Bearer unknown",
        "bad token and a good one, in another case": f"authorization: Bearer x\r\n"
        f"AUTHORIZATION: Bearer {good}",
        "good token twice": f"Authorization: Bearer {good}\r\nAuthorization: Bearer {good}",
        "good token in a folded header": f"Authorization: Bearer\r\n {good}",
        "good token behind a space before the colon": f"Authorization : Bearer {good}",
        "good token in a header that CGI would know": f"HTTP_AUTHORIZATION: Bearer {good}\r\n"
        f"Authorization_: {good}",
        "good token for a proxy": f"Proxy-Authorization: Bearer {good}",
        "good token in cookies": f"Cookie: datastorage_session={good}; Authorization=Bearer {good}",
        "good token in other headers": f"X-Access-Token: {good}\r\nX-Forwarded-Access-Token: {good}",
        "user by the header of a proxy": "X-Auth-Request-User: root\r\nX-Auth-Request-Groups: oidc:good",
        "user by headers that others believe": "X-Forwarded-User: root\r\nRemote-User: root\r\n"
        "Impersonate-User: root\r\nImpersonate-Group: system:masters\r\nX-Forwarded-For: 192.0.2.1",
    }
    return {name: text.encode() + b"\r\n" for name, text in texts.items()}


def _signed(provider: Issuer) -> dict[str, bytes]:
    """Return tokens that look like those of the issuer."""
    good = provider.claims(groups=["good"])
    own_key = rsa.generate_private_key(65537, 2048)
    tokens = {
        "JWT: expired": provider.token(groups=["good"], exp=time.time() - 120),
        "JWT: not signed": jwt.encode(good, "", "none", headers={"kid": "first"}),
        "JWT: signed with a key of its own": jwt.encode(good, own_key, "RS256", headers={"kid": "first"}),
        "JWT: keyed with the public key": keyed_with_the_public_key(provider, good),
        "JWT: of another issuer": provider.token(groups=["good"], iss="https://elsewhere.example"),
        "JWT: for somebody else": provider.token(groups=["good"], aud="somebody-else"),
        "JWT: name of a service account": provider.token(sub="system:serviceaccount:hostile:good"),
    }
    return {name: _bearer(token) for name, token in tokens.items()}
