"""A Kubernetes API server that knows two kinds of review and answers them from a table."""

import json
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.tls import Authority, Pair

OWN_TOKEN = "own-token"
TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
NAMESPACE = "kubernaut-system"


@dataclass
class Account:
    """What the table says of one token."""

    name: str
    verbs: frozenset[str]
    groups: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()

    @property
    def user(self) -> dict[str, Any]:
        """The account as a TokenReview tells it."""
        return {
            "username": self.name,
            "uid": f"uid-{self.name}",
            "groups": ["system:authenticated", *self.groups],
            "extra": {"authentication.kubernetes.io/pod-name": ["pod-1"]},
        }


@dataclass
class ReviewServer:
    """The server; ``accounts`` may be changed while it runs.

    Attributes:
        accounts: by token.
        counts: reviews by path.
        specs: what was asked, in order.
        may_answer: cleared, every review hangs.
        own_token: what the service has to show.
    """

    directory: Path
    pair: Pair
    ca_file: Path
    accounts: dict[str, Account] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    specs: list[dict[str, Any]] = field(default_factory=list)
    may_answer: threading.Event = field(default_factory=threading.Event)
    own_token: str = OWN_TOKEN
    port: int = 0
    _server: "_Server | None" = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def token_file(self) -> Path:
        """The file with the service's own token."""
        return self.directory / "own-token"

    @property
    def settings(self) -> dict[str, str]:
        """The variables of a service that asks it, without their prefix."""
        return {
            "AUTH_MODE": "kubernetes",
            "AUTH_KUBERNETES_API_URL": self.url,
            "AUTH_KUBERNETES_CA_FILE": str(self.ca_file),
            "AUTH_KUBERNETES_TOKEN_FILE": str(self.token_file),
            "AUTH_KUBERNETES_NAMESPACE": NAMESPACE,
            "AUTH_KUBERNETES_EXPORT_VERB": "list",
        }

    def forget(self) -> None:
        """Start counting anew."""
        self.counts.clear()
        self.specs.clear()

    def start(self) -> None:
        """Listen, at the same port as before."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.pair.cert, self.pair.key)
        server = _Server(("127.0.0.1", self.port), _Handler)
        server.table = self
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = server.server_address[1]
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections, and end those that are open."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.end_connections()
            self._server = None

    def answer(self, path: str, spec: dict[str, Any]) -> dict[str, Any]:
        """Return the status of one review."""
        self.counts[path] += 1
        self.specs.append(spec)
        if path == TOKEN_REVIEWS:
            account = self.accounts.get(spec["token"])
            if account is None:
                return {"authenticated": False, "error": "unknown token"}
            wanted = set(spec.get("audiences", ()))
            audiences = [each for each in account.audiences if each in wanted] if wanted else []
            return {"authenticated": True, "user": account.user, "audiences": audiences}
        attributes = spec["resourceAttributes"]
        assert attributes["namespace"] == NAMESPACE
        assert (attributes["resource"], attributes["name"]) == ("services", "data-storage-service")
        verbs = [each.verbs for each in self.accounts.values() if each.name == spec["user"]]
        return {"allowed": any(attributes["verb"] in each for each in verbs)}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    table: ReviewServer

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.open: set[Any] = set()

    def end_connections(self) -> None:
        for each in list(self.open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body of an answer are written apart
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        super().finish()

    def do_POST(self) -> None:
        table = self.server.table
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        table.may_answer.wait(timeout=60)
        if self.headers["Authorization"] != f"Bearer {table.own_token}":
            self._send(401, {})
            return
        self._send(201, document | {"status": table.answer(self.path, document["spec"])})

    def _send(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


@contextmanager
def review_server(directory: Path) -> Iterator[ReviewServer]:
    """Run one."""
    authority = Authority(directory, "api-server")
    server = ReviewServer(directory, authority.issue("127.0.0.1", "localhost"), authority.ca_file)
    server.token_file.write_text(OWN_TOKEN)
    server.may_answer.set()
    server.start()
    try:
        yield server
    finally:
        server.may_answer.set()
        server.stop()
