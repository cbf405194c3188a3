"""A rule added to the schema of events holds for single events and batches, on the short way too."""

from datetime import UTC, datetime
from typing import Any

import pytest
from marshmallow import ValidationError, post_load, pre_load, validates, validates_schema

from datastorage.audit.schemas import AuditBatch, AuditEventSchema
from datastorage.errors import Fault, InvalidInput
from datastorage.settings import AuditSettings, LimitsSettings
from tests.support.builders import an_event, rfc3339

NOW = datetime(2026, 1, 31, 23, 58, tzinfo=UTC)
QUIET = Fault("must say something when it failed")


class StricterSchema(AuditEventSchema):
    """Events as before, with one more rule."""

    @validates_schema
    def require_words(self, data: dict[str, Any], **_: Any) -> None:
        """A failure needs an error message."""
        if data["event_outcome"] == "failure" and not data["error_message"]:
            raise ValidationError(QUIET, field_name="error_message")


def made(schema: type[AuditEventSchema]) -> AuditEventSchema:
    return schema(AuditSettings(), LimitsSettings(), lambda: NOW)


def event(**members: Any) -> dict[str, Any]:
    return an_event(event_timestamp=rfc3339(NOW), **members)


def test_rule_is_enforced_on_a_single_event() -> None:
    with pytest.raises(InvalidInput) as refused:
        made(StricterSchema).read(event(event_outcome="failure"))

    assert refused.value.field_errors == {"error_message": QUIET}
    assert made(StricterSchema).read(event(event_outcome="failure", error_message="x")).error_message == "x"


def test_rule_is_enforced_on_every_event_of_a_batch() -> None:
    batch = AuditBatch(made(StricterSchema), maximum=10)

    with pytest.raises(InvalidInput) as refused:
        batch.read([event(), event(event_outcome="failure"), event(event_outcome="failure")])

    assert list(refused.value.field_errors) == ["[1].error_message", "[2].error_message"]
    assert len(batch.read([event(), event()])) == 2


def test_rule_about_one_field_is_enforced() -> None:
    class Shorter(AuditEventSchema):
        @validates("event_type")
        def refuse_probes(self, value: str, **_: Any) -> None:
            if value.startswith("probe."):
                raise ValidationError(QUIET)

    with pytest.raises(InvalidInput) as refused:
        made(Shorter).read(event(event_type="probe.sent"))

    assert refused.value.field_errors == {"event_type": QUIET}


def test_further_steps_before_and_after_are_taken() -> None:
    class Trimming(AuditEventSchema):
        @pre_load
        def trim(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
            data["event_type"] = data["event_type"].strip()
            return data

    sent = event(event_type=" a ")

    assert made(Trimming).read(sent).event_type == "a"


@pytest.mark.parametrize(
    "decorated",
    [
        pre_load(pass_collection=True),
        post_load(pass_collection=True),
        post_load(pass_original=True),
        validates_schema(pass_collection=True),
        validates_schema(pass_original=True),
    ],
)
def test_hook_that_the_short_way_cannot_call_is_refused_at_start(decorated: Any) -> None:
    def look(_schema: Any, data: Any, *_: Any, **__: Any) -> Any:
        return data

    asking = type("Asking", (AuditEventSchema,), {"look": decorated(look)})

    with pytest.raises(TypeError, match="the hook look asks for more"):
        made(asking)
