"""The manifests as Kubernetes gets them: rendered by kustomize, one object at a time."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from tests.guards.source import ROOT

K8S = ROOT / "k8s"
KUBECTL = Path(sys.executable).with_name("kubectl")
OPTIONS = ("autoscaling", "redis", "tracing")
EXAMPLES = ("ingress.example.yaml", "rolebindings.example.yaml")
CLUSTER_SCOPED = {"ClusterRole", "ClusterRoleBinding", "Namespace"}
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Object:
    """One object of a rendering."""

    body: dict[str, Any]

    @property
    def kind(self) -> str:
        """Its kind."""
        kind: str = self.body["kind"]
        return kind

    @property
    def name(self) -> str:
        """Its name, which a hash may end."""
        name: str = self.body["metadata"]["name"]
        return name

    @property
    def labels(self) -> Labels:
        """Its labels."""
        labels: Labels = self.body["metadata"].get("labels", {})
        return labels

    @property
    def spec(self) -> dict[str, Any]:
        """Its specification."""
        spec: dict[str, Any] = self.body["spec"]
        return spec

    @property
    def pod(self) -> "Pod | None":
        """The pods it makes, if it makes any."""
        spec = self.body.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        return Pod(f"{self.kind}/{self.name}", template) if template else None


@dataclass(frozen=True)
class Pod:
    """A pod template."""

    owner: str
    template: dict[str, Any]

    @property
    def labels(self) -> Labels:
        """What selectors see."""
        labels: Labels = self.template["metadata"]["labels"]
        return labels

    @property
    def spec(self) -> dict[str, Any]:
        """Its specification."""
        spec: dict[str, Any] = self.template["spec"]
        return spec

    @property
    def container(self) -> dict[str, Any]:
        """Its only container."""
        (container,) = self.spec["containers"]
        found: dict[str, Any] = container
        return found

    @property
    def is_ours(self) -> bool:
        """Whether it runs our image."""
        return "datastorage" in self.container["image"]

    def environment(self) -> dict[str, str]:
        """Return the variables with a fixed value."""
        return {each["name"]: each["value"] for each in self.container.get("env", ()) if "value" in each}


@dataclass(frozen=True)
class Rendering:
    """All objects of one kustomization."""

    name: str
    text: str

    @cached_property
    def objects(self) -> list[Object]:
        """Every object, in the order of the text."""
        return [Object(body) for body in yaml.safe_load_all(self.text)]

    def of_kind(self, kind: str) -> list[Object]:
        """Return the objects of a kind."""
        return [each for each in self.objects if each.kind == kind]

    def get(self, kind: str, name: str = "datastorage") -> Object:
        """Return the object of this name; a hash at the end of its real name does not matter."""
        (found,) = [
            each for each in self.of_kind(kind) if each.name == name or each.name.startswith(f"{name}-")
        ][:1]
        return found

    @property
    def pods(self) -> Iterator[Pod]:
        """Yield every pod template."""
        yield from (each.pod for each in self.objects if each.pod is not None)

    @property
    def server(self) -> Pod:
        """The pods of the service."""
        pod = self.get("Deployment").pod
        assert pod is not None
        return pod


@cache
def production() -> Rendering:
    """Return the overlay as it ships."""
    return render("production", K8S / "overlays" / "production")


@cache
def development() -> Rendering:
    """Return the overlay as it ships."""
    return render("development", K8S / "overlays" / "development")


@cache
def openshift() -> Rendering:
    """Return the overlay as it ships."""
    return render("openshift", K8S / "overlays" / "openshift")


@cache
def complete() -> Rendering:
    """Return production with every option, as an overlay of one's own adds them."""
    return with_components("production with options", OPTIONS)


@cache
def complete_openshift() -> Rendering:
    """Return the same for OpenShift, whose component comes last."""
    return with_components("openshift with options", (*OPTIONS, "openshift"))


def with_components(name: str, components: tuple[str, ...]) -> Rendering:
    """Render production with components, in this order."""
    with tempfile.TemporaryDirectory() as folder:
        # kustomize wants relative paths, also through links.
        here = Path(folder).resolve()
        document = {
            "namespace": "datastorage",
            "resources": [os.path.relpath(K8S / "overlays" / "production", here)],
            "components": [os.path.relpath(K8S / "components" / option, here) for option in components],
        }
        (here / "kustomization.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
        return render(name, here)


RENDERINGS = (production, development, complete, openshift, complete_openshift)


def render(name: str, folder: Path) -> Rendering:
    """Run kustomize on a folder."""
    answer = subprocess.run(  # noqa: S603 - a program of our own environment on our own files
        [KUBECTL, "kustomize", str(folder)], capture_output=True, text=True, check=False, timeout=60
    )
    assert answer.returncode == 0, answer.stderr
    return Rendering(name, answer.stdout)


def template() -> list[Object]:
    """Return what the operator creates by hand."""
    text = (K8S / "secrets.template.yaml").read_text(encoding="utf-8")
    return [Object(body) for body in yaml.safe_load_all(text)]


def examples() -> Rendering:
    """Return what the operator copies and applies beside an overlay with ``components/access``."""
    texts = [(K8S / "components" / "access" / name).read_text(encoding="utf-8") for name in EXAMPLES]
    return Rendering("examples", "---\n".join(texts))


def matches(selector: Labels, labels: Labels) -> bool:
    """Tell whether labels satisfy a ``matchLabels``."""
    return all(labels.get(key) == value for key, value in selector.items())
