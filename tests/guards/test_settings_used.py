"""Every setting has a reader in the product.

Some were validated and documented for a year, and read by nothing.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache

import pytest

from datastorage.settings import KEYS, Settings
from tests.guards.source import PACKAGE, modules

READ_WHILE_LOADING = {"secrets_file", "username_key", "password_key", "strict"}
"""They say where other settings are, or what to refuse: ``datastorage/settings`` is their reader."""


@pytest.mark.parametrize("path", [key.path for key in KEYS])
def test_setting_has_a_reader_outside_the_settings(path: str) -> None:
    assert path.rpartition(".")[2] in READ_WHILE_LOADING or is_read(path)


@pytest.mark.parametrize(
    "path", ["redis.tls.fictional", "audit.enabled", "limits.host", "redis.sentinel.db", "server.ssl_mode"]
)
def test_setting_that_another_group_has_is_not_taken_for_read(path: str) -> None:
    assert not is_read(path)


def is_read(path: str) -> bool:
    """Return whether a field is read, by itself or by properties and methods that are."""
    group, _, name = path.rpartition(".")
    kind = group_at(group)
    uses = {
        user: attributes_of_self(getattr(value, "fget", value))
        for user, value in vars(kind).items()
        if not user.startswith("__")
    }
    names = {name}
    while more := {user for user, used in uses.items() if used & names} - names:
        names |= more
    return any((kind.__name__, group.rpartition(".")[2], each) in reads() for each in names)


def group_at(path: str) -> type:
    """Return the class of a group, for example of ``redis.tls``."""
    kind: type = Settings
    for name in path.split("."):
        [kind] = [each.type for each in fields(kind) if each.name == name and isinstance(each.type, type)]
    return kind


def attributes_of_self(value: object) -> set[str]:
    source = textwrap.dedent(inspect.getsource(value)) if inspect.isfunction(value) else ""
    return {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    }


@cache
def reads() -> set[tuple[str, str, str]]:
    """Return (class, group, field) for what the product reads.

    ``….tls.enabled`` is a read of the group ``tls``, and ``settings.host`` or ``self._settings.host`` one of
    each group whose class the module names.
    """
    return {
        (kind.__name__, group, node.attr)
        for module in modules()
        if PACKAGE / "settings" not in module.path.parents
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        for group, kind in groups()
        if is_receiver(ast.unparse(node.value), group, names_class=kind.__name__ in module.text)
    }


def is_receiver(receiver: str, group: str, *, names_class: bool) -> bool:
    last = receiver.rpartition(".")[2].strip("_")
    return last == group or (names_class and last.endswith("settings"))


def groups(kind: type = Settings) -> Iterator[tuple[str, type]]:
    """Yield the name and the class of each group, nested ones too."""
    for each in fields(kind):
        if isinstance(each.type, type) and is_dataclass(each.type):
            yield each.name, each.type
            yield from groups(each.type)
