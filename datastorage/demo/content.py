"""What the story is made of, read from the YAML files beside this module, and the templates in them."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Any

import yaml

Facts = Mapping[str, Any]

_WHOLE = re.compile(r"\{(\w+)\}")


def fill(template: Any, facts: Facts) -> Any:
    """Return a template with its facts in place; see ``story.yaml`` for what a template is.

    Raises:
        KeyError: a fact is not known; inside an object the member is left out instead.
    """
    match template:
        case str():
            whole = _WHOLE.fullmatch(template)
            return facts[whole[1]] if whole else template.format_map(facts)
        case list():
            return [fill(each, facts) for each in template]
        case dict():
            return filled(template, facts)
        case _:
            return template


def filled(template: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """Return an object whose members are filled, without those of which a fact is not known."""
    members = {}
    for name, value in template.items():
        with suppress(KeyError):
            members[name] = fill(value, facts)
    return members


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


def _load(name: str) -> Any:
    return yaml.safe_load(files(__package__).joinpath(name).read_text(encoding="utf-8"))


def _versions(catalogue: Facts, entry: Facts) -> Iterator[Workflow]:
    name, newest = entry["name"], entry["versions"][-1]
    for release in entry["versions"]:
        version = release["version"]
        facts = {"status": "active", **entry, **release}
        content: str = yaml.safe_dump(fill(catalogue["definition"], facts), sort_keys=False, width=100)
        facts |= {"content": content, "content_hash": sha256(content.encode()).hexdigest()}
        yield Workflow(
            name=name,
            version=version,
            reference=f"wf-{name}" if release is newest else f"wf-{name}@{version}",
            steps=tuple(step["name"] for step in release["steps"]),
            body=fill(catalogue["registration"], facts),
        )


STORY = _load("story.yaml")
WORLD = _load("world.yaml")

EVENT_TYPES: Mapping[str, Facts] = {
    entry["event_type"]: entry for entry in _load("event_types.yaml")["event_types"]
}
"""What the platform's services send, by ``event_type``."""

_CATALOGUE = _load("workflows.yaml")

SHELF: Mapping[str, tuple[Workflow, ...]] = {
    entry["name"]: tuple(_versions(_CATALOGUE, entry)) for entry in _CATALOGUE["workflows"]
}
"""The versions of each workflow by its name, the oldest first."""
