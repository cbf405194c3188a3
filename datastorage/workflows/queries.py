"""Statements on ``remediation_workflow_catalog``: pure builders, values only ever as bound parameters.

What reads execute is rendered once, for each shape of a filter: see ``Rendered``. PostgreSQL writes every
row as the JSON that answers have.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Insert,
    Select,
    Text,
    Update,
    Uuid,
    bindparam,
    case,
    cast,
    func,
    literal,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from datastorage.platform.db.conditions import Operator, Shape, conditions_of, shape_of, values, where
from datastorage.platform.db.rendered import DIALECT, Rendered
from datastorage.platform.db.row_json import row_json
from datastorage.platform.web import json
from datastorage.workflows.model import NearMiss, PageRequest
from datastorage.workflows.tables import IS_LATEST, NAME_AND_VERSION, remediation_workflow_catalog
from datastorage.workflows.workflow import CHANGEABLE, MEMBERS, REGISTERED, Workflow

_table = remediation_workflow_catalog
_columns = _table.c

HAS = Operator("@>", lambda column, text: column.contains(text))
"""The ``jsonb`` column contains the JSON text; the GIN index answers when the plan is made for the value."""

_LOCK_PREFIX = "datastorage.workflows/"

_row = _table.alias("w")
# Rendered: it has a hundred parts, and SQLAlchemy would look at each of them every time.
_JSON: ColumnElement[str] = literal_column(str(row_json(MEMBERS, _row.c).compile(dialect=DIALECT)), Text)


def lock_name(workflow_name: str) -> Select[Any]:
    """Wait until no other transaction registers a version of this name."""
    key = func.hashtextextended(_LOCK_PREFIX + workflow_name, 0)
    return select(func.pg_advisory_xact_lock(key))


NOW = select(func.clock_timestamp())
"""The server's clock right now, not at the start of the transaction."""


def demote_latest(workflow_name: str) -> Update:
    """Take the flag from the latest version of a name and return its version."""
    return (
        update(_table)
        .where(_columns.workflow_name == workflow_name, IS_LATEST)
        .values(is_latest_version=False)
        .returning(_columns.version)
    )


def insert_latest(workflow: Workflow, **columns: Any) -> Insert:
    """Insert a version as the latest and return its id, or no row when the version exists."""
    sent = {each.name: getattr(workflow, each.name) for each in REGISTERED}
    documents = {each.name: _document(sent[each.name]) for each in REGISTERED if each.is_document}
    return (
        insert(_table)
        .values(sent | documents | {"is_latest_version": True} | columns)
        .on_conflict_do_nothing(constraint=NAME_AND_VERSION)
        .returning(_columns.workflow_id)
    )


def _document(value: Any) -> ColumnElement[Any] | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.encode(value).decode("utf-8")
    return cast(literal(text, Text), JSONB)


def locked(workflow_id: UUID) -> Select[Any]:
    """Select what an update depends on, and keep others from changing it."""
    names = (each.name for each in CHANGEABLE)
    return (
        select(*(_columns[name] for name in names))
        .where(_columns.workflow_id == workflow_id)
        .with_for_update()
    )


def change(workflow_id: UUID, columns: Mapping[str, Any]) -> Update:
    """Write ``columns`` of one row; a trigger sets ``updated_at``."""
    return update(_table).where(_columns.workflow_id == workflow_id).values(columns)


ONE = Rendered(select(_JSON).where(_row.c.workflow_id == bindparam("workflow_id", type_=Uuid)))
"""The JSON of ``:workflow_id``."""

VERSIONS = Rendered(
    select(_JSON)
    .where(_row.c.workflow_name == bindparam("workflow_name", type_=Text))
    .order_by(_row.c.created_at.desc(), _row.c.workflow_id)
)
"""The JSON of every version of ``:workflow_name``, newest first."""


def page(wanted: PageRequest) -> tuple[Rendered, dict[str, Any]]:
    """Return the statement of a page, whose text is kept for all filters of its shape, and its values."""
    bound = {**values(wanted.conditions), "limit": wanted.limit, "offset": wanted.offset}
    return _page(shape_of(wanted.conditions)), bound


@lru_cache(maxsize=256)
def _page(shape: Shape) -> Rendered:
    """Write the statement: page and count of one snapshot, and a row even when the page has none.

    SELECT CASE WHEN w.workflow_id IS NOT NULL THEN concat(…) END, matching.total
    FROM (SELECT count(*) AS total FROM … WHERE …) AS matching
    LEFT JOIN (SELECT * FROM … WHERE … ORDER BY … LIMIT … OFFSET …) AS w ON true
    ORDER BY w.created_at DESC, w.workflow_id

    The inner select comes first, so that rows which are only skipped or sorted are never written as JSON.
    """
    matches = where(conditions_of(shape))
    matching = select(func.count().label("total")).select_from(_table).where(*matches).subquery("matching")
    rows = (
        select(literal_column("*"))
        .select_from(_table)
        .where(*matches)
        .order_by(_columns.created_at.desc(), _columns.workflow_id)
        .limit(bindparam("limit", type_=BigInteger))
        .offset(bindparam("offset", type_=BigInteger))
        .subquery("w")
    )
    return Rendered(
        select(case((literal_column("w.workflow_id").is_not(None), _JSON)), matching.c.total)
        .select_from(matching)
        .join(rows, true(), isouter=True)
        .order_by(literal_column("w.created_at DESC, w.workflow_id"))
    )


_SIGNAL: ColumnElement[str] = _columns.labels.op("->>")(literal_column("'signal_type'", Text))
NEAR_MISSES = Rendered(
    select(*(_columns[name] for name in NearMiss._fields)).where(
        IS_LATEST,
        func.lower(_SIGNAL) == func.lower(bindparam("signal_type", type_=Text)),
        _columns.workflow_id != func.all(bindparam("found", type_=ARRAY(Uuid))),
    )
)
"""The latest versions for ``:signal_type``, in any letter case, that are not ``:found``."""
