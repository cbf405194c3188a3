"""Nothing in the manifests runs with more rights than it must."""

import re
from collections.abc import Callable, Iterator

import pytest

from tests.guards.manifests import (
    K8S,
    RENDERINGS,
    Pod,
    Rendering,
    complete,
    complete_openshift,
    development,
    openshift,
    production,
    template,
)

Renderer = Callable[[], Rendering]
each_rendering = pytest.mark.parametrize("rendering", RENDERINGS)

RESTRICTED_VOLUMES = {"configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"}


@each_rendering
def test_every_pod_meets_the_restricted_standard(rendering: Renderer) -> None:
    assert {pod.owner: list(violations(pod)) for pod in rendering().pods} == {
        pod.owner: [] for pod in rendering().pods
    }


def violations(pod: Pod) -> Iterator[str]:
    """Yield what the restricted Pod Security Standard forbids, and a writable root besides."""
    security, own = pod.spec.get("securityContext", {}), pod.container.get("securityContext", {})
    faults = {
        "runs as root": not security.get("runAsNonRoot") or security.get("runAsUser") == 0,
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


@pytest.mark.parametrize("rendering", [production, development, complete])
def test_our_pods_run_as_1001_and_read_their_secrets_by_group(rendering: Renderer) -> None:
    contexts = [pod.spec["securityContext"] for pod in rendering().pods if pod.is_ours]

    assert {(context["runAsUser"], context["fsGroup"]) for context in contexts} == {(1001, 1001)}


@pytest.mark.parametrize("rendering", [openshift, complete_openshift])
def test_openshift_chooses_users_and_groups(rendering: Renderer) -> None:
    fixed = {"runAsUser", "runAsGroup", "fsGroup"}
    contexts = [
        (pod.owner, context)
        for pod in rendering().pods
        for context in (pod.spec["securityContext"], pod.container["securityContext"])
    ]

    assert [owner for owner, context in contexts if fixed & context.keys()] == []


@each_rendering
def test_no_pod_gets_a_token_by_itself(rendering: Renderer) -> None:
    assert {pod.spec["automountServiceAccountToken"] for pod in rendering().pods} == {False}
    assert rendering().get("ServiceAccount").body["automountServiceAccountToken"] is False


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
