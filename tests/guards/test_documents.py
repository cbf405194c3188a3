"""Links of the documents lead somewhere, and the commands they show exist."""

import re
from pathlib import Path

import pytest

from datastorage.cli import COMMANDS
from tests.guards.source import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
ENVIRONMENT = re.compile(r"^\[testenv:([a-z0-9]+)\]", re.MULTILINE)


def label(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=label)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = [link for link in LINK.findall(text) if not link.startswith(("http:", "https:"))]

    assert [link for link in links if not is_found(document, link)] == []


def is_found(document: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    if not target.exists():
        return False
    return not anchor or anchor in anchors_of(target)


def anchors_of(document: Path) -> set[str]:
    headings = HEADING.findall(document.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=label)
def test_commands_shown_exist(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    known = {
        "make": set(TARGET.findall(makefile)),
        "tox": set(ENVIRONMENT.findall(tox)),
        "datastorage": set(COMMANDS),
    }
    shown = commands_in(document.read_text(encoding="utf-8"))

    assert [(program, word) for program, word in shown if word not in known[program]] == []


def commands_in(text: str) -> list[tuple[str, str]]:
    """Return what follows `make`, `tox run -e` and `datastorage` in shell blocks and in code spans."""
    shell = "\n".join([*SHELL.findall(text), *re.findall(r"`([^`\n]+)`", text)])
    found = re.findall(
        r"^(?:\$ )?(?:\.venv/bin/)?(make|tox(?= run -e )|datastorage) (?:run -e )?([a-z][a-z0-9-]*)",
        shell,
        re.MULTILINE,
    )
    return [(program, word) for program, word in found]


def test_no_document_is_empty() -> None:
    assert [
        label(document) for document in DOCUMENTS if not document.read_text(encoding="utf-8").strip()
    ] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=label)
def test_manifests_named_exist(document: Path) -> None:
    named = re.findall(r"\bk8s/(?:[\w.-]+/)*[\w.-]*\w", document.read_text(encoding="utf-8"))

    assert [path for path in named if not (ROOT / path).exists()] == []
