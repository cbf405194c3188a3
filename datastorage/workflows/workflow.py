"""What a version of a workflow is, declared once: table, requests, answers and the API document follow."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import Boolean, Integer, Numeric, String, Text, Uuid, func

from datastorage.platform.db.columns import JSON_DOCUMENT, TIMESTAMPTZ
from datastorage.platform.records import Member, Normaliser, Shown, in_order, members_of, optional_last
from datastorage.platform.web import fields
from datastorage.platform.web.fields import Judged
from datastorage.platform.web.shapes import RowShape
from datastorage.workflows.fields import INT32_MAX, Document, Exact, Listed
from datastorage.workflows.label_fields import Custom, Detected, MandatoryLabelsSchema, Part
from datastorage.workflows.labels import (
    CUSTOM_LABELS,
    DETECTED_LABELS,
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


def _text(meaning: str, maximum: int, *, required: bool = False, **parts: Any) -> WorkflowMember:
    judge = Exact(maximum=maximum, required=required)
    return WorkflowMember(meaning, String(maximum), judge, shown=_shown(required=required), **parts)


def _long_text(meaning: str, *, required: bool = False, **parts: Any) -> WorkflowMember:
    return WorkflowMember(meaning, Text(), Exact(required=required), shown=_shown(required=required), **parts)


def _none(_: Any) -> dict[str, Any]:
    return {}


def _shown(*, required: bool) -> Shown:
    return Shown.ALWAYS if required else Shown.WHEN_SET


def _number(meaning: str, **parts: Any) -> WorkflowMember:
    return WorkflowMember(
        meaning, Integer(), in_update=_counter(), is_set_by_database=True, server_default="0", **parts
    )


def _counter() -> fields.Integer:
    return fields.Integer(minimum=0, maximum=INT32_MAX)


def _later(meaning: str, column: Any, **parts: Any) -> WorkflowMember:
    return WorkflowMember(meaning, column, shown=Shown.WHEN_SET, **parts)


def _stamp(meaning: str, **parts: Any) -> WorkflowMember:
    return WorkflowMember(
        meaning, TIMESTAMPTZ, is_set_by_database=True, server_default=func.clock_timestamp(), **parts
    )


class Workflow(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False):
    """One version as it is registered; what only the service or PostgreSQL sets is ``None`` here.

    The order of the members is the order in which faults of a request are reported. ``parameters`` is compact
    JSON text, so that no number in it is rounded.
    """

    workflow_name: Annotated[str, _text("Name that all versions share.", 255, required=True)]
    version: Annotated[str, _text("Version; unique among those of the name, any text.", 50, required=True)]
    name: Annotated[str, _text("Title for people.", 255, required=True)]
    description: Annotated[
        str, _long_text("What it does, for people and for models that choose.", required=True)
    ]
    content: Annotated[str, _long_text("The workflow itself, kept exactly as sent.", required=True)]
    content_hash: Annotated[
        str,
        WorkflowMember("SHA-256 of `content` in hexadecimal.", String(64), Exact(exactly=64, required=True)),
    ]
    execution_engine: Annotated[
        str, _text("What runs it, such as `tekton`.", 50, required=True, server_default="tekton")
    ]
    labels: Annotated[
        MandatoryLabels,
        WorkflowMember(
            "The five labels that a search compares first.",
            JSON_DOCUMENT,
            Part(MandatoryLabelsSchema(), required=True),
            server_default="{}",
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
        WorkflowMember(
            CUSTOM_LABELS, JSON_DOCUMENT, Custom(), default=_none, shown=Shown.WHEN_SET, server_default="{}"
        ),
    ]
    detected_labels: Annotated[
        DetectedLabels,
        WorkflowMember(DETECTED_LABELS, JSON_DOCUMENT, Detected(), default=_none, server_default="{}"),
    ]
    owner: Annotated[str | None, _text("The team it belongs to.", 255)] = None
    maintainer: Annotated[str | None, _text("Whom to ask.", 255)] = None
    parameters: Annotated[
        str | None,
        WorkflowMember(
            "JSON Schema or any other JSON about its parameters.",
            JSON_DOCUMENT,
            Document(),
            shown=Shown.WHEN_SET,
        ),
    ] = None
    container_image: Annotated[str | None, _long_text("Image that holds it.")] = None
    container_digest: Annotated[str | None, _text("Digest of the image.", 71)] = None
    previous_version: Annotated[str | None, _text("The version that this one follows.", 50)] = None
    deprecation_notice: Annotated[str | None, _long_text("What to use instead.", in_update=Exact())] = None
    version_notes: Annotated[str | None, _long_text("What is to know about this version.")] = None
    change_summary: Annotated[str | None, _long_text("What changed since the version before.")] = None
    approved_by: Annotated[str | None, _text("Who approved it.", 255)] = None
    approved_at: Annotated[
        datetime | None,
        WorkflowMember("When it was approved.", TIMESTAMPTZ, fields.Instant(), shown=Shown.WHEN_SET),
    ] = None
    expected_success_rate: Annotated[
        Decimal | None,
        WorkflowMember(
            "Share of executions expected to succeed, 0 to 1.", RATE, fields.Fraction(), shown=Shown.WHEN_SET
        ),
    ] = None
    expected_duration_seconds: Annotated[
        int | None,
        WorkflowMember("How long it is expected to take.", Integer(), _counter(), shown=Shown.WHEN_SET),
    ] = None
    created_by: Annotated[str | None, _text("Who registered it.", 255)] = None
    workflow_id: Annotated[
        UUID | None,
        WorkflowMember(
            "Identity of this version.",
            Uuid(),
            is_set_by_database=True,
            server_default=func.gen_random_uuid(),
        ),
    ] = None
    status_reason: Annotated[str | None, _later("Why it has this status.", Text(), is_managed=True)] = None
    disabled_at: Annotated[datetime | None, _later("When it was disabled.", TIMESTAMPTZ, is_managed=True)] = (
        None
    )
    disabled_by: Annotated[
        str | None, _later("Who disabled it.", String(255), in_update=Exact(maximum=255))
    ] = None
    disabled_reason: Annotated[str | None, _later("Why it was disabled.", Text(), in_update=Exact())] = None
    is_latest_version: Annotated[
        bool | None,
        WorkflowMember(
            "Whether it is the newest of its name.",
            Boolean(),
            is_managed=True,
            is_set_by_database=True,
            server_default="false",
        ),
    ] = None
    actual_success_rate: Annotated[
        Decimal | None,
        _later("Share of executions that did succeed, 0 to 1.", RATE, in_update=fields.Fraction()),
    ] = None
    total_executions: Annotated[int | None, _number("How often it ran.")] = None
    successful_executions: Annotated[
        int | None, _number("How often it succeeded; at most `total_executions`.")
    ] = None
    created_at: Annotated[datetime | None, _stamp("When it was registered.")] = None
    updated_at: Annotated[datetime | None, _stamp("When it last changed.", is_managed=True)] = None
    updated_by: Annotated[
        str | None, _later("Who changes it.", String(255), in_update=Exact(maximum=255))
    ] = None


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
