"""Packages, tools and files, as the checks find them; and the service that does not start."""

from pathlib import Path

import pytest

from datastorage.validation import packages, service, tools
from datastorage.validation.subject import Broken, NotApplicable, Subject

NOWHERE = {
    "DATASTORAGE_DATABASE_URL": "postgresql://app:Zq-secret-Zq@127.0.0.1:1/none",
    "DATASTORAGE_REDIS_URL": "redis://:Zq-secret-Zq@127.0.0.1:1/0",
}


def test_packages_are_those_of_the_lock_file() -> None:
    assert "packages are installed as in requirements.lock" in packages.dependencies(Subject(None, {}), 30)


def test_package_of_another_version_and_a_missing_one_are_named(tmp_path: Path) -> None:
    lock = "flask==0.1 \\\n    --hash=sha256:00\nno-such-package==1.0\nother==1 ; sys_platform == 'none'\n"
    (tmp_path / "requirements.lock").write_text(lock)

    with pytest.raises(Broken) as raised:
        packages.dependencies(Subject(None, {}, root=tmp_path), 30)

    assert str(raised.value).startswith("not as in requirements.lock: flask 3.")
    assert str(raised.value).endswith(" instead of 0.1, no-such-package missing instead of 1.0")
    assert "pip install --require-hashes" in raised.value.repair


def test_image_has_no_lock_file_to_compare_with(tmp_path: Path) -> None:
    with pytest.raises(NotApplicable, match=r"no requirements\.lock beside the package"):
        packages.dependencies(Subject(None, {}, root=tmp_path), 30)


def test_required_packages_can_be_imported() -> None:
    assert packages.imports(Subject(None, {}), 30) == "all 10 required packages can be imported"


def test_container_tool_that_is_not_there_has_a_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(Broken, match="neither podman nor docker is installed") as raised:
        tools.container_tool(Subject(None, {}), 10)

    assert "install the package podman" in raised.value.repair


@pytest.mark.parametrize(
    ("script", "result"), [("echo 5.4.0", "container tool answers, podman: 5.4.0"), ("exit 125", None)]
)
def test_container_tool_has_to_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, result: str | None
) -> None:
    tool = tmp_path / "podman"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    if result is None:
        with pytest.raises(Broken, match="no container engine answers"):
            tools.container_tool(Subject(None, {}), 10)
    else:
        assert tools.container_tool(Subject(None, {}), 10) == result


def test_missing_files_are_named(tmp_path: Path) -> None:
    for name in ("datastorage", "tests", "alembic"):
        (tmp_path / name).mkdir()
    for name in ("setup.cfg", "alembic.ini", "Containerfile"):
        (tmp_path / name).touch()

    with pytest.raises(Broken, match=r"^missing: k8s/, tox\.ini$"):
        tools.layout(Subject(None, {}, root=tmp_path), 5)


@pytest.mark.parametrize("examine", [tools.linters, tools.layout])
def test_installed_package_has_no_sources_to_check(tmp_path: Path, examine: object) -> None:
    assert callable(examine)

    with pytest.raises(NotApplicable, match="this is an installed package, not a source tree"):
        examine(Subject(None, {}, root=tmp_path / "site-packages"), 5)


def test_linter_shows_its_first_complaint(tmp_path: Path) -> None:
    (tmp_path / "crooked.py").write_text("import os\n")

    with pytest.raises(Broken) as raised:
        tools.linters(Subject(None, {}, root=tmp_path), 50)

    assert "ruff reports 1 lines, the first: crooked.py:1:8: F401" in str(raised.value)
    assert raised.value.repair == "tox run -e lint,types"


def test_service_that_does_not_start_shows_its_error() -> None:
    subject = Subject(None, NOWHERE | {"DATASTORAGE_LOGGING_LEVEL": "loud"})

    with pytest.raises(Broken) as raised:
        service.start(subject, 25)

    assert "the service ended with exit code 1: Invalid configuration: invalid log level: loud" in str(
        raised.value
    )
    assert "Zq-" not in str(raised.value)
