import pytest

from datastorage.platform.web.sent import Sent


@pytest.mark.parametrize(
    ("headers", "is_strict"),
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
def test_preference_for_strict_handling_is_understood(headers: list[str], is_strict: bool) -> None:  # noqa: FBT001
    assert Sent(prefer=",".join(headers)).prefers_strict is is_strict
