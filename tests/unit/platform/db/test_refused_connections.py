import psycopg
import pytest

from datastorage.platform.db.refused_connections import reason_of, reason_of_message

IN_GERMAN = "FATAL:  Passwort-Authentifizierung für Benutzer »app« fehlgeschlagen"
IN_RUSSIAN = "ВАЖНО:  роль app не прошла проверку"


@pytest.mark.parametrize(
    ("message", "used_password", "reason"),
    [
        (IN_GERMAN, True, "misconfigured"),
        (IN_RUSSIAN, True, "misconfigured"),
        ("FATAL:  Datenbanksystem startet", False, "db_unreachable"),
        ("server closed the connection unexpectedly", True, "db_unreachable"),
        ("FATAL:  the database system is not yet accepting connections", False, "db_unreachable"),
        ("FATAL:  the database system is shutting down", True, "db_unreachable"),
        ("fe_sendauth: no password supplied", False, "misconfigured"),
        ("FATAL:  no more connections allowed (max_client_conn)", False, "db_overloaded"),
        ("FATAL:  sorry, too many clients already", True, "db_overloaded"),
    ],
)
def test_refusal_tells_what_it_can(message: str, *, used_password: bool, reason: str) -> None:
    sentence = f'connection to server at "db", port 5432 failed: {message}\n'.encode()

    assert reason_of_message(sentence, used_password=used_password) == reason


def test_connection_that_was_lost_later_is_unreachable() -> None:
    error = psycopg.OperationalError("FATAL:  password authentication failed")

    assert reason_of(error) == "db_unreachable"
