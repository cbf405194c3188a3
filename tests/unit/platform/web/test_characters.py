import re
import sys

import pytest

from datastorage.platform.web.characters import FREE_TEXT, IDENTIFIER, Characters, fault_of_identifier

HIDDEN = {
    *range(0x20),
    *range(0x7F, 0xA0),
    0x061C,
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    0x2060,
    *range(0x2066, 0x206A),
    0xFEFF,
}


def test_identifier_refuses_exactly_what_cannot_be_seen() -> None:
    refused = {code for code in range(sys.maxunicode + 1) if fault_of_identifier(f"a{chr(code)}")}

    assert refused == HIDDEN


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a\x1b[2J", "must not contain control or invisible characters (got U+001B)"),
        ("abc\u202ecba", "must not contain control or invisible characters (got U+202E)"),
        ("a\x00", "must not contain NUL characters"),
    ],
)
def test_fault_names_the_character(text: str, fault: str) -> None:
    assert fault_of_identifier(text) == fault


@pytest.mark.parametrize("code", sorted(HIDDEN))
def test_free_text_may_have_all_but_nul(code: int) -> None:
    assert (FREE_TEXT.fault_of(f"a{chr(code)}") is None) == (code != 0)


@pytest.mark.parametrize("text", ["rr-1", "بيئة-生产-🚀", "e\u0301", " padded ", "a\u2028", "a\xadb"])
def test_identifier_of_any_script_is_none_of_our_business(text: str) -> None:
    assert fault_of_identifier(text) is None


@pytest.mark.parametrize("characters", [FREE_TEXT, IDENTIFIER], ids=["free text", "identifier"])
def test_patterns_say_the_same_as_the_rule(characters: Characters) -> None:
    for code in range(0x3000):
        is_accepted = characters.fault_of(f"a{chr(code)}") is None

        assert bool(re.fullmatch(characters.pattern, f"a{chr(code)}")) == is_accepted
        assert bool(re.fullmatch(characters.not_blank, f"a{chr(code)}")) == is_accepted
    assert not re.fullmatch(characters.not_blank, " \u2003")
