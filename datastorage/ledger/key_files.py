"""The keys that sign checkpoints, as files of the service."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.keys import SigningKey, VerifierKey
from datastorage.platform.watched import BadFileError
from datastorage.settings import LedgerSettings


@dataclass(frozen=True, slots=True)
class LedgerKeys:
    """Who signs; nobody without a file.

    Attributes:
        origin: names the log.
        signing: the key, and during a rotation the next one after it.
    """

    origin: str = ""
    signing: tuple[SigningKey, ...] = ()

    @property
    def verifying(self) -> tuple[VerifierKey, ...]:
        """What verifiers are given."""
        return tuple(key.verifier for key in self.signing)

    @classmethod
    def read(cls, settings: LedgerSettings) -> Self:
        """Read the files that the settings name.

        Raises:
            BadFileError: one of them holds no key.
        """
        files = (settings.signing_key_file, settings.next_key_file)
        origin = settings.origin or ""
        return cls(origin, tuple(_read(origin, file) for file in files if file is not None))


def _read(origin: str, file: Path) -> SigningKey:
    try:
        return SigningKey.of_pem(origin, file.read_bytes())
    except OSError as error:
        raise BadFileError(f"{file} cannot be read: {error.strerror}") from error
    except MalformedEvidence as error:
        raise BadFileError(f"{file}: {error}") from error
