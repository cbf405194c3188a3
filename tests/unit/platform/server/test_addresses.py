"""What gunicorn is told to bind to."""

import pytest

from datastorage.platform.server.startup import addresses_to_bind
from datastorage.settings import ServerSettings


@pytest.mark.parametrize(
    ("host", "written"),
    [
        ("0.0.0.0", "0.0.0.0"),
        ("127.0.0.1", "127.0.0.1"),
        ("::", "[::]"),
        ("::1", "[::1]"),
        ("localhost", "127.0.0.1"),
    ],
)
def test_address_is_written_as_gunicorn_reads_it(host: str, written: str) -> None:
    server = ServerSettings(host=host, port=8181, metrics_port=9191)

    assert addresses_to_bind(server) == [f"{written}:8181", f"{written}:9191"]


def test_unknown_name_ends_the_start_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        addresses_to_bind(ServerSettings(host="no-such-host.invalid"))

    assert caught.value.code == 1
    assert caplog.messages == ["Cannot resolve server.host"]
