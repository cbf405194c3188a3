"""Part of check 3: what keeps stored records from being changed, as the database has it right now."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import (
    Connection,
    Integer,
    Select,
    String,
    Subquery,
    and_,
    column,
    func,
    or_,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import array

from datastorage.tables import metadata
from datastorage.validation.subject import Broken, Doubtful

HARDEN = "run alembic/superuser.sql once as a superuser, see docs/deployment.md"
_FIRING = ("O", "A")
"""States of a trigger that fires for ordinary sessions."""
_NEVER_NEEDED = ("DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
_EVENT_TRIGGERS = ("datastorage_schema_change", "datastorage_schema_drop")
_APPEND_ONLY = ("append_only", "no_truncate")
_UNLISTED = 3
"""Names in a sentence; further ones are counted."""


@dataclass(frozen=True, slots=True)
class Protection:
    """What was found.

    Attributes:
        silent_triggers: append-only triggers that are disabled or missing, each with its table.
        excess: privileges of the service's role that none of its statements needs.
        owns_tables: whether that role owns the tables, or acts for their owner.
        unrecorded: whether changes of definitions are recorded nowhere.
        large_objects: whether the role may create large objects.
    """

    silent_triggers: tuple[str, ...]
    excess: tuple[str, ...]
    owns_tables: bool
    unrecorded: bool
    large_objects: bool


def judge(found: Protection) -> str:
    """Return the finding as the end of a sentence.

    Raises:
        Broken: an append-only trigger does not fire.
        Doubtful: the service could do what it never needs to.
    """
    if found.silent_triggers:
        raise Broken(
            f"records can be changed, disabled or missing: {_listed(found.silent_triggers)}",
            "find out who did it and what was changed, then ALTER TABLE ... ENABLE TRIGGER as the owner",
        )
    if found.owns_tables:
        raise Doubtful(
            "the role owns the tables: only triggers protect what is stored, and it may disable them",
            "let the service log in as datastorage_app, see docs/deployment.md",
        )
    if found.excess:
        raise Doubtful(
            f"the role may do more than the service needs: {_listed(found.excess)}",
            "REVOKE it as the owner of the tables, or alembic upgrade head",
        )
    open_ends = [
        text
        for text, is_open in (
            ("changes of definitions are not recorded", found.unrecorded),
            ("PUBLIC may create large objects", found.large_objects),
        )
        if is_open
    ]
    return f"append-only triggers in force{''.join(f'; {text}' for text in open_ends)}" + (
        f" ({HARDEN})" if open_ends else ""
    )


def _listed(names: tuple[str, ...]) -> str:
    further = len(names) - _UNLISTED
    return ", ".join(names[:_UNLISTED]) + (f" and {further} more" if further > 0 else "")


def find_protection(connection: Connection) -> Protection:
    """Ask the catalogue."""
    relations = _relations().subquery("r")
    named = list(connection.execute(_named(relations)))
    firing = set(connection.execute(_firing_triggers(relations)))
    owns, may_create, large_objects, recording = connection.execute(_rights(relations)).one()
    excess = [*_excess_privileges(connection, relations), *_excess_columns(connection, relations)]
    if may_create:
        excess.append("CREATE in the schema")
    return Protection(
        silent_triggers=tuple(
            f"{trigger} on {name}"
            for name, trigger in sorted(_wanted_triggers(named))
            if (name, trigger) not in firing
        ),
        excess=tuple(excess),
        owns_tables=owns,
        unrecorded=recording < len(_EVENT_TRIGGERS),
        large_objects=large_objects,
    )


def _relations() -> Select[int, str, str, int]:
    """Select our tables and their partitions, as the search_path finds them.

    SELECT c.oid, c.relname, root.relname, c.relowner FROM pg_class c
    JOIN pg_class root ON root.oid = coalesce(pg_partition_root(c.oid), c.oid)
    WHERE root.oid IN (to_regclass('audit_events'), …)
    """
    pg_class = table(
        "pg_class", column("oid", Integer), column("relname", String), column("relowner", Integer)
    )
    c, root = pg_class.alias("c"), pg_class.alias("root")
    return (
        select(
            c.c.oid, c.c.relname.label("name"), root.c.relname.label("of_table"), c.c.relowner.label("owner")
        )
        .join(root, root.c.oid == func.coalesce(func.pg_partition_root(c.c.oid), c.c.oid))
        .where(root.c.oid.in_([func.to_regclass(name) for name in sorted(metadata.tables)]))
    )


def _named(relations: Subquery) -> Select[str, str]:
    return select(relations.c.name, relations.c.of_table)


def _wanted_triggers(relations: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for name, of_table in relations:
        if metadata.tables[of_table].info.get("append_only"):
            for what in _APPEND_ONLY:
                yield name, f"trg_{of_table}_{what}"


def _firing_triggers(relations: Subquery) -> Select[str, str]:
    t = table("pg_trigger", column("tgrelid", Integer), column("tgname", String), column("tgenabled", String))
    return (
        select(relations.c.name, t.c.tgname)
        .join(t, t.c.tgrelid == relations.c.oid)
        .where(t.c.tgenabled.in_(_FIRING))
    )


def _rights(relations: Subquery) -> Select[bool, bool, bool, int]:
    e = table("pg_event_trigger", column("evtname", String), column("evtenabled", String))
    recording = select(func.count()).where(
        and_(e.c.evtname.in_(_EVENT_TRIGGERS), e.c.evtenabled.in_(_FIRING))
    )
    return select(
        func.coalesce(func.bool_or(func.pg_has_role(relations.c.owner, "USAGE")), False),
        func.has_schema_privilege(func.current_schema(), "CREATE"),
        func.has_function_privilege("pg_catalog.lo_create(oid)", "EXECUTE"),
        recording.scalar_subquery(),
    )


def _excess_privileges(connection: Connection, relations: Subquery) -> Iterator[str]:
    asked = func.unnest(array(_NEVER_NEEDED)).table_valued("privilege").render_derived()
    found = (
        select(relations.c.name, relations.c.of_table, asked.c.privilege)
        .join(asked, func.has_table_privilege(relations.c.oid, asked.c.privilege))
        .order_by(relations.c.name, asked.c.privilege)
    )
    for name, of_table, granted in connection.execute(found):
        if granted != "DELETE" or not metadata.tables[of_table].info.get("deleted"):
            yield f"{granted} on {name}"


def _excess_columns(connection: Connection, relations: Subquery) -> Iterator[str]:
    a = table(
        "pg_attribute", column("attrelid", Integer), column("attname", String), column("attnum", Integer)
    )
    needed = [
        and_(relations.c.of_table == each.name, a.c.attname.in_(sorted(each.info["updated"])))
        for each in metadata.tables.values()
        if "updated" in each.info
    ]
    found = (
        select(relations.c.name, func.string_agg(a.c.attname, ", "))
        .join(a, a.c.attrelid == relations.c.oid)
        .where(
            a.c.attnum > 0,
            func.has_column_privilege(relations.c.oid, a.c.attnum, "UPDATE"),
            ~or_(*needed),
        )
        .group_by(relations.c.name)
        .order_by(relations.c.name)
    )
    for name, columns in connection.execute(found):
        yield f"UPDATE ({columns}) on {name}"
