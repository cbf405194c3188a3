"""The remediation workflows of the story, read from ``workflows.yaml``, as a client would register them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Any

import yaml

ENGINE = "tekton"


@dataclass(frozen=True, slots=True)
class Workflow:
    """One version of a workflow.

    Attributes:
        reference: stands for the id in the story, since the service gives the id only when the
            workflow is registered; ``wf-`` and the name mean the newest version.
        steps: what the version does, in order.
        body: the request that registers it.
    """

    name: str
    version: str
    reference: str
    steps: tuple[str, ...]
    body: Mapping[str, Any]


Shelf = Mapping[str, tuple[Workflow, ...]]
"""The versions of each workflow by its name, the oldest first."""


def load() -> Shelf:
    """Return every workflow, in the order of the file."""
    content = yaml.safe_load(files(__package__).joinpath("workflows.yaml").read_text(encoding="utf-8"))
    return {entry["name"]: tuple(_versions(entry)) for entry in content["workflows"]}


def _versions(entry: Mapping[str, Any]) -> Iterator[Workflow]:
    name = entry["name"]
    newest = entry["versions"][-1]
    for release in entry["versions"]:
        version = release["version"]
        yield Workflow(
            name=name,
            version=version,
            reference=f"wf-{name}" if release is newest else f"wf-{name}@{version}",
            steps=tuple(step["name"] for step in release["steps"]),
            body=_body(entry, release),
        )


def _body(entry: Mapping[str, Any], release: Mapping[str, Any]) -> dict[str, Any]:
    content = _content(entry, release)
    body = {
        "workflow_name": entry["name"],
        "version": release["version"],
        "name": entry["title"],
        "description": entry["description"],
        "owner": f"{entry['owner']}-team",
        "maintainer": f"{entry['owner']}-oncall@example.org",
        "content": content,
        "content_hash": sha256(content.encode()).hexdigest(),
        "parameters": {"schema": {"parameters": entry["parameters"]}},
        "execution_engine": ENGINE,
        "container_image": _image(entry, release),
        "labels": entry["labels"],
        "custom_labels": entry.get("custom_labels"),
        "detected_labels": entry.get("detected_labels"),
        "status": entry.get("status", "active"),
        "deprecation_notice": entry.get("notice"),
        "version_notes": release["notes"],
        "expected_success_rate": entry["expected_success_rate"],
        "expected_duration_seconds": entry["expected_duration_seconds"],
        "created_by": f"{entry['owner']}-team",
    }
    return {name: value for name, value in body.items() if value is not None}


def _content(entry: Mapping[str, Any], release: Mapping[str, Any]) -> str:
    """Return the definition that the engine would run."""
    definition = {
        "apiVersion": "kubernaut.io/v1alpha1",
        "kind": "WorkflowSchema",
        "metadata": {"name": entry["name"], "version": release["version"]},
        "labels": entry["labels"],
        "parameters": entry["parameters"],
        "execution": {"engine": ENGINE, "image": _image(entry, release)},
        "steps": release["steps"],
    }
    text: str = yaml.safe_dump(definition, sort_keys=False, width=100)
    return text


def _image(entry: Mapping[str, Any], release: Mapping[str, Any]) -> str:
    return f"registry.example.org/workflows/{entry['name']}:{release['version']}"
