"""An issuer of signed tokens, with its keys on an HTTPS server."""

import base64
import hmac
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.tls import Authority

ISSUER = "https://login.example.org/realms/ops"
AUDIENCE = "datastorage"


class Issuer:
    """Signs tokens with its newest key; ``fetches`` counts who asked for the public ones."""

    def __init__(self, directory: Path) -> None:
        authority = Authority(directory, "issuer")
        self._ca_file = authority.ca_file
        self._pair = authority.issue("127.0.0.1")
        self.fetches = 0
        self._published: dict[str, dict[str, Any]] = {}
        self.rotate("first")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._pair.cert, self._pair.key)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def entry(self) -> dict[str, Any]:
        """The issuer as a policy names it."""
        return {
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "jwks_url": f"https://127.0.0.1:{self._server.server_address[1]}/certs",
            "groups_claim": "realm_access.roles",
            "prefix": "oidc:",
            "ca_file": str(self._ca_file),
        }

    @property
    def public_text(self) -> bytes:
        """The public key as text, which some libraries would take for a shared secret."""
        encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return self._signs_with[1].public_key().public_bytes(encoding, form)

    def rotate(self, key_id: str) -> None:
        """Sign with a new key from now on, and still publish the older ones."""
        key = rsa.generate_private_key(65537, 2048)
        public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        self._published[key_id] = public | {"kid": key_id, "use": "sig"}
        self._signs_with = key_id, key

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Return good claims, with ``None`` left out."""
        groups = changed.pop("groups", [])
        good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ana", "exp": time.time() + 300}
        claims = good | {"realm_access": {"roles": groups}} | changed
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, *, kid: str | None = None, **changed: Any) -> str:
        """Return a token that is good but for what is changed."""
        key_id, key = self._signs_with
        return jwt.encode(self.claims(**changed), key, "RS256", headers={"kid": kid or key_id})

    def close(self) -> None:
        """Stop serving the keys."""
        self._server.shutdown()
        self._server.server_close()

    def _keys(self) -> bytes:
        self.fetches += 1
        return json.dumps({"keys": list(self._published.values())}).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        keys = self._keys

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = keys()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Stay silent."""

        return Handler


def keyed_with_the_public_key(provider: Issuer, claims: dict[str, Any]) -> str:
    """Return what a library that trusts ``alg`` would verify; PyJWT refuses to make it."""
    parts = [{"alg": "HS256", "kid": "first", "typ": "JWT"}, claims]
    signed = b".".join(_base64(json.dumps(part).encode()) for part in parts)
    digest = hmac.new(provider.public_text, signed, "sha256").digest()
    return (signed + b"." + _base64(digest)).decode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@contextmanager
def issuer(directory: Path) -> Iterator[Issuer]:
    """Run one."""
    running = Issuer(directory)
    try:
        yield running
    finally:
        running.close()
