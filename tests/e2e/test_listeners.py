"""``server.host`` in every form, asked by clients of both families."""

import socket
from pathlib import Path

import pytest
import urllib3

from tests.support.http import Api
from tests.support.service import ServiceProcess

V4, V6 = "127.0.0.1", "[::1]"


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def answering(service: ServiceProcess) -> set[tuple[str, int]]:
    """Return the addresses of this machine at which the service lives."""
    found = set()
    for host in (V4, V6):
        for port in (service.port, service.metrics_port):
            url = f"http://{host}:{port}/health/live"
            try:
                if urllib3.request("GET", url, retries=False, timeout=5).status == 200:
                    found.add((host, port))
            except urllib3.exceptions.HTTPError:
                continue
    return found


only_with_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.mark.parametrize(
    ("host", "families"),
    [
        ("0.0.0.0", {V4}),
        ("127.0.0.1", {V4}),
        ("localhost", {V4}),
        pytest.param("::", {V4, V6}, marks=only_with_ipv6),
        pytest.param("[::]", {V4, V6}, marks=only_with_ipv6),
        pytest.param("::1", {V6}, marks=only_with_ipv6),
        pytest.param("[::1]", {V6}, marks=only_with_ipv6),
    ],
)
def test_service_listens_on_the_families_of_its_host(tmp_path: Path, host: str, families: set[str]) -> None:
    nowhere = ("postgresql://app@127.0.0.1:1/none", "redis://127.0.0.1:1/0")
    service = ServiceProcess(tmp_path, *nowhere, SERVER_HOST=host, SERVER_WORKERS="1", SERVER_THREADS="50")
    reachable = V4 if V4 in families else V6
    service.api = Api(f"http://{reachable}:{service.port}")
    try:
        service.start(ready=False)

        assert answering(service) == {
            (family, port) for family in families for port in (service.port, service.metrics_port)
        }
        url = f"http://{reachable}:{service.metrics_port}/api/v1/workflows"
        assert urllib3.request("GET", url, retries=False).status == 404, "the lanes are told apart by port"
    finally:
        service.stop()
