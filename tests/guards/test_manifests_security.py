"""Nothing in the manifests runs with more rights, or is reachable by more pods, than it must."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.guards.manifests import (
    K8S,
    RENDERINGS,
    Labels,
    Object,
    Pod,
    Rendering,
    complete,
    development,
    matches,
    production,
    template,
)

Renderer = Callable[[], Rendering]
each_rendering = pytest.mark.parametrize("rendering", RENDERINGS)

RESTRICTED_VOLUMES = {"configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
PLATFORM = {"kubernetes.io/metadata.name": "remediation", "kubernaut.ai/platform": "true"}
OURS = {"kubernetes.io/metadata.name": "datastorage"}
CLIENT = {"kubernaut.ai/datastorage-client": "true"}


@each_rendering
def test_every_pod_meets_the_restricted_standard(rendering: Renderer) -> None:
    assert {pod.owner: list(violations(pod)) for pod in rendering().pods} == {
        pod.owner: [] for pod in rendering().pods
    }


def violations(pod: Pod) -> Iterator[str]:
    """Yield what the restricted Pod Security Standard forbids, and a writable root besides."""
    security, own = pod.spec.get("securityContext", {}), pod.container.get("securityContext", {})
    faults = {
        "runs as root": not security.get("runAsNonRoot") or security.get("runAsUser", 0) == 0,
        "has no seccomp profile": security.get("seccompProfile") != {"type": "RuntimeDefault"},
        "keeps capabilities": own.get("capabilities") != {"drop": ["ALL"]},
        "may gain privileges": own.get("allowPrivilegeEscalation") is not False or own.get("privileged"),
        "may write to its root": own.get("readOnlyRootFilesystem") is not True,
        "shares a namespace with its host": pod.spec.keys() & {"hostNetwork", "hostPID", "hostIPC"},
        "opens a port of its host": any("hostPort" in port for port in pod.container.get("ports", ())),
        "mounts what it must not": any(
            not RESTRICTED_VOLUMES & volume.keys() for volume in pod.spec["volumes"]
        ),
    }
    return (fault for fault, is_so in faults.items() if is_so)


def test_the_namespace_enforces_the_restricted_standard() -> None:
    assert production().get("Namespace").labels["pod-security.kubernetes.io/enforce"] == "restricted"


@each_rendering
def test_our_pods_run_as_1001_and_nobody_gets_a_token(rendering: Renderer) -> None:
    ours = [pod for pod in rendering().pods if pod.is_ours]

    assert {pod.spec["securityContext"]["runAsUser"] for pod in ours} == {1001}
    assert {pod.spec["automountServiceAccountToken"] for pod in rendering().pods} == {False}
    assert rendering().get("ServiceAccount").body["automountServiceAccountToken"] is False
    assert {each.kind for each in rendering().objects}.isdisjoint({"Role", "RoleBinding", "ClusterRole"})


@each_rendering
def test_no_secret_ships(rendering: Renderer) -> None:
    secrets = [each.body["stringData"] for each in template() if each.kind == "Secret"]

    assert rendering().of_kind("Secret") == []
    assert all("REPLACE_ME" in content for secret in secrets for content in secret.values())
    assert "assword" not in "".join(map(str, (pod.environment() for pod in rendering().pods)))


def test_host_names_are_placeholders_or_our_own_services() -> None:
    own = {service.name for service in complete().of_kind("Service")}
    texts = [development().text, complete().text, (K8S / "secrets.template.yaml").read_text(encoding="utf-8")]
    addresses = {
        host
        for text in texts
        for host in re.findall(r"(?:://|host: |addr: |image: )([\w.-]+)", text)
        if host not in own
    }

    assert {host for host in addresses if not host.endswith(".example")} == {"valkey"}


# Network


@dataclass(frozen=True)
class End:
    """A pod, as rules see it."""

    labels: Labels
    namespace: Labels = field(default_factory=lambda: OURS)


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
    dns = End({"k8s-app": "kube-dns"}, {"kubernetes.io/metadata.name": "kube-system"})

    assert leaves(server, End({"app": "postgres"}, data), 5432)
    assert leaves(server, End({"app": "redis"}, data), 6379)
    assert not leaves(server, End({"app": "redis"}, data), 5432)
    assert not leaves(server, End({"app": "postgres"}, PLATFORM), 5432)
    assert leaves(server, dns, 53, "UDP")
    assert leaves(server, dns, 53, "TCP")
    assert not leaves(server, End({}, PLATFORM), 443)


def test_the_collector_is_reached_only_where_tracing_is_on() -> None:
    server = End(production().server.labels)
    collector = End(
        {"app.kubernetes.io/name": "opentelemetry-collector"}, {"kubernetes.io/metadata.name": "monitoring"}
    )

    assert not leaves(server, collector, 4318, among=production())
    assert leaves(server, collector, 4318)
    assert not leaves(server, End({}, PLATFORM), 4318)


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


def reaches(source: End, target: End, port: int) -> bool:
    """Tell whether the rules of ``target`` let ``source`` in."""
    return is_allowed(complete(), "Ingress", of=target, other=source, port=(port, "TCP"))


def leaves(
    source: End, target: End, port: int, protocol: str = "TCP", *, among: Rendering | None = None
) -> bool:
    """Tell whether the rules of ``source`` let it talk to ``target``."""
    return is_allowed(among or complete(), "Egress", of=source, other=target, port=(port, protocol))


def is_allowed(rendering: Rendering, direction: str, *, of: End, other: End, port: tuple[int, str]) -> bool:
    """Evaluate the policies as Kubernetes does: none selects the pod, or one rule of one of them matches."""
    policies = [
        policy.spec
        for policy in rendering.of_kind("NetworkPolicy")
        if matches(policy.spec["podSelector"].get("matchLabels", {}), of.labels)
        and direction in policy.spec["policyTypes"]
    ]
    assert policies, "no policy selects the pod: everything is allowed"
    rules = [rule for policy in policies for rule in policy.get(direction.lower(), ())]
    return any(covers(rule, direction, other, port) for rule in rules)


def covers(rule: Mapping[str, Any], direction: str, other: End, port: tuple[int, str]) -> bool:
    ports = [(each["port"], each.get("protocol", "TCP")) for each in rule.get("ports", ())]
    peers = rule.get("from" if direction == "Ingress" else "to", ())
    return (not ports or port in ports) and (not peers or any(is_peer(peer, other) for peer in peers))


def is_peer(peer: Mapping[str, Any], end: End) -> bool:
    # Without a namespace selector a peer means pods of the policy's own namespace.
    namespaces = peer["namespaceSelector"].get("matchLabels", {}) if "namespaceSelector" in peer else OURS
    pods = peer.get("podSelector", {}).get("matchLabels", {})
    return matches(namespaces, end.namespace) and matches(pods, end.labels)


@each_rendering
def test_every_peer_says_which_pods_it_means(rendering: Renderer) -> None:
    peers = [peer for policy in rendering().of_kind("NetworkPolicy") for peer in peers_of(policy)]

    assert peers
    assert [peer for peer in peers if not peer.get("podSelector", {}).get("matchLabels")] == []


def peers_of(policy: Object) -> Iterator[dict[str, Any]]:
    for rule in (*policy.spec.get("ingress", ()), *policy.spec.get("egress", ())):
        yield from (*rule.get("from", ()), *rule.get("to", ()))
