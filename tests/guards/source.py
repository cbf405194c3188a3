"""The code base as data: modules, what they import, and how long things are."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "datastorage"
TESTS = ROOT / "tests"


@dataclass(frozen=True)
class Module:
    """One file of the package."""

    path: Path

    @cached_property
    def text(self) -> str:
        """Its source."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text)

    @property
    def name(self) -> str:
        """Its dotted name."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def imports(self) -> Iterator[str]:
        """Yield the dotted names it imports from the package, inside functions too."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names if _is_ours(alias.name))
            elif isinstance(node, ast.ImportFrom) and node.module and _is_ours(node.module):
                yield from (_imported(node.module, alias.name) for alias in node.names)

    @property
    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Yield its functions and methods."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


@cache
def modules(folder: Path = PACKAGE) -> list[Module]:
    """Return every module under ``folder``."""
    return [Module(path) for path in sorted(folder.rglob("*.py"))]


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == PACKAGE.name


def _imported(package: str, name: str) -> str:
    """Return the module that ``from package import name`` depends on: a submodule, or the package itself."""
    candidate = ROOT.joinpath(*package.split("."), name)
    return f"{package}.{name}" if candidate.with_suffix(".py").is_file() or candidate.is_dir() else package
