import pytest

from datastorage.platform.tracing.telemetry import traces_url


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://gateway.example/otlp/v1/traces", "https://gateway.example/otlp/v1/traces"),
    ],
)
def test_traces_go_below_an_address_or_to_the_path_that_is_given(endpoint: str, url: str) -> None:
    assert traces_url(endpoint) == url
