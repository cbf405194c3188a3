"""Who gets checkpoints: a receiver of notes, and a witness that cosigns what continues the tree it knows."""

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import scitt_cose
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from datastorage.ledger.checkpoint import Checkpoint
from datastorage.ledger.encoding import to_base64
from datastorage.ledger.keys import Algorithm, VerifierKey
from datastorage.ledger.note import Note, Signature
from datastorage.ledger.tree import EMPTY_ROOT

SIZE_TYPE = "text/x.tlog.size"


@dataclass
class Receiver:
    """What came, and what is answered.

    Attributes:
        notes: that were taken.
        authorizations: that were shown.
        known_size: when set, every smaller checkpoint is answered 409 with it.
        is_away: whether everything is answered 503.
    """

    url: str = ""
    notes: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    known_size: int = 0
    is_away: bool = False

    def answer(self, body: str, authorization: str | None) -> tuple[int, str, str]:
        """Return status, type and body."""
        self.authorizations.append(authorization)
        if self.is_away:
            return 503, "text/plain", ""
        if Checkpoint.of(Note.of(body.encode()).text).size < self.known_size:
            return 409, SIZE_TYPE, f"{self.known_size}\n"
        self.notes.append(body)
        return 200, "text/plain", ""


class Witness(Receiver):
    """A witness of C2SP ``tlog-witness`` for one log."""

    name = "witness.example"

    def __init__(self) -> None:
        super().__init__()
        self._key = Ed25519PrivateKey.generate()
        public = self._key.public_key().public_bytes_raw()
        self.key = VerifierKey(self.name, Algorithm.COSIGNATURE, public)
        self._root = EMPTY_ROOT

    def answer(self, body: str, authorization: str | None) -> tuple[int, str, str]:
        """Cosign what continues the tree that was cosigned last."""
        del authorization
        if self.is_away:
            return 503, "text/plain", ""
        head, _, note = body.partition("\n\n")
        old, *proof = head.split("\n")
        checkpoint = Checkpoint.of(Note.of(note.encode()).text)
        if int(old.removeprefix("old ")) != self.known_size or checkpoint.size < self.known_size:
            return 409, SIZE_TYPE, f"{self.known_size}\n"
        if self.known_size and not self._continues(checkpoint, proof):
            return 422, "text/plain", ""
        self.known_size, self._root = checkpoint.size, checkpoint.root
        self.notes.append(note)
        return 200, "text/plain", self._line(checkpoint.text).line

    def _continues(self, checkpoint: Checkpoint, proof: list[str]) -> bool:
        roots = self._root.hex(), checkpoint.root.hex()
        if self.known_size == checkpoint.size:
            return roots[0] == roots[1]
        hashes = [base64.b64decode(each).hex() for each in proof]
        return bool(scitt_cose.verify_consistency(*roots, self.known_size, checkpoint.size, hashes))

    def _line(self, text: str) -> Signature:
        at = int(time.time())
        signed = self._key.sign(f"cosignature/v1\ntime {at}\n{text}".encode())
        return Signature(self.name, self.key.key_id, at.to_bytes(8) + signed)

    @property
    def root(self) -> str:
        """The newest root that was cosigned."""
        return to_base64(self._root)


@contextmanager
def receiving(receiver: Receiver) -> Iterator[Receiver]:
    """Let ``receiver`` answer on a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, media_type, text = receiver.answer(body, self.headers["Authorization"])
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
