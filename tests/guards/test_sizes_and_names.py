"""Files, functions and names stay within the house rules."""

import ast

import pytest

from tests.guards.source import PACKAGE, ROOT, TESTS, Module, modules

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 50
EMPTY_NAMES = {"utils", "helpers", "common", "misc", "base", "manager"}
"""Names that say nothing about what is inside."""

SLEEPERS = {TESTS / "support", TESTS / "lab"}
"""Where waiting may be written: loops that poll a condition until a deadline."""


def label(module: Module) -> str:
    return str(module.path.relative_to(ROOT))


@pytest.mark.parametrize("module", modules(PACKAGE), ids=label)
def test_file_fits_its_wall(module: Module) -> None:
    assert len(module.text.splitlines()) <= MAX_FILE_LINES


@pytest.mark.parametrize("module", modules(PACKAGE), ids=label)
def test_functions_fit_a_screen(module: Module) -> None:
    too_long = {
        function.name: length
        for function in module.functions
        if (length := (function.end_lineno or 0) - function.lineno + 1) > MAX_FUNCTION_LINES
    }

    assert too_long == {}


def test_modules_and_packages_are_named_after_what_is_in_them() -> None:
    named = {
        part for module in (*modules(PACKAGE), *modules(TESTS)) for part in module.path.with_suffix("").parts
    }

    assert named & EMPTY_NAMES == set()


def test_tests_wait_for_conditions_and_never_sleep() -> None:
    sleeping = [
        f"{label(module)}:{node.lineno}"
        for module in modules(TESTS)
        if not SLEEPERS & set(module.path.parents)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "sleep"}
    ]

    assert sleeping == []


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {module.path.parent for module in modules(TESTS)}

    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []
