"""What only a real API server can tell: that groups reach it, and that it takes the manifests."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.api.access.conftest import Caller
from tests.guards.manifests import RENDERINGS, Rendering, examples, production
from tests.support.builders import EVENTS, an_event
from tests.support.cluster import Cluster, named_cluster, needs_cluster
from tests.support.http import assert_problem
from tests.support.started import StartService
from tests.support.waiting import eventually

pytestmark = needs_cluster

RBAC = "rbac.authorization.k8s.io"
NAMESPACE = "datastorage"
WRITERS = "datastorage-test-writers"
OTHERS = "datastorage-test-others"
MONITORING = {"ServiceMonitor": "servicemonitors", "PrometheusRule": "prometheusrules"}
"""What the operator of Prometheus brings into a cluster."""


def an_object(version: str, kind: str, name: str, namespace: str = "", **content: Any) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def a_definition(kind: str, plural: str) -> Mapping[str, Any]:
    """Return a kind of the operator, with whatever content."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    group = "monitoring.coreos.com"
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    versions = [{"name": "v1", "served": True, "storage": True, "schema": schema}]
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": versions}
    name = f"{plural}.{group}"
    return an_object("apiextensions.k8s.io/v1", "CustomResourceDefinition", name, spec=spec)


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    """The API server, with the namespaces and the kinds that an installation finds there."""
    found = named_cluster()
    found.apply(*(an_object("v1", "Namespace", name) for name in (NAMESPACE, WRITERS, OTHERS)))
    found.apply(*(a_definition(kind, plural) for kind, plural in MONITORING.items()))
    found.kubectl(
        "wait", "--for=condition=Established", "--timeout=60s", "customresourcedefinitions", "--all"
    )
    return found


@pytest.fixture(scope="module")
def caller(cluster: Cluster, start_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> Caller:
    """A client of a service that asks the API server, where one group of accounts may write."""
    ours = production()
    cluster.apply(
        *(an_object("v1", "ServiceAccount", "client", name) for name in (WRITERS, OTHERS)),
        ours.get("ServiceAccount").body,
        *(each.body for kind in ("ClusterRole", "ClusterRoleBinding") for each in ours.of_kind(kind)),
        an_object(
            f"{RBAC}/v1",
            "RoleBinding",
            "datastorage-test-writers",
            NAMESPACE,
            roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": "datastorage-writer"},
            subjects=[{"apiGroup": RBAC, "kind": "Group", "name": f"system:serviceaccounts:{WRITERS}"}],
        ),
    )
    directory = tmp_path_factory.mktemp("own")
    (directory / "ca.crt").write_bytes(cluster.ca)
    (directory / "token").write_text(cluster.token_of("datastorage", NAMESPACE))
    service = start_service(
        AUTH_MODE="kubernetes",
        AUTH_KUBERNETES_API_URL=cluster.url,
        AUTH_KUBERNETES_CA_FILE=str(directory / "ca.crt"),
        AUTH_KUBERNETES_TOKEN_FILE=str(directory / "token"),
        AUTH_KUBERNETES_NAMESPACE=NAMESPACE,
        AUTH_KUBERNETES_EXPORT_VERB="list",
        SERVER_WORKERS="1",
    )
    return Caller(service.api)


def test_binding_of_a_group_lets_its_accounts_write_and_no_others(caller: Caller, cluster: Cluster) -> None:
    member = cluster.token_of("client", WRITERS)
    stranger = cluster.token_of("client", OTHERS)

    assert caller.post(EVENTS, an_event(), member).status == 201
    assert_problem(caller.get(EVENTS, member), 403, "forbidden")
    assert_problem(caller.post(EVENTS, an_event(), stranger), 403, "forbidden")
    assert_problem(caller.post(EVENTS, an_event(), "x" * 40), 401, "unauthorized")
    whoami = caller.get("/api/v1/whoami", member).json
    assert whoami["name"] == f"system:serviceaccount:{WRITERS}:client"
    assert f"system:serviceaccounts:{WRITERS}" in whoami["groups"]
    assert whoami["permissions"] == ["write"]


def test_token_of_a_deleted_account_ends(caller: Caller, cluster: Cluster) -> None:
    cluster.apply(an_object("v1", "ServiceAccount", "leaver", WRITERS))
    token = cluster.token_of("leaver", WRITERS)
    assert caller.post(EVENTS, an_event(), token).status == 201
    cluster.kubectl("delete", "serviceaccount", "leaver", "--namespace", WRITERS)

    def is_refused() -> bool:
        return caller.post(EVENTS, an_event(), token).status == 401

    # Ten seconds of our own cache, and ten of the API server's.
    eventually(is_refused, timeout_seconds=25)


@pytest.mark.parametrize("rendering", [*RENDERINGS, examples], ids=lambda it: it.__name__)
def test_api_server_takes_every_overlay(cluster: Cluster, rendering: Callable[[], Rendering]) -> None:
    rendered = rendering()

    answer = cluster.dry_run(rendered.text)

    assert answer.count("(server dry run)") == len(rendered.objects)
