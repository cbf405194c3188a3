"""The key of the ledger on a developer's machine."""

import os
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

ORIGIN: Final = "localhost/datastorage-dev"


def ledger_key(data_dir: Path) -> Path:
    """Return the file of the key; it is made once, readable by its owner alone.

    Raises:
        OSError: the folder cannot be written.
    """
    file = data_dir / "ledger-key.pem"
    if not file.exists():
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        made = file.with_suffix(".new")
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, pem)
        finally:
            os.close(descriptor)
        made.replace(file)
    return file
