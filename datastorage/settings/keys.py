"""How a field of a settings group says everything about its key, in one line.

A group is a frozen dataclass; a field that is itself a group nests. ``keys_of`` reads the declarations
back as a table, from which file, environment, problems and the documentation guard work.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, TypeVar, cast

from marshmallow.fields import Field, String

from datastorage.settings.kinds import PHRASE

T = TypeVar("T")

NO_FILE = "no configuration file"
_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One row of the table.

    Attributes:
        path: the dotted name in snake case.
        name: the dotted name as documents write it, for example ``redis.tls.caFile``.
        label: what problems call the key; its name, if nothing else is declared.
        default: as an operator would write it; ``None`` if the value is unset or required.
        short: an environment variable from before the long names.
        required_unless: the key that takes the place of a required one, ``NO_FILE``, or empty.
        positive_or_default: replace 0 and below by the default, with a warning.
        is_secret: comes from secret files, URLs and short variables only.
    """

    path: str
    name: str
    label: str
    kind: Field[Any]
    default: str | None = None
    short: str = ""
    required_unless: str | None = None
    positive_or_default: bool = False
    is_secret: bool = False

    @property
    def variables(self) -> tuple[str, ...]:
        """Every environment variable of the key, the one that wins last."""
        long = "" if self.is_secret else f"DATASTORAGE_{self.path.replace('.', '_')}".upper()
        return tuple(filter(None, (self.short, long)))

    @property
    def initial(self) -> Any:
        """The parsed default."""
        return None if self.default is None else self.kind.deserialize(self.default)

    def problem(self, reason: str) -> str:
        """Say why a value was refused."""
        phrase: str = self.kind.metadata.get(PHRASE, "{label} {reason}")
        return phrase.format(label=self.label, field=self.path.rpartition(".")[2], reason=reason)


def setting(kind: Field[T], default: str | None = None, **declared: Any) -> T:
    """Declare a value with its default, and more as in ``Key``; without default it is required.

    ``spelled`` is the key as documents write it, if not as the field (``caFile``). Like
    ``dataclasses.field`` this claims to return the value, so that the annotation is checked.
    """
    if default is None:
        return cast("T", field(metadata={"kind": kind, "required_unless": "", **declared}))
    return field(default=kind.deserialize(default), metadata={"kind": kind, "default": default, **declared})


def optional(kind: Field[T], **declared: Any) -> T | None:
    """Declare a value that is ``None`` until it is set."""
    return cast("T | None", field(default=None, metadata={"kind": kind, **declared}))


def secret(**declared: Any) -> str:
    """Declare a value that no ``repr`` shows, and which neither file nor long variable can set."""
    metadata = {"kind": String(), "default": "", "is_secret": True, **declared}
    return field(default="", repr=False, metadata=metadata)


def keys_of(group: type, prefix: str = "") -> Iterator[Key]:
    """Yield the keys of a group and of the groups in it, in the order of the fields."""
    for each in fields(group):
        if isinstance(each.type, type) and is_dataclass(each.type):
            yield from keys_of(each.type, f"{prefix}{each.name}.")
        elif each.metadata:
            declared = dict(each.metadata)
            name = prefix + declared.pop("spelled", each.name)
            yield Key(**{"path": f"{prefix}{each.name}", "name": name, "label": name} | declared)


def snake_case(name: str) -> str:
    """Turn ``maxOpenConns`` into ``max_open_conns``; snake case stays as it is."""
    return _CAMEL_HUMP.sub("_", name).lower()
