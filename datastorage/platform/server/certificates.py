"""When certificates expire; apart from the rest, because its library takes a third of a second to load."""

from pathlib import Path

from cryptography import x509


def expiry_of(path: Path) -> float:
    """Return when the first certificate of a chain expires, as Unix time.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no certificates.
    """
    chain = x509.load_pem_x509_certificates(path.read_bytes())
    return min(each.not_valid_after_utc for each in chain).timestamp()
