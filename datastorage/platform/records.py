"""A kind of record, declared once: the class of the model is the table, the request and the answer.

    class Order(msgspec.Struct, frozen=True, kw_only=True):
        number: Annotated[str, text("Number of the order.", 20, required=True, filters=ANY_TEXT)]
        priority: Annotated[int | None, Member("0 is first.", Integer(), fields.Integer(…))] = None

    MEMBERS = members_of(Order)

mypy sees plain types; everything else is read off ``MEMBERS``: the columns of the table, the fields that
judge a request, the JSON that PostgreSQL writes of a row (``db.row_json``), the payload in the queue
(``dlq.payload``), the filters, and what the API document says. A further column is one line and a migration.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from types import NoneType, UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from sqlalchemy import Column, ColumnElement, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from datastorage.platform.web.fields import Judged, Text
from datastorage.platform.web.grammar import Grammar

T = TypeVar("T")

Values = dict[str, Any]
Default = str | int | bool | Callable[[Values], Any] | None


class Shown(Enum):
    """When an answer has a member, and what stands for NULL there."""

    ALWAYS = auto()
    """NULL is ``null``."""
    BLANK = auto()
    """Always, too; NULL is the empty text."""
    WHEN_SET = auto()
    """NULL leaves it out; so does ``{}`` where the column has no NULL."""
    NEVER = auto()


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a record.

    Attributes:
        meaning: one sentence for the API document.
        column: type of the column; ``None`` for what is not stored.
        judge: judges what a client sends; ``None`` for what the service sets.
        default: stands for what is absent or empty, by itself or made of the other values.
        wire: the name in requests, answers and the queue, where the attribute and the column have another.
        aliases: older names in requests.
        shown: in answers.
        is_queued: whether the queue keeps it; what follows from other members is not kept.
        is_set_by_database: whether it is not there before the record is stored, and always then.
        filters: the grammar of the parameter that finds records by it, if there is one.
        nullable: whether the column takes NULL; as the type of the member says when ``None``.
        server_default: of the column; the service writes every column, so it decides nothing.
        name: of the attribute and the column; read from the class, like ``type`` and ``is_optional``.
    """

    meaning: str
    column: TypeEngine[Any] | None = None
    judge: Judged | None = None
    default: Default = field(default=None, kw_only=True)
    wire: str = field(default="", kw_only=True)
    aliases: tuple[str, ...] = field(default=(), kw_only=True)
    shown: Shown = field(default=Shown.ALWAYS, kw_only=True)
    is_queued: bool = field(default=True, kw_only=True)
    is_set_by_database: bool = field(default=False, kw_only=True)
    filters: Grammar | None = field(default=None, kw_only=True)
    nullable: bool | None = field(default=None, kw_only=True)
    server_default: str | ColumnElement[Any] | None = field(default=None, kw_only=True)
    name: str = field(default="", kw_only=True)
    type: Any = field(default=None, kw_only=True)
    is_optional: bool = field(default=False, kw_only=True)

    @property
    def is_document(self) -> bool:
        """Whether it is JSON text, which answers and the queue have as an object."""
        return isinstance(self.column, JSONB)


Members = tuple[Member, ...]


def text(meaning: str, maximum: int, *, required: bool = False, **parts: Any) -> Member:
    """Declare an identifier of at most ``maximum`` characters; ``parts`` are others of the ``Member``."""
    return Member(meaning, String(maximum), Text(required=required, maximum=maximum), **parts)


def members_of(record: type) -> Members:
    """Return the members of a record, in the order of its class.

    Raises:
        TypeError: an annotation has no ``Member``.
    """
    hints = get_type_hints(record, include_extras=True)
    return tuple(_declared(name, hint) for name, hint in hints.items())


def _declared(name: str, hint: Any) -> Member:
    plain, *declared = get_args(hint) or (hint,)
    alternatives = get_args(plain) if get_origin(plain) in {Union, UnionType} else (plain,)
    for member in declared:
        if isinstance(member, Member):
            return replace(
                member,
                name=name,
                wire=member.wire or name,
                type=next(each for each in alternatives if each is not NoneType),
                is_optional=NoneType in alternatives,
                is_queued=member.is_queued and not member.is_set_by_database,
            )
    raise TypeError(f"nothing is declared about the member {name}")


def in_order(members: Iterable[Member], first: Sequence[str]) -> Members:
    """Return ``members`` with those that ``first`` names, by the name on the wire, in front.

    Raises:
        ValueError: ``first`` has a name that is none.
    """
    by_name = {member.wire: member for member in members}
    unknown = [name for name in first if name not in by_name]
    if unknown:
        raise ValueError(f"no member is called {', '.join(unknown)}")
    return tuple(by_name[name] for name in dict.fromkeys([*first, *by_name]))


def optional_last(members: Members) -> Members:
    """Return ``members`` with those behind the others that answers leave out when they are not set."""
    return tuple(sorted(members, key=lambda each: each.shown is Shown.WHEN_SET))


def shown_members(members: Members) -> Members:
    """Return the members that answers have, in the same order."""
    return tuple(each for each in members if each.shown is not Shown.NEVER)


def columns_of(members: Iterable[Member]) -> list[Column[Any]]:
    """Return new columns for a ``Table``."""
    return [
        Column(
            member.name,
            member.column,
            nullable=_is_nullable(member),
            server_default=member.server_default,
        )
        for member in members
        if member.column is not None
    ]


def _is_nullable(member: Member) -> bool:
    if member.nullable is not None:
        return member.nullable
    return member.is_optional and not member.is_set_by_database


def judges_of(members: Iterable[Member]) -> dict[str, Judged]:
    """Return the fields of a schema of requests, in the order of ``members``."""
    return {member.wire: member.judge for member in members if member.judge is not None}


def aliases_of(members: Iterable[Member]) -> dict[str, str]:
    """Return the current name of each older one."""
    return {alias: member.wire for member in members for alias in member.aliases}


def meanings_of(members: Iterable[Member]) -> dict[str, str]:
    """Return what each member means."""
    return {member.wire: member.meaning for member in members}


class Normaliser(Generic[T]):
    """Makes a record of values by their names on the wire, applying every default.

    The one way from a request and from the queue to a record: both get the same defaults. What is absent,
    ``None``, empty or zero counts as not given where there is a default.

    Args:
        record: the class.
        supplied: members that the caller adds to the values.

    Raises:
        TypeError: nothing would ever fill a member that may not be absent.
    """

    def __init__(self, record: type[T], supplied: Collection[str] = ()) -> None:
        self._record = record
        members = members_of(record)
        _require_filled(each for each in members if each.name not in supplied)
        self._renamed = tuple((each.wire, each.name) for each in members if each.wire != each.name)
        self._constants, self._derived = _defaults_of(members)

    def __call__(self, values: Values) -> T:
        """Return the record; ``values`` are used up."""
        given = values.get
        for wire, name in self._renamed:
            values[name] = values.pop(wire, None)
        for name, default in self._constants:
            if not given(name):
                values[name] = default
        for name, derive in self._derived:
            if not given(name):
                values[name] = derive(values)
        return self._record(**values)


def _defaults_of(
    members: Members,
) -> tuple[tuple[tuple[str, Any], ...], tuple[tuple[str, Callable[[Values], Any]], ...]]:
    """Return the constant defaults, and those that are made of the other values."""
    defaults = [(each.name, each.default) for each in members if each.default is not None]
    derived = tuple((name, default) for name, default in defaults if callable(default))
    return tuple((name, default) for name, default in defaults if not callable(default)), derived


def _require_filled(members: Iterable[Member]) -> None:
    for member in members:
        is_required = member.judge is not None and member.judge.required
        if not is_required and not member.is_optional and member.default is None:
            raise TypeError(f"neither required, nor optional, nor with a default: {member.name}")
