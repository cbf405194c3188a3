"""Where the files of a log are read: a folder, or a server; both have the layout of C2SP ``tlog-tiles``."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from datastorage.ledger.errors import MalformedEvidence
from datastorage.verification.doubts import Incomplete, Word

MAX_FILE_BYTES: Final = 1 << 20
"""The largest file of a log is a bundle of 256 entries, 15 KiB of ours."""
TIMEOUT_SECONDS: Final = 30
_OK: Final = 200


class Source(Protocol):
    """Has the files of one log."""

    def read(self, path: str) -> bytes:
        """Return a file.

        Raises:
            Incomplete: it is not there or not reachable.
        """


class Folder:
    """A log in files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, path: str) -> bytes:
        """Return a file."""
        try:
            return (self._folder / path).read_bytes()
        except OSError as error:
            raise Incomplete(Word.MISSING, f"{path}: {error.strerror}") from error


class Website:
    """A log behind a base URL, over one connection. It follows no redirects: a log is where it says it is."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        connection = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = connection(parts.netloc, timeout=TIMEOUT_SECONDS)
        self._base = parts.path.rstrip("/")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def read(self, path: str) -> bytes:
        """Return a file."""
        try:
            self._connection.request("GET", f"{self._base}/{path}", headers={"Accept-Encoding": "identity"})
            response = self._connection.getresponse()
            body = response.read(MAX_FILE_BYTES + 1)
        except (OSError, HTTPException) as error:
            self._connection.close()
            raise Incomplete(Word.MISSING, f"{path}: {type(error).__name__} {error}".rstrip()) from error
        if response.status != _OK or len(body) > MAX_FILE_BYTES:
            self._connection.close()
            raise Incomplete(Word.MISSING, f"{path}: status {response.status}, {len(body)} bytes")
        return body


@contextmanager
def source_at(place: str) -> Iterator[Source]:
    """Open the source at a URL or in a folder.

    Raises:
        MalformedEvidence: the URL is none.
    """
    if not place.startswith(("http://", "https://")):
        yield Folder(Path(place))
        return
    try:
        website = Website(place)
    except (ValueError, HTTPException) as error:
        raise MalformedEvidence(f"not a URL: {place}") from error
    with closing(website):
        yield website
