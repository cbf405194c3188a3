"""Every slug an error can carry is in the registry, and the registry is documented."""

import ast
import re

import pytest

from datastorage.errors import DataStorageError
from datastorage.platform.web.problems import KINDS, Kind
from tests.guards.source import ROOT, modules

DOCUMENT = ROOT / "docs" / "problems.md"
ROW = re.compile(r"\| `(?P<slug>[a-z/-]+)` \| (?P<status>\d{3}) \| (?P<title>[^|]+) \|(?P<retry>[^|]*)\|")


def documented() -> dict[str, re.Match[str]]:
    rows = (ROW.match(line) for line in DOCUMENT.read_text(encoding="utf-8").splitlines())
    return {row["slug"]: row for row in rows if row}


def slugs_in_code() -> set[str]:
    """Return the slugs given to classes and to single errors, wherever errors are defined or raised."""
    found = {DataStorageError.slug}
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                found |= {value for name, value in assigned(node) if name == "slug"}
            elif (
                isinstance(node, ast.keyword) and node.arg == "slug" and isinstance(node.value, ast.Constant)
            ):
                found.add(str(node.value.value))
    return found


def assigned(node: ast.ClassDef) -> list[tuple[str, str]]:
    return [
        (target.id, statement.value.value)
        for statement in node.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name) and isinstance(statement.value.value, str)
    ]


def test_every_slug_of_an_error_is_in_the_registry() -> None:
    assert slugs_in_code() - KINDS.keys() == set()


def test_the_registry_is_documented_and_nothing_else() -> None:
    assert documented().keys() == KINDS.keys()


@pytest.mark.parametrize(("slug", "kind"), KINDS.items(), ids=str)
def test_problem_is_documented_with_its_status_title_and_retry(slug: str, kind: Kind) -> None:
    row = documented()[slug]

    assert int(row["status"]) == kind.status
    assert row["title"].partition(";")[0].strip() == kind.title
    assert (row["retry"].strip() == "yes") is kind.retry
