"""Where checkpoints are sent, so that a history that was rewritten is noticed elsewhere (ledger.md 7.2)."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final, Protocol

import urllib3
from urllib3.exceptions import HTTPError

from datastorage.ledger.checkpoint import Checkpoint
from datastorage.ledger.encoding import from_decimal, to_base64
from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.keys import VerifierKey
from datastorage.ledger.note import Note, Signature

TEXT: Final = "text/plain; charset=utf-8"
SIZE_TYPE: Final = "text/x.tlog.size"
HTTPS_SECONDS: Final = 10.0
WITNESS_SECONDS: Final = 5.0
MAX_ANSWER_BYTES: Final = 64 * 1024
_SIZE_DIGITS: Final = 20

Prove = Callable[[int], Sequence[bytes]]
"""Returns the proof that the published tree continues the tree of a size."""


class TargetFailedError(Exception):
    """A target did not take a checkpoint, or cannot be read; the text says why, without its address."""


@dataclass(frozen=True, slots=True)
class Published:
    """What a target knows: the newest size and, where it says so, the root and whose tree it is."""

    size: int
    root: bytes | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Publication:
    """A checkpoint on its way."""

    checkpoint: Checkpoint
    note: str
    prove: Prove


class Target(Protocol):
    """A place that gets checkpoints."""

    @property
    def kind(self) -> str:
        """``file``, ``https`` or ``witness``."""

    def known(self) -> Published | None:
        """Return what it knows, as far as it has said.

        Raises:
            TargetFailedError: it cannot be read.
        """

    def send(self, publication: Publication) -> tuple[Signature, ...]:
        """Send a checkpoint and return the cosignatures that came back.

        Raises:
            TargetFailedError: it was not taken.
        """


class FileTarget:
    """A folder, one for all pods: a file for each checkpoint, written once, and the newest beside them."""

    kind = "file"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def known(self) -> Published | None:
        """Return the newest checkpoint in the folder."""
        try:
            note = (self._folder / "checkpoint").read_bytes()
        except FileNotFoundError:
            if self._folder.is_dir():
                return None
            raise TargetFailedError("the folder is not there") from None
        except OSError as error:
            raise TargetFailedError(error.strerror or "the checkpoint cannot be read") from error
        try:
            found = Checkpoint.of(Note.of(note).text)
        except MalformedEvidence as error:
            raise TargetFailedError(f"the checkpoint in the folder is none: {error}") from error
        return Published(found.size, found.root, found.origin)

    def send(self, publication: Publication) -> tuple[Signature, ...]:
        """Write the checkpoint once, and replace the newest unless another pod has written a newer one."""
        checkpoint, content = publication.checkpoint, publication.note.encode()
        try:
            kept = self._folder / "checkpoints"
            kept.mkdir(exist_ok=True)
            _write_once(kept / f"{checkpoint.size:0{_SIZE_DIGITS}}", content)
            newest = self.known()
            is_behind = newest is None or newest.origin != checkpoint.origin or newest.size < checkpoint.size
            if is_behind:
                _replace(self._folder / "checkpoint", content)
        except OSError as error:
            raise TargetFailedError(error.strerror or "the folder cannot be written") from error
        return ()


def _write_once(path: Path, content: bytes) -> None:
    """Write a file that nothing writes again: another pod may have been first."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    _write(part, content)
    try:
        os.link(part, path)
    except FileExistsError:
        pass
    finally:
        part.unlink()


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    _write(part, content)
    part.replace(path)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


class HttpsTarget:
    """A receiver that is sent each checkpoint by POST.

    Args:
        url: of the receiver.
        token_file: the bearer token, read for each request, because it may be renewed.
    """

    kind = "https"

    def __init__(self, url: str, token_file: Path | None) -> None:
        self._url = url
        self._token_file = token_file
        self._pool = _pool(HTTPS_SECONDS)
        self._known: Published | None = None

    def known(self) -> Published | None:
        """Return the size that it answered last."""
        return self._known

    def send(self, publication: Publication) -> tuple[Signature, ...]:
        """Send the checkpoint."""
        headers = {"Content-Type": TEXT}
        if self._token_file is not None:
            try:
                token = self._token_file.read_text("utf-8").strip()
            except OSError as error:
                raise TargetFailedError(f"the token cannot be read: {error.strerror}") from error
            headers["Authorization"] = f"Bearer {token}"
        answer = _post(self._pool, self._url, publication.note.encode(), headers)
        ahead = _size_in(answer)
        if ahead is not None:
            self._known = Published(ahead)
            raise TargetFailedError(f"the receiver knows a tree of {ahead} leaves")
        _require_success(answer)
        self._known = Published(publication.checkpoint.size, publication.checkpoint.root)
        return ()


class WitnessTarget:
    """A witness of C2SP ``tlog-witness``: cosigns what continues the tree that it has seen.

    Args:
        key: under which its cosignatures have to be good.
        url: its submission prefix.
    """

    kind = "witness"

    def __init__(self, key: VerifierKey, url: str) -> None:
        self.key = key
        self._url = f"{url.rstrip('/')}/add-checkpoint"
        self._pool = _pool(WITNESS_SECONDS)
        self._known: Published | None = None

    def known(self) -> Published | None:
        """Return the size that it answered, or cosigned, last."""
        return self._known

    def send(self, publication: Publication) -> tuple[Signature, ...]:
        """Ask for a cosignature; a witness that is behind says from which size it needs a proof."""
        old = 0 if self._known is None else self._known.size
        answer = self._ask(publication, old)
        size = _size_in(answer)
        if size is not None:
            self._known = Published(size)
            if size > publication.checkpoint.size:
                raise TargetFailedError(f"the witness knows a tree of {size} leaves")
            answer = self._ask(publication, size)
        _require_success(answer)
        lines = self._good_lines(answer, publication.checkpoint)
        self._known = Published(publication.checkpoint.size, publication.checkpoint.root)
        return lines

    def _ask(self, publication: Publication, old: int) -> "_Answer":
        size = publication.checkpoint.size
        proof = publication.prove(old) if 0 < old < size else ()
        hashes = "".join(f"{to_base64(each)}\n" for each in proof)
        body = f"old {min(old, size)}\n{hashes}\n{publication.note}"
        return _post(self._pool, self._url, body.encode(), {"Content-Type": TEXT})

    def _good_lines(self, answer: "_Answer", checkpoint: Checkpoint) -> tuple[Signature, ...]:
        try:
            text = answer.content.decode()
            lines = [Signature.of(line) for line in text.removesuffix("\n").split("\n")]
        except (MalformedEvidence, UnicodeDecodeError) as error:
            raise TargetFailedError(f"the answer of the witness is no cosignature: {error}") from error
        good = tuple(line for line in lines if self.key.signed(checkpoint.text, line))
        if not good:
            raise TargetFailedError("the witness signed with another key")
        return good


def _pool(seconds: float) -> urllib3.PoolManager:
    return urllib3.PoolManager(retries=False, timeout=seconds)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a receiver said."""

    status: int
    media_type: str
    content: bytes


def _post(pool: urllib3.PoolManager, url: str, body: bytes, headers: dict[str, str]) -> _Answer:
    try:
        answer = pool.request("POST", url, body=body, headers=headers, redirect=False, preload_content=False)
        content = answer.read(MAX_ANSWER_BYTES)
        answer.close()
    except HTTPError as error:
        raise TargetFailedError(type(error).__name__) from error
    media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    return _Answer(answer.status, media_type, content)


def _size_in(answer: _Answer) -> int | None:
    """Return the size that an answer names because the receiver knows another tree than it was sent."""
    if answer.status != HTTPStatus.CONFLICT or answer.media_type != SIZE_TYPE:
        return None
    try:
        return from_decimal(answer.content.decode("ascii").strip())
    except (MalformedEvidence, UnicodeDecodeError) as error:
        raise TargetFailedError("the answer names no size") from error


def _require_success(answer: _Answer) -> None:
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        raise TargetFailedError(f"it was answered {answer.status}")
