from datastorage.platform.web.literals import shown


def test_shown_text_is_short_and_has_no_control_characters() -> None:
    assert shown("生产 é 'x'") == "生产 é 'x'"
    assert shown("a\n\x00\u202e\x1b[31m") == "a\\n\\x00\\u202e\\x1b[31m"
    assert shown("x" * 101) == "x" * 100 + "…"
