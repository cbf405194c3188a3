"""How a field of a settings group says everything about its key, in one place.

A group is a frozen dataclass. Each field is declared by a function of this module with its default
as an operator would write it, its bounds, and the names it goes by; ``keys_of`` reads that back as
a table. The reader, the environment names and the documentation test all work from the table, so
a new setting is one line in its group (and one row in ``docs/settings.md``).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack, cast

from datastorage.settings import parsers
from datastorage.settings.parsers import Parser

T = TypeVar("T")

INVALID_DURATION = "invalid {field}: {label} {reason}"
UNSET = "unset"

_SETTING = "setting"
_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Names(TypedDict, total=False):
    """The optional parts of a declaration.

    Attributes:
        required: the problem to report when the key is missing; such a field has no default.
        required_in_file: the same for a key that has a default only when there is no file.
        label: what problems call the key, if not by its dotted name.
        spelled: the key inside its group, if it is not the name of the field (``tls.caFile``).
        short: an environment variable from before the long names.
        phrase: how a problem is worded; may use ``{label}``, ``{field}`` and ``{reason}``.
        default_if: values replaced by the default, with a warning.
    """

    required: str
    required_in_file: str
    label: str
    spelled: str
    short: str
    phrase: str
    default_if: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Key:
    """One row of the table: where a value comes from and how it is read."""

    group: str
    field: str
    parse: Parser[Any]
    default: str | None
    names: Names

    @property
    def slot(self) -> str:
        """``group.field``: names the parsed value."""
        return f"{self.group}.{self.field}"

    @property
    def name(self) -> str:
        """The dotted name as an operator writes it, for example ``redis.tls.caFile``."""
        return f"{self.group}.{self.names.get('spelled', self.field)}"

    @property
    def path(self) -> str:
        """The dotted name with every part in snake case: what the keys of a file are compared with."""
        return snake_case(self.name)

    @property
    def variable(self) -> str:
        """The environment variable, ``DATASTORAGE_<GROUP>_<FIELD>``."""
        return f"DATASTORAGE_{self.group}_{self.field}".upper()

    @property
    def variables(self) -> tuple[str, ...]:
        """Every environment variable of the key, the one that wins last."""
        short = self.names.get("short")
        return (self.variable,) if short is None else (short, self.variable)

    @property
    def initial(self) -> object:
        """The parsed default."""
        return None if self.default in {None, UNSET} else self.parse(self.default)

    def problem(self, reason: object) -> str:
        """Say why a value was refused."""
        phrase = self.names.get("phrase", "{label} {reason}")
        return phrase.format(label=self.names.get("label", self.name), field=self.field, reason=reason)

    def missing(self, *, has_file: bool) -> str | None:
        """Say that the key is absent, or ``None`` where the default will do."""
        in_file = self.names.get("required_in_file") if has_file else None
        return self.names.get("required") or in_file


def snake_case(name: str) -> str:
    """Turn ``maxOpenConns`` into ``max_open_conns``; snake case stays as it is."""
    return _CAMEL_HUMP.sub("_", name).lower()


def keys_of(name: str, group: type) -> tuple[Key, ...]:
    """List the keys of a settings group, in the order of its fields."""
    declared = ((each.name, each.metadata.get(_SETTING)) for each in fields(group))
    return tuple(Key(name, field_name, *parts) for field_name, parts in declared if parts is not None)


def setting(parser: Parser[T], default: str | None = None, **names: Unpack[Names]) -> T:
    """Declare a field read by ``parser``; without a default it is required.

    Like ``dataclasses.field`` this claims to return the value, so that the annotation is checked.
    """
    metadata = {_SETTING: (parser, default, names)}
    if default is None:
        return cast("T", field(metadata=metadata))
    return field(default=parser(default), metadata=metadata)


def unset(parser: Parser[T], **names: Unpack[Names]) -> T | None:
    """Declare a field that is ``None`` until somebody sets it."""
    return cast("T | None", field(default=None, metadata={_SETTING: (parser, UNSET, names)}))


def integer(
    default: str | None, low: int | None = None, high: int | None = None, **names: Unpack[Names]
) -> int:
    """Declare a whole number from ``low`` to ``high``."""
    return setting(parsers.integers(low, high), default, **names)


def duration(
    default: str, low: str | None = None, high: str | None = None, **names: Unpack[Names]
) -> timedelta:
    """Declare a duration; without ``low`` it is above zero."""
    names.setdefault("phrase", INVALID_DURATION)
    return setting(parsers.durations(low, high), default, **names)


def choice(default: str, *words: str, **names: Unpack[Names]) -> str:
    """Declare one word out of a list."""
    names.setdefault("phrase", "invalid {label}: {reason}")
    return setting(parsers.choices(*words), default, **names)


def flag(default: str, **names: Unpack[Names]) -> bool:
    """Declare a boolean."""
    return setting(parsers.boolean, default, **names)


def file_path(**names: Unpack[Names]) -> Path | None:
    """Declare the path of a file, unset until somebody sets it."""
    return unset(parsers.path, **names)


def secret() -> str:
    """Declare a value that no key and no variable of the table can set, and no ``repr`` shows."""
    return field(default="", repr=False)
