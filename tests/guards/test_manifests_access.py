"""Only the server may ask who calls; roles say what callers may do, and bindings are examples."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datastorage.platform.access.permissions import Permission
from datastorage.platform.access.reviews import SERVICE
from datastorage.platform.access.roles import BUILT_IN
from datastorage.settings import KubernetesAuthSettings
from tests.guards.manifests import RENDERINGS, Pod, Rendering, development, examples, production

Renderer = Callable[[], Rendering]
each_rendering = pytest.mark.parametrize("rendering", RENDERINGS)
each_with_access = pytest.mark.parametrize("rendering", [each for each in RENDERINGS if each != development])

VERBS = {
    "datastorage-reader": {"get"},
    "datastorage-writer": {"create"},
    "datastorage-auditor": {"get", "list"},
    "datastorage-admin": {"get", "list", "create", "update"},
}
MEANT = {
    Permission.READ: "get",
    Permission.EXPORT: "list",
    Permission.WRITE: "create",
    Permission.ADMIN: "update",
}
"""What a permission is asked for with, when ``auth.kubernetes.export_verb`` is ``list``."""


@each_with_access
def test_the_account_of_the_server_may_review_and_nothing_else(rendering: Renderer) -> None:
    (binding,) = rendering().of_kind("ClusterRoleBinding")
    account = {"kind": "ServiceAccount", "name": "datastorage", "namespace": "datastorage"}

    assert binding.name == "datastorage-auth-delegator"
    assert referred(binding.body) == ("ClusterRole", "system:auth-delegator")
    assert binding.body["subjects"] == [account]
    assert rendering().server.spec["serviceAccountName"] == account["name"]


@each_with_access
def test_roles_allow_the_promised_verbs_on_the_service_that_stands_for_the_api(rendering: Renderer) -> None:
    roles = {each.name: each.body["rules"] for each in rendering().of_kind("ClusterRole")}

    assert {name: set(rule["verbs"]) for name, (rule,) in roles.items()} == VERBS
    for (rule,) in roles.values():
        assert (rule["apiGroups"], rule["resources"], rule["resourceNames"]) == (
            [""],
            ["services"],
            [SERVICE],
        )
        assert rule.keys() == {"apiGroups", "resources", "resourceNames", "verbs"}


def test_no_service_has_the_name_that_roles_allow_to_change() -> None:
    assert SERVICE not in {each.name for rendering in RENDERINGS for each in rendering().of_kind("Service")}


def test_roles_of_the_cluster_permit_what_roles_of_the_same_name_do() -> None:
    permitted = {
        f"datastorage-{role}": {MEANT[each] for each in granted} for role, granted in BUILT_IN.items()
    }

    assert permitted == VERBS


@each_rendering
def test_no_binding_of_callers_ships(rendering: Renderer) -> None:
    assert [each.name for each in rendering().objects if each.kind in {"Role", "RoleBinding"}] == []


def test_development_has_neither_roles_nor_a_token() -> None:
    kinds = {each.kind for each in development().objects}

    assert kinds.isdisjoint({"ClusterRole", "ClusterRoleBinding"})
    assert [pod.owner for pod in development().pods if tokens_of(pod)] == []


def test_the_examples_bind_every_role_where_the_service_looks_for_it() -> None:
    bindings = {each.name: each for each in examples().of_kind("RoleBinding")}
    writers = bindings["datastorage-writers"].body

    assert {referred(each.body) for each in bindings.values()} == {("ClusterRole", role) for role in VERBS}
    assert all(referred(each.body)[1] + "s" == name for name, each in bindings.items())
    assert {each.body["metadata"]["namespace"] for each in bindings.values()} == {
        production().get("Deployment").body["metadata"]["namespace"]
    }
    assert [(each["kind"], each["name"]) for each in writers["subjects"]] == [
        ("Group", "system:serviceaccounts:kubernaut-system")
    ]


@each_with_access
def test_the_server_alone_has_a_token_and_for_an_hour(rendering: Renderer) -> None:
    found = {pod.owner: tokens_of(pod) for pod in rendering().pods if tokens_of(pod)}

    assert found == {"Deployment/datastorage": [{"path": "token", "expirationSeconds": 3600}]}


@each_with_access
def test_the_token_is_where_the_service_looks_for_it(rendering: Renderer) -> None:
    settings = KubernetesAuthSettings()
    server = rendering().server
    (volume,) = [each for each in server.spec["volumes"] if "projected" in each]
    (mount,) = [each for each in server.container["volumeMounts"] if each["name"] == volume["name"]]
    _, certificates, pod = volume["projected"]["sources"]

    assert (Path(mount["mountPath"]), mount["readOnly"]) == (settings.token_file.parent, True)
    assert volume["projected"]["defaultMode"] == 0o440
    assert certificates["configMap"] == {
        "name": "kube-root-ca.crt",
        "items": [{"key": "ca.crt", "path": settings.ca_file.name}],
    }
    assert pod["downwardAPI"]["items"] == [
        {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
    ]


@each_with_access
def test_the_rights_of_the_server_are_there_before_its_pods(rendering: Renderer) -> None:
    needed = [each for each in rendering().objects if each.kind.startswith("ClusterRole")]

    assert [each.name for each in needed if each.labels.get("rollout-step") != "prepare"] == []


def tokens_of(pod: Pod) -> list[dict[str, Any]]:
    """Return the tokens that a pod mounts."""
    sources = [
        source for volume in pod.spec["volumes"] for source in volume.get("projected", {}).get("sources", ())
    ]
    return [source["serviceAccountToken"] for source in sources if "serviceAccountToken" in source]


def referred(binding: dict[str, Any]) -> tuple[str, str]:
    """Return kind and name of the role that a binding grants."""
    return binding["roleRef"]["kind"], binding["roleRef"]["name"]
