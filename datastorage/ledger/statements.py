"""Statements: what is sealed beside the events, so that it can be proved like them (ledger.md 3.3)."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

import msgspec

from datastorage.ledger.checkpoint import Checkpoint
from datastorage.ledger.encoding import to_base64
from datastorage.ledger.keys import VerifierKey

SERVICE: Final = "datastorage"
"""Who makes a statement that nobody asked for."""
MAX_TYPE: Final = 100
"""Characters: an index takes no longer ones."""


class Type(StrEnum):
    """The types that this service makes; others are valid leaves all the same."""

    KEY = "key"
    BACKFILL = "backfill"
    PAUSE = "pause"
    ARCHIVE = "archive"


class _Typed(msgspec.Struct):
    type: Annotated[str, msgspec.Meta(max_length=MAX_TYPE)]


class KeyStatement(msgspec.Struct):
    """What a ``key`` statement says; of an ``add`` or a ``retire``."""

    at: str
    action: str
    vkey: str


class ArchiveStatement(msgspec.Struct):
    """What an ``archive`` statement says, as far as we look: which month has left the table."""

    month: str


def type_of(statement: str) -> str:
    """Return the type of a statement.

    Raises:
        msgspec.DecodeError: it has none.
    """
    return msgspec.json.decode(statement, type=_Typed).type


def statement_of(kind: Type, at: datetime, members: dict[str, Any], *, by: str = SERVICE) -> tuple[UUID, str]:
    """Return the id and the text of a new statement."""
    statement_id = uuid4()
    first = {"statement_id": statement_id, "type": kind, "at": at, "by": by}
    return statement_id, msgspec.json.encode(first | members).decode()


def vkeys_in_use(recorded: Iterable[str]) -> list[str]:
    """Return the vkeys that ``key`` statements, the oldest first, have added and not retired."""
    in_use: dict[str, None] = {}
    for each in recorded:
        key = msgspec.json.decode(each, type=KeyStatement)
        if key.action == "add":
            in_use[key.vkey] = None
        else:
            in_use.pop(key.vkey, None)
    return list(in_use)


def changes_of_keys(
    in_use: Sequence[str], keys: Sequence[VerifierKey], newest: Checkpoint | None, at: datetime
) -> list[tuple[UUID, str]]:
    """Return the statements that are due when ``keys`` sign from now on.

    Args:
        in_use: vkeys of those that have signed until now.
        keys: those that sign now.
        newest: the newest signed checkpoint, which tells where a log of another origin has ended.
        at: now.
    """
    wanted = [key.vkey for key in keys]
    due = []
    for key in keys:
        if key.vkey not in in_use:
            members: dict[str, Any] = {"action": "add", "origin": key.name, "vkey": key.vkey}
            if newest is not None and newest.origin != key.name:
                root = to_base64(newest.root)
                members["previous"] = {"origin": newest.origin, "tree_size": newest.size, "root": root}
            due.append(members)
    due += [
        {"action": "retire", "origin": vkey.partition("+")[0], "vkey": vkey}
        for vkey in in_use
        if vkey not in wanted
    ]
    return [statement_of(Type.KEY, at, members) for members in due]
