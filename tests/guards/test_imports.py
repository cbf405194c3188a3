"""Imports point one way: contents pages → features → cellar, and nothing points in a circle."""

from functools import cache
from graphlib import CycleError, TopologicalSorter

from tests.guards.source import PACKAGE, modules

ROOT_NAME = PACKAGE.name
CELLAR = {"platform", "settings", "errors"}
"""What every feature stands on; it knows none of them."""

FOLDED = {"wiring", "validation"}
"""Contents pages that are a folder, because one file would be too long; they may look at everything."""

PRIVATE = {"store", "tables", "routes", "queries"}
"""Modules of a feature that only the feature itself and the contents pages import."""


def test_cellar_imports_no_feature_and_no_contents_page() -> None:
    upward = [
        (module, imported)
        for module, imported in edges()
        if room_of(module) in CELLAR and room_of(imported) not in {*CELLAR, ""}
    ]

    assert set(upward) == set()


def test_features_import_no_contents_page() -> None:
    upward = [
        (module, imported)
        for module, imported in edges()
        if room_of(module) in features() and room_of(imported) not in {*features(), *CELLAR, ""}
    ]

    assert upward == []


def test_features_leave_the_private_modules_of_others_alone() -> None:
    intrusions = [
        (module, imported)
        for module, imported in edges()
        if room_of(module) in features()
        and room_of(imported) in features() - {room_of(module)}
        and PRIVATE & set(imported.split(".")[2:])
    ]

    assert intrusions == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for module, imported in set(edges()):
        graph.setdefault(module, set()).add(imported)

    assert circle_in(graph) == []


def test_no_features_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for module, imported in edges():
        if room_of(module) in features() and room_of(imported) in features() - {room_of(module)}:
            graph.setdefault(room_of(module), set()).add(room_of(imported))

    assert circle_in(graph) == []


def test_imports_are_seen_wherever_they_are_written() -> None:
    found = set(edges())

    assert ("datastorage.audit.service", "datastorage.audit.store") in found


@cache
def edges() -> list[tuple[str, str]]:
    """Return who imports whom; a package that gathers its own modules is no edge."""
    return [
        (module.name, imported)
        for module in modules()
        for imported in module.imports
        if imported != module.name and not module.name.startswith(f"{imported}.")
    ]


def room_of(module: str) -> str:
    """Return the first part below the package: a feature, a part of the cellar, a contents page."""
    return module.removeprefix(ROOT_NAME).lstrip(".").partition(".")[0]


def features() -> set[str]:
    return {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - CELLAR - FOLDED


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []
