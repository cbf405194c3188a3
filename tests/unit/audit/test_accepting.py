"""The short way and marshmallow: the same inputs accepted, with the same values."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError

from datastorage.audit.event import CATEGORIES, OUTCOMES, AuditEvent
from datastorage.audit.schemas import ALIASES, AuditEventSchema
from datastorage.errors import InvalidInput
from datastorage.platform.web.accept import Accept
from datastorage.settings import AuditSettings, LimitsSettings
from tests.support.builders import MAXIMUM_CHARACTERS, an_event, rfc3339

NOW = datetime(2026, 1, 31, 23, 58, tzinfo=UTC)
LIMITS = LimitsSettings(max_event_data_bytes=300, max_event_data_depth=4)
SCHEMA = AuditEventSchema(AuditSettings(extra_event_categories=("audit-7",)), LIMITS, lambda: NOW)
SHORT_WAY = Accept(SCHEMA)

NAMES = (*SCHEMA.fields, *ALIASES, "unknown")
VALID = an_event(event_timestamp=rfc3339(NOW), correlation_id="rr-7")
EVERYTHING = VALID | {
    "event_id": "0F6F1C0E-5c43-4d7a-9a0b-6a0c9a3f7d11",
    "parent_event_id": "6b1e6f7a-2f5d-4a53-9a35-8a4a1c1f0d01",
    "parent_event_date": "2026-01-31T23:30:00-01:00",
    "actor_ip": "2001:db8::1",
    "event_metadata": {"source": "test"},
    "duration_ms": 0,
    "retention_days": 30,
    "is_sensitive": True,
}

texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", " ", "\t\u2003", "\x1c", "\x00", "a\x00b", "'; DROP TABLE x; --", "\U0001f525" * 20]
    ),
    st.sampled_from(sorted(MAXIMUM_CHARACTERS.values())[:-1]).flatmap(
        lambda maximum: st.sampled_from(["x" * maximum, "x" * (maximum + 1), "\u00e9" * maximum])
    ),
    st.sampled_from([*CATEGORIES, *OUTCOMES, "audit-7", "Gateway", "gateway "]),
)
instants = st.one_of(
    st.builds(
        lambda seconds, zone: (NOW + timedelta(seconds=seconds)).isoformat() + zone,
        st.sampled_from([0, 300, 301, -604800, -604801, 0.000001]),
        st.just(""),
    ),
    st.from_regex(
        r"202[56]-[01]\d-[0-3]\d[T ]\d\d:[0-6]\d:[0-6]\d([.,]\d{1,10})?(Z|z|[+-]\d\d:\d\d|)?", fullmatch=True
    ),
    st.sampled_from(
        [
            "2026-01-31T23:58:00.123456789Z",
            "2026-01-31T24:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-01-31T23:59:60Z",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
            "2026-01-31T23:58:00+00:60",
            "2026-01-31",
            "2026-W05-6",
            "٢٠٢٦-01-31T23:58:00Z",
        ]
    ),
)
numbers = st.one_of(
    st.integers(-3, 3000),
    st.sampled_from([-(2**31), -(2**31) - 1, 2**31 - 1, 2**31, 2**63, 2**64, 10**400, 5.0, 5.5, -0.0, 1e308]),
    st.floats(allow_nan=False, allow_infinity=False),
)
others = st.sampled_from(
    [
        None,
        True,
        False,
        "00000000-0000-0000-0000-000000000000",
        "0f6f1c0e5c434d7a9a0b6a0c9a3f7d11",
        "fe80::1%1",
        "192.0.2.7",
        "192.0.2.07",
        "::ffff:192.0.2.7",
        "{0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11}",
    ]
)
documents = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(texts, inner, max_size=3),
        inner.map(lambda each: {"a": [each]}),
    ),
    max_leaves=8,
)
values = st.one_of(texts, instants, numbers, others, documents)
requests = st.builds(
    lambda start, changed, dropped: {
        name: value for name, value in (start | changed).items() if name not in dropped
    },
    st.sampled_from([VALID, EVERYTHING, {}]),
    st.dictionaries(st.sampled_from(NAMES), values, max_size=4),
    st.sets(st.sampled_from(NAMES), max_size=2),
)


def explained(members: dict[str, Any]) -> AuditEvent | None:
    try:
        event: AuditEvent = Schema.load(SCHEMA, members)
    except ValidationError:
        return None
    return event


def same(short: AuditEvent | None, long: AuditEvent | None) -> bool:
    if short is None or long is None:
        return short is long
    made_up = set() if long.has_client_id else {"event_id"}
    return all(
        getattr(short, name) == getattr(long, name)
        and type(getattr(short, name)) is type(getattr(long, name))
        for name in AuditEvent.__struct_fields__
        if name not in made_up
    )


@settings(max_examples=1500, deadline=None)
@given(requests)
def test_short_way_accepts_what_marshmallow_accepts_with_the_same_values(members: dict[str, Any]) -> None:
    sent = dict(members)

    short, long = SHORT_WAY(members), explained(dict(sent))

    assert same(short, long), (short, long)
    assert members == sent


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.one_of(
                values.map(json.dumps),
                st.sampled_from(
                    [
                        "NaN",
                        "-Infinity",
                        "1e400",
                        '"\\ud800"',
                        '"\\u0000"',
                        '"\\\\u0000"',
                        "[" * 2000 + "]" * 2000,
                        '{"\\u0000": 1}',
                        '{"a": 1, "a": 2}',
                        '{"a": {"b": {"c": {"d": {}}}}}',
                        '"\x01"',
                        "01",
                    ]
                ),
            ),
        ),
        max_size=4,
    )
)
def test_members_sent_twice_and_hostile_json_fare_alike_on_both_ways(added: list[tuple[str, str]]) -> None:
    pairs = [(name, json.dumps(value)) for name, value in VALID.items()] + added
    body = "{" + ",".join(f'"{name}":{text}' for name, text in pairs) + "}"

    try:
        members = SCHEMA.decode(body.encode())
    except InvalidInput:
        return

    assert same(SHORT_WAY(members), explained(members))


@pytest.mark.parametrize("members", [VALID, EVERYTHING])
def test_event_without_faults_never_needs_marshmallow(members: dict[str, Any]) -> None:
    assert SHORT_WAY(members) is not None


def test_documents_are_bounded_together() -> None:
    halves = {name: {"a": "x" * 160} for name in ("event_data", "event_metadata")}

    assert SHORT_WAY(VALID | halves) is None
    assert SHORT_WAY(VALID | halves | {"event_metadata": {}}) is not None
