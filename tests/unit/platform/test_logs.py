import logging
import socket
import uuid
import warnings

import psycopg
import pytest
from gunicorn import glogging
from gunicorn.config import Config

from datastorage import __version__
from datastorage.platform.logs import GunicornLogger, RequestContext, redact, request_context
from datastorage.platform.logs.destination import LineHandler
from datastorage.platform.logs.redaction import REDACTED, redact_text
from tests.support.logs import Configure, Output

logger = logging.getLogger("datastorage.test")


def test_an_entry_is_one_line_of_json_that_says_who_wrote_it(output: Output) -> None:
    logger.info("stored %d events", 3, extra={"table": "audit_events"})

    line = output.only
    assert line.pop("ts").endswith("Z")
    assert line.pop("pid") > 0
    assert line == {
        "level": "info",
        "msg": "stored 3 events",
        "logger": "datastorage.test",
        "service": "datastorage",
        "version": __version__,
        "pod": socket.gethostname(),
        "table": "audit_events",
    }


def test_time_is_utc_with_fractions_of_a_second(output: Output) -> None:
    record = logger.makeRecord("a", logging.INFO, "a.py", 1, "tick", (), None)
    record.created = 1772619600.25

    logger.handle(record)

    assert output.only["ts"] == "2026-03-04T10:20:00.250000Z"


@pytest.mark.parametrize(
    ("number", "name"),
    [(10, "debug"), (20, "info"), (30, "warn"), (40, "error"), (50, "error")],
)
def test_level_names_are_the_four_of_the_settings(configure: Configure, number: int, name: str) -> None:
    output = configure(level="DEBUG")

    logger.log(number, "here")

    assert output.only["level"] == name


def test_entries_below_the_level_are_not_written(configure: Configure) -> None:
    output = configure(level="warn")

    logger.info("too quiet")
    logger.warning("loud enough")

    assert output.only["msg"] == "loud enough"


def test_a_request_is_named_in_its_lines_and_in_no_others(output: Output) -> None:
    logger.info("before")
    token = request_context.set(
        RequestContext("req-1", None, "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    )
    logger.info("during")
    request_context.reset(token)
    logger.info("after")

    before, during, after = output.lines
    assert during["request_id"] == "req-1"
    assert during["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert during["span_id"] == "b7ad6b7169203331"
    assert "correlation_id" not in during
    assert "request_id" not in before.keys() | after.keys()


def test_a_line_about_another_record_carries_its_correlation_id(output: Output) -> None:
    request_context.set(RequestContext("req-1", "mine"))

    logger.info("replayed", extra={"correlation_id": "theirs"})

    assert output.only["correlation_id"] == "theirs"


def test_a_field_cannot_replace_what_the_service_says_about_itself(output: Output) -> None:
    logger.info("trust me", extra={"service": "bank", "level": "debug", "ts": "yesterday", "pid": 1})

    line = output.only
    assert (line["service"], line["level"]) == ("datastorage", "info")
    assert (line["extra_service"], line["extra_pid"]) == ("bank", 1)


def test_an_error_is_described_with_its_type_and_the_stack_of_every_cause(output: Output) -> None:
    try:
        fail_in_two_steps()
    except ValueError:
        logger.exception("failed")

    line = output.only
    assert (line["error"], line["error_type"]) == ("second", "ValueError")
    assert line["stack"].index("ValueError: invalid literal") < line["stack"].index("ValueError: second")
    assert "test_logs.py" in line["stack"]
    assert "exc_info" not in line


def fail_in_two_steps() -> None:
    try:
        int("one")
    except ValueError as error:
        raise ValueError("second") from error


def test_row_values_that_the_database_quotes_are_not_logged(output: Output) -> None:
    message = (
        'violates constraint "x"\nDETAIL:  Failing row contains (Ada, 1815).\n[parameters: {"n": "Ada"}]'
    )

    logger.error("write failed", exc_info=psycopg.errors.CheckViolation(message))

    assert output.only["error"] == 'violates constraint "x"'
    assert "Ada" not in output.text


@pytest.mark.parametrize(
    "name",
    [
        *("password", "passwd", "pwd", "token", "api_key", "secret", "authorization", "auth", "bearer"),
        *("PASSWORD", "db_password", "DB-Passwd", "accessToken", "apiKey", "client_secret", "X-Auth"),
    ],
)
def test_a_secret_field_is_redacted_at_any_depth(output: Output, name: str) -> None:
    logger.info("configured", extra={name: "hunter2", "outer": [{"inner": {name: {"deep": "hunter2"}}}]})

    assert output.only[name] == REDACTED
    assert output.only["outer"] == [{"inner": {name: REDACTED}}]


@pytest.mark.parametrize("value", ["0123456789ab", None])
def test_digits_of_a_tokens_hash_are_shown(value: str | None, output: Output) -> None:
    logger.warning("refused", extra={"token_id": value})

    assert output.only["token_id"] == value


@pytest.mark.parametrize("value", ["0123456789abcdef0", "dst_0123", {"kid": "0123"}])
def test_what_may_be_the_token_itself_is_not_shown_as_its_digits(value: object, output: Output) -> None:
    logger.warning("refused", extra={"token_id": value})

    assert output.only["token_id"] == REDACTED


@pytest.mark.parametrize("name", ["author", "authority", "status", "path", "key", "secondary"])
def test_a_field_that_only_resembles_a_secret_is_kept(name: str) -> None:
    assert redact(name, "Ada") == "Ada"


WITH_SECRETS = [
    ("postgresql://ada:hunter2@db:5432/audit", "postgresql://ada:[REDACTED]@db:5432/audit"),
    ("redis://:hunter2@cache/0 refused", "redis://:[REDACTED]@cache/0 refused"),
    ("at postgresql://ada:hun@ter/2@db/audit, again", "at postgresql://ada:[REDACTED]@db/audit, again"),
    ("http://proxy/?api_key=hunter2&page=2", "http://proxy/?api_key=[REDACTED]&page=2"),
    ("host=db password=hunter2 user=ada", "host=db password=[REDACTED] user=ada"),
    ("host=db password='hun ter2' user=ada", "host=db password=[REDACTED] user=ada"),
    ("PGPASSWORD = hunter2", "PGPASSWORD = [REDACTED]"),
    ("{'password': 'hunter2', 'user': 'ada'}", "{'password': [REDACTED], 'user': 'ada'}"),
    ('{"password": "hunter2", "user": "ada"}', '{"password": [REDACTED], "user": "ada"}'),
    ("auth=hunter2", "auth=[REDACTED]"),
]


@pytest.mark.parametrize(("text", "expected"), WITH_SECRETS)
def test_secrets_inside_urls_and_connection_strings_are_redacted(text: str, expected: str) -> None:
    assert redact_text(text) == expected


@pytest.mark.parametrize("format_", ["json", "console"])
@pytest.mark.parametrize("text", [text for text, _ in WITH_SECRETS])
def test_no_line_holds_a_secret_of_a_text(configure: Configure, text: str, format_: str) -> None:
    output = configure(format=format_)

    logger.info("unable to use %s", text)
    logger.info("refused", extra={"reason": text})
    logger.info("refused", extra={"reasons": [text], "count": 2})

    assert len(output.text.splitlines()) == 3
    assert "hunter2" not in output.text
    assert "ter2" not in output.text


@pytest.mark.parametrize(
    "text",
    [
        "https://kubernaut.ai/problems/not-found",
        "password authentication failed for user",
        "author=ada",
        "a=b@c://d",
    ],
)
def test_other_texts_are_left_as_they_are(text: str) -> None:
    assert redact_text(text) == text


def test_text_made_to_take_long_does_not() -> None:
    bombs = ["=" + "password='" * 800, "=@" + "://a:" * 1600, "=" + "token" * 1600]

    results = [redact_text(bomb) for bomb in bombs]

    assert len(results) == 3  # a quadratic search would not end within the patience of whoever runs this


def test_the_password_of_a_failed_connection_is_nowhere_in_the_output(output: Output) -> None:
    url = "postgresql://ada:hunter2@127.0.0.1:1/audit?connect_timeout=2"

    try:
        psycopg.connect(url)
    except psycopg.OperationalError:
        logger.exception("cannot reach %s", url, extra={"url": url, "settings": {"password": "hunter2"}})

    assert output.only["error_type"] == "OperationalError"
    assert "hunter2" not in output.text


@pytest.mark.parametrize("format_", ["json", "console"])
@pytest.mark.parametrize("breaker", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_line_break_in_a_value_does_not_start_a_line(
    configure: Configure, format_: str, breaker: str
) -> None:
    output = configure(format=format_)
    forged = f'harmless{breaker}{{"level":"error","msg":"forged"}}'

    logger.info("%s", forged, extra={"path": forged, forged: {forged: [forged]}})

    assert len(output.text.splitlines()) == 1


def test_console_marks_every_line_of_a_stack(configure: Configure) -> None:
    output = configure(format="console")

    try:
        int("bad\n2026-01-01T00:00:00Z INFO forged: entry")
    except ValueError:
        logger.exception("failed", extra={"attempt": 2})

    first, *stack = output.text.splitlines()
    assert " ERROR datastorage.test: failed attempt=2 " in first
    assert stack
    assert all(line.startswith("    | ") for line in stack)


def test_terminal_control_characters_are_escaped(configure: Configure) -> None:
    for format_ in ("json", "console"):
        output = configure(format=format_)

        logger.info("\x1b[2J\x7f\x9b31m\u202e")

        assert output.text.strip().isprintable()
        assert output.text.isascii()


def test_values_json_cannot_express_are_written_anyway(output: Output) -> None:
    class Thing:
        def __str__(self) -> str:
            return "a thing with password=hunter2"

    cyclic: dict[str, object] = {}
    cyclic["self"] = cyclic
    odd = {
        "half": "\ud800",
        "huge": [2**70],
        "nan": float("nan"),
        "thing": Thing(),
        "id": uuid.UUID(int=1),
        "set": {1},
        "numbered": {1: "one"},
        "cyclic": cyclic,
    }

    logger.info("odd", extra=odd)

    line = output.only
    assert line["half"] == "\ud800"
    assert line["huge"] == [2**70]
    assert line["nan"] is None
    assert line["thing"] == "a thing with password=[REDACTED]"
    assert line["id"] == "00000000-0000-0000-0000-000000000001"
    assert (line["set"], line["numbered"]) == ([1], {"1": "one"})
    assert "..." in output.text


def test_an_entry_that_cannot_be_written_is_reported_without_its_values(
    output: Output, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    only_ours = [handler for handler in root.handlers if isinstance(handler, LineHandler)]
    monkeypatch.setattr(root, "handlers", only_ours)  # pytest's own raise for a broken entry

    logger.info("%d events", "hunter2")

    line = output.only
    assert line["msg"] == "Log entry not written"
    assert line["entry"].startswith("datastorage.test:")
    assert line["error_type"] == "TypeError"
    assert "hunter2" not in output.text + capsys.readouterr().err


def test_warnings_become_entries(configure: Configure) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        output = configure()
        warnings.warn("old habit", UserWarning, stacklevel=1)

    assert output.only["level"] == "warn"
    assert output.only["logger"] == "py.warnings"
    assert "old habit" in output.only["msg"]


def test_configuring_again_replaces_the_handler(configure: Configure) -> None:
    first = configure()
    second = configure(level="debug")

    logger.debug("once")

    assert first.text == ""
    assert second.only["msg"] == "once"


@pytest.mark.parametrize("gunicorn_comes_first", [True, False])
def test_gunicorn_writes_each_message_once_and_in_our_format(
    configure: Configure, capsys: pytest.CaptureFixture[str], *, gunicorn_comes_first: bool
) -> None:
    settings = Config()
    settings.set("accesslog", "-")
    if gunicorn_comes_first:
        glogging.Logger(settings)
        output = configure()
    else:
        output = configure()
        GunicornLogger(settings).setup(settings)

    logging.getLogger("gunicorn.error").info("Booting worker")
    logging.getLogger("gunicorn.access").info("GET /")

    assert [line["logger"] for line in output.lines] == ["gunicorn.error", "gunicorn.access"]
    assert capsys.readouterr() == ("", "")
