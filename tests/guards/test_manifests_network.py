"""Under the network policies, nothing is reachable by more pods, or reaches more, than it must."""

from collections.abc import Callable, Mapping
from ipaddress import ip_network
from typing import Any

import pytest

from tests.guards.manifests import (
    RENDERINGS,
    Rendering,
    complete,
    complete_openshift,
    development,
    examples,
    openshift,
    production,
)
from tests.guards.network import End, leaves, peers_of, reaches

Renderer = Callable[[], Rendering]
each_rendering = pytest.mark.parametrize("rendering", RENDERINGS)

PLATFORM = {"kubernetes.io/metadata.name": "remediation", "kubernaut.ai/platform": "true"}
CLIENT = {"kubernaut.ai/datastorage-client": "true"}


def test_only_labelled_pods_of_the_platform_reach_the_api() -> None:
    server = End(production().server.labels)

    assert reaches(End(CLIENT, PLATFORM), server, 8080)
    assert not reaches(End({}, PLATFORM), server, 8080)
    assert not reaches(End(CLIENT, {"kubernetes.io/metadata.name": "elsewhere"}), server, 8080)
    assert not reaches(End({}), server, 8080)


def test_only_prometheus_of_the_monitoring_namespace_reaches_the_metrics() -> None:
    server = End(production().server.labels)
    prometheus = {"app.kubernetes.io/name": "prometheus"}
    monitoring = {"kubernetes.io/metadata.name": "monitoring"}

    assert reaches(End(prometheus, monitoring), server, 9090)
    assert not reaches(End(prometheus, PLATFORM), server, 9090)
    assert not reaches(End({}, monitoring), server, 9090)
    assert not reaches(End(prometheus, monitoring), server, 8080)
    assert not reaches(End(CLIENT, PLATFORM), server, 9090)


def test_the_service_reaches_its_servers_and_names_and_nothing_else() -> None:
    server = End(production().server.labels)
    data = {"kubernetes.io/metadata.name": "data"}

    assert leaves(server, End({"app": "postgres"}, data), 5432)
    assert leaves(server, End({"app": "redis"}, data), 6379)
    assert not leaves(server, End({"app": "redis"}, data), 5432)
    assert not leaves(server, End({"app": "postgres"}, PLATFORM), 5432)
    assert not leaves(server, End({}, PLATFORM), 443)


DNS = End({"k8s-app": "kube-dns"}, {"kubernetes.io/metadata.name": "kube-system"})
OPENSHIFT_DNS = End(
    {"dns.operator.openshift.io/daemonset-dns": "default"}, {"kubernetes.io/metadata.name": "openshift-dns"}
)


@pytest.mark.parametrize("protocol", ["UDP", "TCP"])
@pytest.mark.parametrize(
    ("rendering", "dns", "port"), [(complete, DNS, 53), (complete_openshift, OPENSHIFT_DNS, 5353)]
)
def test_the_service_and_its_jobs_ask_for_names_and_redis_does_not(
    rendering: Renderer, dns: End, port: int, protocol: str
) -> None:
    pods, elsewhere = list(rendering().pods), End(dns.labels, PLATFORM)

    def asking(whom: End) -> set[str]:
        return {pod.owner for pod in pods if leaves(End(pod.labels), whom, port, protocol, among=rendering())}

    assert asking(dns) == {pod.owner for pod in pods if pod.is_ours}
    assert asking(elsewhere) == set()


def test_openshift_does_not_reach_the_names_of_other_clusters() -> None:
    server = End(openshift().server.labels)

    assert not leaves(server, DNS, 53, "UDP", among=openshift())
    assert not leaves(server, OPENSHIFT_DNS, 53, "UDP", among=openshift())


def test_the_collector_is_reached_only_where_tracing_is_on() -> None:
    server = End(production().server.labels)
    collector = End(
        {"app.kubernetes.io/name": "opentelemetry-collector"}, {"kubernetes.io/metadata.name": "monitoring"}
    )

    assert not leaves(server, collector, 4318, among=production())
    assert leaves(server, collector, 4318)
    assert not leaves(server, End({}, PLATFORM), 4318)


@pytest.mark.parametrize("port", [443, 6443])
def test_the_server_alone_reaches_the_api_server(port: int) -> None:
    server = End(production().server.labels)
    api_server = End({}, {}, "192.0.2.1")
    reaching = {pod.owner for pod in complete().pods if leaves(End(pod.labels), api_server, port)}

    assert reaching == {"Deployment/datastorage"}
    assert not leaves(server, api_server, 80)
    assert not leaves(server, End({}, {}, "192.0.2.2"), port)
    assert not leaves(server, api_server, port, among=development())


def test_an_ingress_controller_reaches_the_api_where_the_example_is_applied() -> None:
    server = End(production().server.labels)
    applied = Rendering("production and examples", f"{production().text}---\n{examples().text}")
    namespace = {"kubernetes.io/metadata.name": "ingress-nginx"}
    controller = End(
        {"app.kubernetes.io/name": "ingress-nginx", "app.kubernetes.io/component": "controller"}, namespace
    )

    assert not reaches(controller, server, 8080)
    assert reaches(controller, server, 8080, among=applied)
    assert not reaches(controller, server, 9090, among=applied)
    assert not reaches(End({}, namespace), server, 8080, among=applied)


def test_jobs_reach_the_database_and_nobody_reaches_jobs() -> None:
    jobs = [pod for pod in production().pods if pod.owner.startswith(("Job", "CronJob"))]
    postgres = End({"app": "postgres"}, {"kubernetes.io/metadata.name": "data"})

    assert len(jobs) == 2
    for job in jobs:
        assert leaves(End(job.labels), postgres, 5432)
        assert not leaves(End(job.labels), End({}, PLATFORM), 443)
        assert not reaches(End(CLIENT, PLATFORM), End(job.labels), 8080)


def test_our_own_redis_serves_the_service_only() -> None:
    (redis,) = [End(pod.labels) for pod in complete().pods if pod.owner.startswith("StatefulSet")]
    server = End(complete().server.labels)

    assert leaves(server, redis, 6379)
    assert reaches(server, redis, 6379)
    assert not reaches(End({"app": "datastorage", "app.kubernetes.io/component": "job"}), redis, 6379)
    assert not reaches(End(CLIENT, PLATFORM), redis, 6379)
    assert not leaves(redis, End({}, PLATFORM), 443)


@each_rendering
def test_every_peer_says_which_pods_it_means(rendering: Renderer) -> None:
    peers = [peer for policy in rendering().of_kind("NetworkPolicy") for peer in peers_of(policy)]

    assert peers
    assert [peer for peer in peers if not names_pods(peer) and not is_one_address(peer)] == []


def names_pods(peer: Mapping[str, Any]) -> bool:
    return bool(peer.get("podSelector", {}).get("matchLabels"))


def is_one_address(peer: Mapping[str, Any]) -> bool:
    return "ipBlock" in peer and ip_network(peer["ipBlock"]["cidr"]).num_addresses == 1
