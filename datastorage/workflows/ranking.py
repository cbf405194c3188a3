"""The statement of a search: PostgreSQL selects what matches, scores it, counts it and keeps the best.

The rules are those of ``scoring``, with its constants; an integration test holds both against a third
scorer that shares no code with them. The text is the same for every search, so SQLAlchemy compiles it
once and PostgreSQL plans it once per connection: what is not searched is a parameter that is NULL.
"""

from functools import reduce
from operator import add
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import TEXT

from datastorage.platform.db.rendered import Rendered
from datastorage.platform.db.sent_rows import as_parameters, sent_rows
from datastorage.workflows.labels import (
    DETECTED,
    MANDATORY,
    MAY_BE_WILDCARD,
    WILDCARD,
    DetectedLabel,
    DetectedValue,
    pairs,
    trusted,
)
from datastorage.workflows.model import SearchRequest
from datastorage.workflows.scoring import (
    CUSTOM_LABEL_POINTS,
    CUSTOM_WILDCARD_POINTS,
    MANDATORY_WILDCARD_POINTS,
    MAX_CUSTOM_POINTS,
    POINT,
    Score,
    points_for,
)
from datastorage.workflows.tables import remediation_workflow_catalog

# psycopg remembers how it sends a statement only if its text is shorter than 4,096 characters.
WORKFLOWS = remediation_workflow_catalog.alias("w")
_columns = WORKFLOWS.c


class Found(NamedTuple):
    """A workflow among the best: what a result and its audit event show; labels are JSON text."""

    workflow_id: UUID
    workflow_name: str
    version: str
    name: str
    description: str
    owner: str | None
    maintainer: str | None
    container_image: str | None
    container_digest: str | None
    labels: str
    custom_labels: str
    detected_labels: str
    mandatory: int
    detected: int
    custom: int
    penalty: int
    total: int
    """How many match and reach the searched score."""

    @property
    def score(self) -> Score:
        """Its score."""
        return Score(self.mandatory, self.detected, self.custom, self.penalty)


def parameters(wanted: SearchRequest) -> dict[str, Any]:
    """Return what ``BEST`` is executed with: searched labels by their name, and the rest."""
    custom = [{"subdomain": subdomain, "value": value} for subdomain, value in pairs(wanted.wanted.custom)]
    return {
        **wanted.wanted.mandatory,
        **_NOT_SEARCHED,
        **{key: _text(value) for key, value in trusted(wanted.wanted.detected).items()},
        **as_parameters(custom),
        "statuses": list(wanted.statuses),
        "min_points": points_for(wanted.min_score),
        "top_k": wanted.top_k,
    }


_NOT_SEARCHED = dict.fromkeys(DETECTED)


def _text(searched: DetectedValue) -> str:
    """Write a flag like the text of a JSON value; those that are false are never searched."""
    return searched if isinstance(searched, str) else "true"


def _searched(label: str) -> ColumnElement[str]:
    return bindparam(label, type_=TEXT())


def _constant(text: str) -> ColumnElement[str]:
    """Return ``text`` as part of the statement: no plan for all values uses an index on a parameter's key."""
    return literal_column(f"'{text}'", TEXT())


_ANY = _constant(WILDCARD)


def _declared(group: str, label: str) -> ColumnElement[str]:
    text: ColumnElement[str] = _columns[group].op("->>", return_type=TEXT())(_constant(label))
    return text


def _points(thousandths: int) -> ColumnElement[int]:
    return literal_column(str(thousandths), Integer())


_NOTHING = _points(0)


def _matches(label: str) -> ColumnElement[bool]:
    declared = _declared("labels", label)
    exact = declared == _searched(label)
    return or_(exact, declared == _ANY) if label in MAY_BE_WILDCARD else exact


MATCHES = (
    _columns.is_latest_version == true(),
    _columns.status == func.any(bindparam("statuses", type_=ARRAY(TEXT()))),
    *(_matches(label) for label in MANDATORY),
)
"""What makes a workflow a candidate; an index answers status, signal and severity."""


def _mandatory(label: str) -> ColumnElement[int]:
    """Of a label that matches: only a declared wildcard earns less."""
    if label not in MAY_BE_WILDCARD:
        return _points(POINT)
    is_wildcard = _declared("labels", label) == _ANY
    return case((is_wildcard, _points(MANDATORY_WILDCARD_POINTS)), else_=_points(POINT))


def _detected(label: DetectedLabel) -> ColumnElement[int]:
    """CASE WHEN searched IS NULL THEN 0 … comes first: what is not searched is not even read."""
    searched, declared = _searched(label.key), _declared("detected_labels", label.key)
    is_wildcard = or_(declared == _ANY, and_(searched == _ANY, declared.is_not(None)))
    half = [(is_wildcard, _points(label.weight // 2))] if label.choices else []
    exact = (declared == searched, _points(label.weight))
    return case((searched.is_(None), _NOTHING), *half, exact, else_=_NOTHING)


def _penalty(label: DetectedLabel) -> ColumnElement[int]:
    """A searched wildcard asks for any tool, so no tool at all is no conflict either."""
    searched, declared = _searched(label.key), _declared("detected_labels", label.key)
    differs = (declared.is_distinct_from(value) for value in (searched, _ANY))
    return case((and_(searched != _ANY, *differs), _points(label.penalty)), else_=_NOTHING)


def _custom() -> ColumnElement[int]:
    pair = sent_rows([Column("subdomain", TEXT()), Column("value", TEXT())])
    declared = _columns.custom_labels.op("->")(pair.c.subdomain)
    points = case(
        (declared.op("?")(pair.c.value), _points(CUSTOM_LABEL_POINTS)),
        (declared.op("?")(_ANY), _points(CUSTOM_WILDCARD_POINTS)),
        else_=_NOTHING,
    )
    earned = func.least(_points(MAX_CUSTOM_POINTS), func.coalesce(func.sum(points), _NOTHING))
    return select(earned).select_from(pair).correlate(WORKFLOWS).scalar_subquery()


def _best() -> Select[Any]:
    """Write the statement.

    WITH scored AS (SELECT workflow_id, created_at, … AS mandatory, … FROM … WHERE …),
         best AS (SELECT *, count(*) OVER () AS total FROM scored WHERE points >= :min_points
                  ORDER BY points DESC, created_at DESC, workflow_id LIMIT :top_k)
    SELECT … FROM best JOIN remediation_workflow_catalog USING (workflow_id) ORDER BY …
    """
    parts = {
        "mandatory": reduce(add, (_mandatory(label) for label in MANDATORY)),
        "detected": reduce(add, (_detected(label) for label in DETECTED.values())),
        "custom": _custom(),
        "penalty": reduce(add, (_penalty(label) for label in DETECTED.values() if label.penalty)),
    }
    labelled = (points.label(name) for name, points in parts.items())
    # Materialized: else PostgreSQL computes the points again wherever they are compared.
    matching = select(_columns.workflow_id, _columns.created_at, *labelled).where(*MATCHES)
    scored = matching.cte("scored").prefix_with("MATERIALIZED")
    points = (scored.c.mandatory + scored.c.detected + scored.c.custom - scored.c.penalty).label("points")
    best = (
        select(*scored.c, points, func.count().over().label("total"))
        .where(points >= bindparam("min_points", type_=Integer()))
        .order_by(points.desc(), scored.c.created_at.desc(), scored.c.workflow_id)
        .limit(bindparam("top_k", type_=Integer()))
        .cte("best")
    )
    shown = (_shown(name) if name in _columns else best.c[name] for name in Found._fields)
    return (
        select(*shown)
        .join_from(best, WORKFLOWS, _columns.workflow_id == best.c.workflow_id)
        .order_by(best.c.points.desc(), best.c.created_at.desc(), best.c.workflow_id)
    )


def _shown(name: str) -> ColumnElement[Any]:
    column = _columns[name]
    return cast(column, TEXT).label(name) if name.endswith("labels") else column


BEST = Rendered(_best())
"""The first results of a search in order; executed with ``parameters``, it returns rows of ``Found``."""
