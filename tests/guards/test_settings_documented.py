"""``docs/settings.md`` and the declared keys say the same."""

import re
from pathlib import Path

import pytest

from datastorage.settings import KEYS, SECRET_VARIABLES
from datastorage.settings.keys import Key

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"
ROW = re.compile(
    r"^\| `(?P<key>[a-z_]+\.[A-Za-z_.]+)` \| (?P<variables>[^|]*) \| (?P<default>[^|]*) \|", re.MULTILINE
)


DOCUMENTED = [key for key in KEYS if not key.is_secret]


@pytest.mark.parametrize("key", DOCUMENTED, ids=lambda key: key.name)
def test_setting_is_documented_with_its_variables_and_default(key: Key) -> None:
    rows = {row["key"]: row for row in ROW.finditer(DOCUMENT.read_text(encoding="utf-8"))}

    row = rows[key.name]
    assert row["variables"] == ", ".join(f"`{variable}`" for variable in reversed(key.variables))
    assert row["default"] == _documented_default(key)


def _documented_default(key: Key) -> str:
    if key.default is None:
        return "unset" if key.required_unless is None else "required"
    return f"`{key.default}`" if key.default else "empty"


def test_documented_settings_exist_and_follow_the_order_of_the_code() -> None:
    documented = [row["key"] for row in ROW.finditer(DOCUMENT.read_text(encoding="utf-8"))]

    assert documented == [key.name for key in DOCUMENTED]


def test_secret_variables_are_documented() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")

    assert [name for name in SECRET_VARIABLES if f"| `{name}` |" not in text] == []
