"""The remediation workflows of the story, read from ``workflows.yaml``, as a client would register them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import yaml

from datastorage.demo import templates
from datastorage.demo.templates import Facts, fill

CATALOGUE = templates.load("workflows.yaml")


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
    return {entry["name"]: tuple(_versions(entry)) for entry in CATALOGUE["workflows"]}


def _versions(entry: Facts) -> Iterator[Workflow]:
    name, newest = entry["name"], entry["versions"][-1]
    for release in entry["versions"]:
        version = release["version"]
        facts = {"status": "active", **entry, **release}
        definition = fill(CATALOGUE["definition"], facts)
        content: str = yaml.safe_dump(definition, sort_keys=False, width=100)
        content_hash = sha256(content.encode()).hexdigest()
        yield Workflow(
            name=name,
            version=version,
            reference=f"wf-{name}" if release is newest else f"wf-{name}@{version}",
            steps=tuple(step["name"] for step in release["steps"]),
            body=fill(CATALOGUE["registration"], {**facts, "content": content, "content_hash": content_hash}),
        )
