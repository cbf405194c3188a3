"""The verifier ships without the service, so it imports nothing that only the service has."""

import ast
import sys

from tests.guards.source import PACKAGE, Module, modules

SHIPPED = {"cryptography", "cbor2"}
COMMANDS = {"click"}


def imported_by(module: Module) -> set[str]:
    """Return the top-level names of everything it imports that is not ours."""
    names = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names - {PACKAGE.name}


def verifier() -> dict[str, Module]:
    """Return every module that the verifier is made of, found by following its imports."""
    known = {module.name: module for module in modules()}
    found: dict[str, Module] = {}
    waiting = [name for name in known if name.startswith("datastorage.verification")]
    while waiting:
        name = waiting.pop()
        if name in found or name not in known:
            continue
        found[name] = known[name]
        waiting += known[name].imports
    return found


def test_verifier_is_made_of_itself_and_the_ledger() -> None:
    outside = {
        name for name in verifier() if not name.startswith(("datastorage.verification", "datastorage.ledger"))
    }

    assert outside <= {"datastorage"}


def test_verifier_needs_only_what_the_client_package_brings() -> None:
    needed = {
        name: imported_by(module) - set(sys.stdlib_module_names) - SHIPPED
        for name, module in verifier().items()
    }

    assert {name: theirs for name, theirs in needed.items() if theirs} == {
        "datastorage.verification.cli": COMMANDS
    }
