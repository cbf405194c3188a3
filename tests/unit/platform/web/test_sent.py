import pytest

from datastorage.platform.web.literals import shown
from datastorage.platform.web.sent import Sent


@pytest.mark.parametrize(
    ("fields", "is_strict"),
    [
        ([], False),
        (["handling=strict"], True),
        (['Handling = "Strict"'], True),
        (["respond-async, handling=strict; x=1"], True),
        (["respond-async", "handling=strict"], True),
        (["handling=lenient"], False),
        (["handling=lenient, handling=strict"], False),
        (["handling"], False),
        (["x-handling=strict"], False),
    ],
)
def test_preference_for_strict_handling_is_understood(fields: list[str], is_strict: bool) -> None:  # noqa: FBT001
    assert Sent(prefer=",".join(fields)).prefers_strict is is_strict


def test_shown_text_is_short_and_has_no_control_characters() -> None:
    assert shown("生产 é 'x'") == "生产 é 'x'"
    assert shown("a\n\x00\u202e\x1b[31m") == "a\\n\\x00\\u202e\\x1b[31m"
    assert shown("x" * 101) == "x" * 100 + "…"
