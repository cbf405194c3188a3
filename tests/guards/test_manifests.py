"""The manifests are valid for several versions of Kubernetes, carry the promised values and fit together."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from datastorage import __version__
from tests.guards.manifests import (
    CLUSTER_SCOPED,
    K8S,
    RENDERINGS,
    Object,
    Pod,
    Rendering,
    complete,
    examples,
    matches,
    production,
    render,
    template,
)
from tests.guards.network import selects
from tests.guards.promql import TARGET, exported

VERSIONS = ("1.28", "1.31", "1.34", "1.37")
CUSTOM = {"ServiceMonitor", "PrometheusRule"}
each_rendering = pytest.mark.parametrize("rendering", RENDERINGS)
Renderer = Callable[[], Rendering]


@pytest.mark.parametrize("version", VERSIONS)
@each_rendering
def test_every_object_is_valid_for_each_version(rendering: Renderer, version: str) -> None:
    for each in (*rendering().objects, *template(), *examples().objects):
        if each.kind not in CUSTOM:
            kubernetes_validate.validate(each.body, version, strict=True)


def test_everything_of_a_deployment_is_there() -> None:
    kinds = {each.kind for each in complete().objects}

    assert kinds == {
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "CronJob",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Job",
        "Namespace",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "PrometheusRule",
        "Service",
        "ServiceAccount",
        "ServiceMonitor",
        "StatefulSet",
    }


@each_rendering
def test_every_object_is_in_our_namespace_and_labelled(rendering: Renderer) -> None:
    objects = [*rendering().objects, *examples().objects]
    inside = [each for each in objects if each.kind not in CLUSTER_SCOPED]

    assert [each.name for each in inside if each.body["metadata"].get("namespace") != "datastorage"] == []
    assert [each.name for each in objects if each.labels.get("app") != "datastorage"] == []
    assert rendering().get("Namespace").name == "datastorage"


def test_pods_are_replaced_one_by_one_without_a_gap() -> None:
    spec = production().get("Deployment").spec

    assert spec["replicas"] == 2
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    assert production().get("PodDisruptionBudget").spec["minAvailable"] == 1
    (spread,) = production().server.spec["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["maxSkew"]) == ("kubernetes.io/hostname", 1)


def test_probes_have_the_promised_values() -> None:
    container = production().server.container

    assert container["startupProbe"] == {
        "httpGet": {"path": "/health/live", "port": 9090},
        "periodSeconds": 2,
        "timeoutSeconds": 3,
        "failureThreshold": 30,
    }
    assert container["readinessProbe"] == {
        "httpGet": {"path": "/health/ready", "port": 9090},
        "initialDelaySeconds": 5,
        "periodSeconds": 5,
        "timeoutSeconds": 3,
        "failureThreshold": 1,
    }
    assert container["livenessProbe"] == {
        "httpGet": {"path": "/health/live", "port": 9090},
        "initialDelaySeconds": 10,
        "periodSeconds": 10,
        "timeoutSeconds": 3,
    }
    assert "lifecycle" not in container, "a preStop would be taken from the grace period"


def test_resources_and_volumes_have_the_promised_values() -> None:
    pod = production().server
    volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in pod.container["volumeMounts"]}

    assert pod.container["resources"] == {
        "requests": {"cpu": "250m", "memory": "256Mi"},
        "limits": {"cpu": "500m", "memory": "512Mi"},
    }
    assert mounts["/var/run/datastorage"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "64Mi"}
    assert "configMap" in mounts["/etc/datastorage"]
    assert {
        path: volume["secret"]["defaultMode"] for path, volume in mounts.items() if "secret" in volume
    } == {f"/etc/datastorage/secrets/{name}": 0o440 for name in ("db", "redis", "console")}


def test_migrations_run_as_the_owner_and_give_up_after_four_attempts() -> None:
    job = production().get("Job")
    pod = pod_of(job)
    secrets = {volume["secret"]["secretName"] for volume in pod.spec["volumes"] if "secret" in volume}

    assert pod.container["command"] == ["alembic", "upgrade", "head"]
    assert (job.spec["backoffLimit"], job.spec["ttlSecondsAfterFinished"]) == (3, 300)
    assert secrets == {"datastorage-database-owner"}
    assert secrets.isdisjoint(
        volume["secret"]["secretName"] for volume in production().server.spec["volumes"] if "secret" in volume
    )


def test_partitions_are_ensured_daily() -> None:
    job = production().get("CronJob")
    minute, hour, *days = job.spec["schedule"].split()

    assert (minute.isdigit(), hour.isdigit(), days) == (True, True, ["*", "*", "*"])
    assert pod_of(job).container["args"] == ["partitions", "ensure"]
    assert job.spec["concurrencyPolicy"] == "Forbid"


@each_rendering
def test_services_reach_exactly_the_pods_they_are_for(rendering: Renderer) -> None:
    reached = {
        service.name: [pod.owner for pod in rendering().pods if matches(service.spec["selector"], pod.labels)]
        for service in rendering().of_kind("Service")
    }

    assert reached.pop("datastorage") == ["Deployment/datastorage"]
    assert reached in ({}, {"datastorage-redis": ["StatefulSet/datastorage-redis"]})


@each_rendering
def test_controllers_and_budgets_select_exactly_their_own_pods(rendering: Renderer) -> None:
    selecting = [
        each
        for each in rendering().objects
        if each.kind in {"Deployment", "StatefulSet", "PodDisruptionBudget"}
    ]

    for each in selecting:
        selector = each.spec["selector"]["matchLabels"]
        owners = [pod.owner for pod in rendering().pods if matches(selector, pod.labels)]
        assert owners == [f"Deployment/{each.name}" if each.pod is None else f"{each.kind}/{each.name}"]


@each_rendering
def test_ports_of_services_and_probes_are_ports_of_the_container(rendering: Renderer) -> None:
    for service in rendering().of_kind("Service"):
        (pod,) = [pod for pod in rendering().pods if matches(service.spec["selector"], pod.labels)]
        named = {port["name"]: port["containerPort"] for port in pod.container["ports"]}
        assert {port["name"]: (port["targetPort"], port["port"]) for port in service.spec["ports"]} == {
            name: (name, number) for name, number in named.items()
        }
        assert probed_ports(pod) <= {*named, *named.values()}


def test_the_service_has_both_ports_and_no_affinity() -> None:
    spec = production().get("Service").spec

    assert {port["name"]: port["port"] for port in spec["ports"]} == {"http": 8080, "metrics": 9090}
    assert (spec["type"], spec["sessionAffinity"]) == ("ClusterIP", "None")


def test_the_service_monitor_scrapes_the_metrics_port_of_our_service_only() -> None:
    monitor = complete().get("ServiceMonitor").spec
    selector = monitor["selector"]["matchLabels"]
    (endpoint,) = monitor["endpoints"]

    (service,) = [each for each in complete().of_kind("Service") if matches(selector, each.labels)]
    assert endpoint["port"] in {port["name"] for port in service.spec["ports"]}
    assert (service.name, endpoint["path"], endpoint["interval"]) == ("datastorage", "/metrics", "15s")


def test_prometheus_keeps_the_labels_that_metrics_share_with_their_target() -> None:
    (endpoint,) = production().get("ServiceMonitor").spec["endpoints"]
    shared = TARGET & {label for labels in exported().values() for label in labels}

    assert shared == {"service"}
    assert endpoint["honorLabels"] is True


@each_rendering
def test_what_pods_mount_exists_with_its_files(rendering: Renderer) -> None:
    offered = {
        (each.kind, each.name): each.body.get("data", each.body.get("stringData"))
        for each in (*rendering().objects, *template())
        if each.kind in {"ConfigMap", "Secret"}
    }

    mounted = {source for pod in rendering().pods for source in sources_of(pod)}
    assert mounted <= offered.keys()
    assert all(offered[source] for source in mounted)


@each_rendering
def test_volumes_and_mounts_name_each_other(rendering: Renderer) -> None:
    for each in rendering().objects:
        if each.pod is not None:
            claims = [claim["metadata"]["name"] for claim in each.spec.get("volumeClaimTemplates", ())]
            volumes = [*claims, *(volume["name"] for volume in each.pod.spec["volumes"])]
            assert sorted(volumes) == sorted(mount["name"] for mount in each.pod.container["volumeMounts"])


@each_rendering
def test_all_our_pods_run_the_image_of_this_version(rendering: Renderer) -> None:
    images = {pod.container["image"] for pod in rendering().pods if pod.is_ours}

    assert images == {f"registry.example/datastorage:{__version__}"}


def test_a_changed_configuration_rolls_the_pods(tmp_path: Path) -> None:
    shutil.copytree(K8S, tmp_path / "k8s")
    config = tmp_path / "k8s" / "overlays" / "production" / "config.yaml"
    config.write_text(config.read_text(encoding="utf-8") + "logging:\n  level: debug\n", encoding="utf-8")

    changed = render("changed", config.parent)

    assert changed.server.template != production().server.template


def test_the_prepare_step_holds_all_that_the_migration_needs() -> None:
    first = [each for each in production().objects if each.labels.get("rollout-step") == "prepare"]
    job = production().get("Job")
    pod = pod_of(job)

    assert job in first
    assert {source for source in sources_of(pod) if source[1].startswith("datastorage-config")} <= {
        (each.kind, each.name) for each in first
    }
    assert ("ServiceAccount", pod.spec["serviceAccountName"]) in {(each.kind, each.name) for each in first}
    policies = [
        each
        for each in production().of_kind("NetworkPolicy")
        if selects(each.spec["podSelector"], pod.labels)
    ]
    assert {each.name for each in policies} == {"datastorage-dns", "datastorage-jobs"}
    assert [each.name for each in policies if each not in first] == []
    assert {each.kind for each in first}.isdisjoint({"Deployment", "CronJob"})


def pod_of(each: Object) -> Pod:
    assert each.pod is not None
    return each.pod


def sources_of(pod: Pod) -> set[tuple[str, str]]:
    """Return kind and name of the ConfigMaps and Secrets a pod mounts."""
    volumes: list[dict[str, Any]] = pod.spec["volumes"]
    return {("ConfigMap", volume["configMap"]["name"]) for volume in volumes if "configMap" in volume} | {
        ("Secret", volume["secret"]["secretName"]) for volume in volumes if "secret" in volume
    }


def probed_ports(pod: Pod) -> set[int | str]:
    probes = [probe for name, probe in pod.container.items() if name.endswith("Probe")]
    return {probe.get("httpGet", probe.get("tcpSocket"))["port"] for probe in probes}
