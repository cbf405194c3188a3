"""The configuration in the manifests is one the service accepts, and fits what surrounds it."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from datastorage.platform.server.startup import POD_DIRECTORY
from datastorage.settings import Rate, Settings
from tests.guards.manifests import (
    K8S,
    RENDERINGS,
    Pod,
    Rendering,
    complete,
    development,
    openshift,
    production,
    template,
)

Renderer = Callable[[], Rendering]
each_rendering = pytest.mark.parametrize("rendering", RENDERINGS)

ETC = "/etc/datastorage"
MAX_CONNECTIONS, RESERVED = 100, 3
"""PostgreSQL's defaults: ``max_connections`` and ``superuser_reserved_connections``."""

WATCHDOG = timedelta(seconds=1)
"""What the process takes at most beyond its budget before it ends itself."""


@each_rendering
def test_the_service_accepts_its_configuration(rendering: Renderer, tmp_path: Path) -> None:
    settings = load(rendering(), rendering().server, tmp_path)

    assert settings.warnings == ()
    assert (settings.server.port, settings.server.metrics_port) == (8080, 9090)
    assert settings.database.user == "datastorage_app"
    assert settings.database.password == "REPLACE_ME"
    assert settings.logging.format == "json"


def test_production_is_strict_and_verifies_its_servers(tmp_path: Path) -> None:
    settings = load(production(), production().server, tmp_path)

    assert settings.security.strict
    assert not settings.server.readiness_requires_database, "in an outage the queue takes writes"
    assert settings.database.ssl_mode == "verify-full"
    assert settings.redis.tls.enabled
    assert settings.redis.tls.ca_file == tmp_path / "tls" / "redis-ca.crt"


def test_production_asks_the_api_server_and_limits_each_caller(tmp_path: Path) -> None:
    settings = load(production(), production().server, tmp_path)

    assert settings.auth.mode == ("kubernetes",)
    assert settings.auth.kubernetes.export_verb == "list"
    assert settings.auth.audit_reads == "people"
    assert settings.rate_limit.reads == Rate(3000, 60)
    assert settings.rate_limit.writes == Rate(30000, 60)


def test_openshift_has_the_configuration_of_production() -> None:
    assert openshift().get("ConfigMap", "datastorage-config") == production().get(
        "ConfigMap", "datastorage-config"
    )


def test_development_asks_nobody(tmp_path: Path) -> None:
    assert load(development(), development().server, tmp_path).auth.mode == ("none",)


def test_development_talks_to_the_redis_it_brings(tmp_path: Path) -> None:
    settings = load(development(), development().server, tmp_path)
    (redis,) = [each for each in development().of_kind("Service") if each.name == "datastorage-redis"]

    assert settings.redis.addr == f"{redis.name}:{redis.spec['ports'][0]['port']}"


def test_migrations_take_their_login_from_the_owners_secret(tmp_path: Path) -> None:
    pod = production().get("Job").pod
    assert pod is not None

    database = Settings.load_database(None, mounted(production(), pod, tmp_path))

    assert database.user == "datastorage"
    assert database.name == load(production(), production().server, tmp_path).database.name


def test_the_partition_job_has_all_it_needs(tmp_path: Path) -> None:
    pod = production().get("CronJob").pod
    assert pod is not None

    assert load(production(), pod, tmp_path).database.user == "datastorage_app"


@each_rendering
def test_a_pod_may_take_longer_to_stop_than_the_service_does(rendering: Renderer, tmp_path: Path) -> None:
    grace = timedelta(seconds=rendering().server.spec["terminationGracePeriodSeconds"])
    server = load(rendering(), rendering().server, tmp_path).server

    assert grace == timedelta(seconds=40)
    assert server.endpoint_propagation_delay + server.shutdown_timeout < server.shutdown_total_budget
    assert server.shutdown_total_budget + WATCHDOG < grace


@each_rendering
def test_the_runtime_directory_is_where_the_service_looks_for_it(rendering: Renderer) -> None:
    mounts = {mount["name"]: mount["mountPath"] for mount in rendering().server.container["volumeMounts"]}

    assert mounts["runtime"] == str(POD_DIRECTORY)


@pytest.mark.parametrize("rendering", [production, complete, openshift])
def test_all_pods_together_fit_the_default_connections_of_postgresql(
    rendering: Renderer, tmp_path: Path
) -> None:
    settings = load(rendering(), rendering().server, tmp_path)
    deployment = rendering().get("Deployment").spec
    scalers = rendering().of_kind("HorizontalPodAutoscaler")
    replicas = scalers[0].spec["maxReplicas"] if scalers else deployment["replicas"]
    surge = deployment["strategy"]["rollingUpdate"]["maxSurge"]
    per_pod = settings.database.max_open_conns + settings.server.workers + 2
    jobs = 2

    assert (replicas + surge) * per_pod + jobs <= MAX_CONNECTIONS - RESERVED


def test_the_autoscaler_scales_our_deployment_and_owns_its_size() -> None:
    scaler = complete().get("HorizontalPodAutoscaler").spec
    deployment = complete().get("Deployment")
    (metric,) = scaler["metrics"]

    assert scaler["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": deployment.kind,
        "name": deployment.name,
    }
    assert "replicas" not in deployment.spec
    assert scaler["minReplicas"] == 2
    assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}


def test_redis_keeps_what_it_has_acknowledged() -> None:
    text = (K8S / "components" / "redis" / "redis.conf").read_text(encoding="utf-8")
    values = dict(line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#"))

    assert values["maxmemory-policy"] == "noeviction"
    assert values["appendonly"] == "yes"
    assert values["appendfsync"] == "always"
    assert values["maxmemory"] == "512mb"


def load(rendering: Rendering, pod: Pod, folder: Path) -> Settings:
    return Settings.from_environ(mounted(rendering, pod, folder))


def mounted(rendering: Rendering, pod: Pod, folder: Path) -> Mapping[str, str]:
    """Write what the pod mounts below ``folder``, and return its environment, as the kubelet would."""
    files = {
        (each.kind, each.name): each.body.get("data", each.body.get("stringData", {}))
        for each in (*rendering.objects, *template())
        if each.kind in {"ConfigMap", "Secret"}
    }
    paths = {mount["name"]: mount["mountPath"] for mount in pod.container["volumeMounts"]}
    for volume in pod.spec["volumes"]:
        if volume.keys() & {"emptyDir", "projected"}:
            continue
        secret = volume.get("secret", {}).get("secretName")
        source = ("Secret", secret) if secret else ("ConfigMap", volume["configMap"]["name"])
        for name, content in files[source].items():
            path = Path(moved(paths[volume["name"]], folder), name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(moved(content, folder), encoding="utf-8")
    return {name: moved(value, folder) for name, value in pod.environment().items()}


def moved(text: str, folder: Path) -> str:
    """Replace the place where Kubernetes mounts by one of the test's own."""
    return text.replace(ETC, str(folder))
