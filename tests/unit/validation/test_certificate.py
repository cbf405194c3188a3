"""Check 11 looks at the certificate that clients are shown."""

from datetime import timedelta
from pathlib import Path

import pytest

from datastorage.platform.clock import utc_now
from datastorage.validation.access import access
from datastorage.validation.subject import Broken, Doubtful, Subject
from tests.support.tls import Authority, Pair


def subject(pair: Pair) -> Subject:
    return Subject(
        None,
        {
            "DATASTORAGE_DATABASE_URL": "postgresql://app:x@127.0.0.1:1/none",
            "DATASTORAGE_REDIS_URL": "redis://127.0.0.1:1/0",
            "DATASTORAGE_SERVER_TLS_CERT_FILE": str(pair.cert),
            "DATASTORAGE_SERVER_TLS_KEY_FILE": str(pair.key),
        },
    )


CERTIFICATE = "the certificate of server.tls.cert_file expires"
NOBODY_ASKED = "access control is off"


@pytest.mark.parametrize(("days", "doubts"), [(13, [CERTIFICATE, NOBODY_ASKED]), (15, [NOBODY_ASKED])])
def test_certificate_that_expires_soon_is_a_warning(tmp_path: Path, days: int, doubts: list[str]) -> None:
    pair = Authority(tmp_path).issue("localhost", not_after=utc_now() + timedelta(days=days))

    with pytest.raises(Doubtful) as found:
        access(subject(pair), 1)

    texts = str(found.value).split("; ")
    assert [text.startswith(doubt) for text, doubt in zip(texts, doubts, strict=True)] == [True] * len(doubts)


def test_pair_that_does_not_fit_fails(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = Pair(authority.issue("localhost").cert, authority.issue("elsewhere").key)

    with pytest.raises(Broken, match="clients cannot come by TLS") as found:
        access(subject(pair), 1)

    assert not isinstance(found.value, Doubtful)
