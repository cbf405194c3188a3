"""``datastorage openapi``: the API document in a form to keep, as it is with the default settings."""

from typing import Any

import click
import msgspec
import yaml

from datastorage.app import create_app
from datastorage.platform.web import json
from datastorage.platform.web.current import EXTENSION
from datastorage.platform.web.openapi import document
from datastorage.platform.web.routing import Routes
from datastorage.settings import Settings

# The document does not depend on the servers, but the settings are not complete without them.
_SERVERS = {
    "DATASTORAGE_DATABASE_URL": "postgresql://datastorage_app@localhost/action_history",
    "DATASTORAGE_REDIS_URL": "redis://localhost:6379/0",
}
_WIDTH = 110


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as such."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def default_settings() -> Settings:
    """Return the defaults, with servers that nothing connects to."""
    return Settings.from_environ(_SERVERS)


def default_document() -> dict[str, Any]:
    """Return the API document of a service with default settings; nothing connects."""
    services: dict[type, Any] = create_app(default_settings()).extensions[EXTENSION]
    encoded = json.encode(document(services[Routes]))
    described: dict[str, Any] = msgspec.json.decode(encoded)  # no two parts of it are the same object
    return described


def as_yaml(described: dict[str, Any]) -> str:
    """Return the text of ``docs/openapi.yaml``."""
    text: str = yaml.dump(described, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return text


@click.command()
def openapi() -> None:
    """Print the OpenAPI document of a service with default settings."""
    click.echo(as_yaml(default_document()), nl=False)
