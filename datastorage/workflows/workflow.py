"""What a version of a workflow is, declared once: table, requests, answers and the API document follow."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import Boolean, Integer, Numeric, String, Text, Uuid, func
from sqlalchemy.types import TypeEngine

from datastorage.platform.db.columns import JSON_DOCUMENT, TIMESTAMPTZ
from datastorage.platform.records import (
    Member,
    Normaliser,
    Shown,
    in_order,
    members_of,
    optional_last,
)
from datastorage.platform.web import fields
from datastorage.platform.web.characters import FREE_TEXT
from datastorage.platform.web.fields import Judged
from datastorage.platform.web.nested import Nested
from datastorage.platform.web.shapes import RowShape
from datastorage.workflows.fields import INT32_MAX, Document, Exact, Listed
from datastorage.workflows.label_fields import Custom, Detected, MandatoryLabelsSchema
from datastorage.workflows.labels import (
    MEANINGS,
    STATUSES,
    CustomLabels,
    DetectedLabels,
    MandatoryLabels,
    Status,
)

RATE = Numeric(4, 3)
"""A share from 0 to 1 with three decimals."""


@dataclass(frozen=True, slots=True)
class WorkflowMember(Member):
    """One member: what the first request may say of it is judged by ``judge``.

    Attributes:
        in_update: judges what an update says of it; ``None`` when an update cannot set it.
        is_managed: whether the service changes it together with others; updates that name it are ignored
            in this. What is neither never changes.
    """

    in_update: Judged | None = field(default=None, kw_only=True)
    is_managed: bool = field(default=False, kw_only=True)

    @property
    def is_immutable(self) -> bool:
        """Whether it stays as it was registered."""
        return self.in_update is None and not self.is_managed


def _text(meaning: str, maximum: int | None = None, *, required: bool = False, **parts: Any) -> Member:
    column = Text() if maximum is None else String(maximum)
    shown = Shown.ALWAYS if required else Shown.WHEN_SET
    return WorkflowMember(meaning, column, Exact(maximum=maximum, required=required), shown=shown, **parts)


def _prose(meaning: str, *, required: bool = False, **parts: Any) -> Member:
    """Declare free text of any length."""
    shown = Shown.ALWAYS if required else Shown.WHEN_SET
    judge = Exact(characters=FREE_TEXT, required=required)
    return WorkflowMember(meaning, Text(), judge, shown=shown, **parts)


def _later_text(meaning: str, column: TypeEngine[Any], judge: Judged) -> Member:
    return WorkflowMember(meaning, column, shown=Shown.WHEN_SET, in_update=judge)


def _person(meaning: str) -> Member:
    """Declare who did something later."""
    return _later_text(meaning, String(255), Exact(maximum=255))


def _optional(meaning: str, column: TypeEngine[Any], judge: Judged | None = None, **parts: Any) -> Member:
    return WorkflowMember(meaning, column, judge, shown=Shown.WHEN_SET, **parts)


def _group(meaning: str, judge: Judged, **parts: Any) -> Member:
    return WorkflowMember(meaning, JSON_DOCUMENT, judge, server_default="{}", **parts)


def _set_by_database(meaning: str, column: TypeEngine[Any], default: Any, **parts: Any) -> Member:
    return WorkflowMember(meaning, column, is_set_by_database=True, server_default=default, **parts)


def _whole_number() -> fields.Integer:
    return fields.Integer(minimum=0, maximum=INT32_MAX)


def _nothing(_: Any) -> dict[str, Any]:
    return {}


class Workflow(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False):
    """One version as it is registered; what only the service or PostgreSQL sets is ``None`` here.

    The order of the members is the order in which faults of a request are reported. ``parameters`` is compact
    JSON text, so that no number in it is rounded.
    """

    workflow_name: Annotated[str, _text("Name that all versions share.", 255, required=True)]
    version: Annotated[str, _text("Version; unique among those of the name, any text.", 50, required=True)]
    name: Annotated[str, _text("Title for people.", 255, required=True)]
    description: Annotated[str, _prose("What it does, for people and for models that choose.", required=True)]
    content: Annotated[str, _prose("The workflow itself, kept exactly as sent.", required=True)]
    content_hash: Annotated[
        str,
        WorkflowMember("SHA-256 of `content` in hexadecimal.", String(64), Exact(exactly=64, required=True)),
    ]
    execution_engine: Annotated[
        str, _text("What runs it, such as `tekton`.", 50, required=True, server_default="tekton")
    ]
    labels: Annotated[
        MandatoryLabels,
        _group(
            "The five labels that a search compares first.", Nested(MandatoryLabelsSchema(), required=True)
        ),
    ]
    status: Annotated[
        Status,
        WorkflowMember(
            "A search finds `active` workflows; the others, `disabled` among them, only on request.",
            String(20),
            Listed(STATUSES, required=True),
            in_update=Listed(STATUSES),
            server_default="active",
        ),
    ]
    custom_labels: Annotated[
        CustomLabels,
        _group(MEANINGS["custom_labels"], Custom(), default=_nothing, shown=Shown.WHEN_SET),
    ]
    detected_labels: Annotated[
        DetectedLabels, _group(MEANINGS["detected_labels"], Detected(), default=_nothing)
    ]
    owner: Annotated[str | None, _text("The team it belongs to.", 255)] = None
    maintainer: Annotated[str | None, _text("Whom to ask.", 255)] = None
    parameters: Annotated[
        str | None,
        _optional("JSON Schema or any other JSON about its parameters.", JSON_DOCUMENT, Document()),
    ] = None
    container_image: Annotated[str | None, _text("Image that holds it.")] = None
    container_digest: Annotated[str | None, _text("Digest of the image.", 71)] = None
    previous_version: Annotated[str | None, _text("The version that this one follows.", 50)] = None
    deprecation_notice: Annotated[
        str | None, _prose("What to use instead.", in_update=Exact(characters=FREE_TEXT))
    ] = None
    version_notes: Annotated[str | None, _prose("What is to know about this version.")] = None
    change_summary: Annotated[str | None, _prose("What changed since the version before.")] = None
    approved_by: Annotated[str | None, _text("Who approved it.", 255)] = None
    approved_at: Annotated[
        datetime | None, _optional("When it was approved.", TIMESTAMPTZ, fields.Instant())
    ] = None
    expected_success_rate: Annotated[
        Decimal | None,
        _optional("Share of executions expected to succeed, 0 to 1.", RATE, fields.Fraction()),
    ] = None
    expected_duration_seconds: Annotated[
        int | None, _optional("How long it is expected to take.", Integer(), _whole_number())
    ] = None
    created_by: Annotated[str | None, _text("Who registered it.", 255)] = None
    workflow_id: Annotated[
        UUID | None, _set_by_database("Identity of this version.", Uuid(), func.gen_random_uuid())
    ] = None
    status_reason: Annotated[str | None, _optional("Why it has this status.", Text(), is_managed=True)] = None
    disabled_at: Annotated[
        datetime | None, _optional("When it was disabled.", TIMESTAMPTZ, is_managed=True)
    ] = None
    disabled_by: Annotated[str | None, _person("Who disabled it.")] = None
    disabled_reason: Annotated[
        str | None, _later_text("Why it was disabled.", Text(), Exact(characters=FREE_TEXT))
    ] = None
    is_latest_version: Annotated[
        bool | None,
        _set_by_database("Whether it is the newest of its name.", Boolean(), "false", is_managed=True),
    ] = None
    actual_success_rate: Annotated[
        Decimal | None,
        _optional("Share of executions that did succeed, 0 to 1.", RATE, in_update=fields.Fraction()),
    ] = None
    total_executions: Annotated[
        int | None, _set_by_database("How often it ran.", Integer(), "0", in_update=_whole_number())
    ] = None
    successful_executions: Annotated[
        int | None,
        _set_by_database(
            "How often it succeeded; at most `total_executions`.", Integer(), "0", in_update=_whole_number()
        ),
    ] = None
    created_at: Annotated[
        datetime | None, _set_by_database("When it was registered.", TIMESTAMPTZ, func.clock_timestamp())
    ] = None
    updated_at: Annotated[
        datetime | None,
        _set_by_database("When it last changed.", TIMESTAMPTZ, func.clock_timestamp(), is_managed=True),
    ] = None
    updated_by: Annotated[str | None, _person("Who changes it.")] = None


MEMBERS = cast("tuple[WorkflowMember, ...]", optional_last(in_order(members_of(Workflow), ("workflow_id",))))
"""The members in the order of answers."""

REGISTERED = tuple(each for each in members_of(Workflow) if each.judge is not None)
"""What the first request may have, in the order in which faults are reported."""

IMMUTABLE = tuple(each.name for each in MEMBERS if each.is_immutable)
"""What an update is refused for naming."""

CHANGEABLE = tuple(each for each in MEMBERS if not each.is_immutable)

registered = Normaliser(Workflow)
"""Makes a version of what the first request said."""

WORKFLOW = RowShape("Workflow", "One version of a workflow; members without a value are left out.", MEMBERS)
