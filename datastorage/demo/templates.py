"""The YAML files of the demo, and the templates in them."""

import re
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from typing import Any

import yaml

Facts = Mapping[str, Any]

_WHOLE = re.compile(r"\{(\w+)\}")


def load(name: str) -> Any:
    """Return the content of one of our YAML files."""
    return yaml.safe_load(files(__package__).joinpath(name).read_text(encoding="utf-8"))


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
