"""Where a stretch of rows ends."""

import pytest

from datastorage.platform.db.stretches import UNIT_BYTES, Bound, Stretch, stretch_of


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], Stretch([])),
        (["aaa", "bbb"], Stretch(["aaa", "bbb"])),
        (["aaa", "bbb", "c"], Stretch(["aaa", "bbb", "c"])),
        (["a", "b", "c", "d"], Stretch(["a", "b", "c"], has_more=True)),
        (["aaaa", "bbb", "c"], Stretch(["aaaa", "bbb"], has_more=True, is_cut=True)),
        (["aaa", "bbb", "c", "x" * 9], Stretch(["aaa", "bbb", "c"], has_more=True)),
        (["a" * 9], Stretch(["a" * 9])),
        (["a" * 9, None], Stretch(["a" * 9], has_more=True, is_cut=True)),
        (["a" * 9, "b"], Stretch(["a" * 9], has_more=True, is_cut=True)),
        (["a", None, "bb", None, "ccc"], Stretch(["a", "bb", "ccc"])),
        ([None, "a" * 9], Stretch(["a" * 9])),
        ([None, "a" * 9, None], Stretch(["a" * 9], has_more=True, is_cut=True)),
        (["a", "b", "c", None, "d"], Stretch(["a", "b", "c"], has_more=True)),
        (["a", "b", "c", None], Stretch(["a", "b", "c"], has_more=True)),
        (["ää", "öö", "c"], Stretch(["ää"], has_more=True, is_cut=True)),
    ],
)
def test_stretch_ends_after_so_many_rows_or_bytes(texts: list[str | None], expected: Stretch) -> None:
    assert stretch_of(texts, Bound(rows=3, max_bytes=7)) == expected


def test_lines_of_a_stretch_have_room_for_what_is_within_it() -> None:
    bound = Bound(rows=2, max_bytes=3 * UNIT_BYTES)
    lines_of_both = sum(1 + each // UNIT_BYTES for each in (UNIT_BYTES, 2 * UNIT_BYTES))

    assert bound.units == lines_of_both + 1
