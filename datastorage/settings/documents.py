"""The files that settings are read from: YAML without its traps, or JSON.

No error repeats what stands in a file: it may be a password.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_DECIMAL = re.compile(r"[+-]?(0|[1-9][0-9]*)")


def read_mapping(path: Path) -> Mapping[str, Any]:
    """Return the object in a file.

    Raises:
        OSError: the file cannot be read.
        ValueError: there is no object in it; the text reads on from the name of the file.
    """
    try:
        content = _parse(path.read_text(encoding="utf-8"))
    except _DuplicateKeyError as error:
        raise ValueError(f"{error.problem}{_position(error)}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"is neither YAML nor JSON{_position(error)}") from None
    if not isinstance(content, Mapping):
        raise ValueError("must be an object")  # noqa: TRY004 - the reader asks for good or bad content
    return content


def _parse(text: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except yaml.scanner.ScannerError:
        if "\t" not in text:
            raise
        return json.loads(text)  # JSON indented by tabs is no YAML


class _DuplicateKeyError(yaml.MarkedYAMLError):
    """Which of the two was meant?"""


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, and leaves numbers that are not plainly decimal as text."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> Mapping[Any, Any]:
    names: set[str] = set()
    for name in (name for name, _ in node.value if isinstance(name, yaml.ScalarNode)):
        if name.value in names:
            raise _DuplicateKeyError(problem=f"has the key {name.value} twice", problem_mark=name.start_mark)
        names.add(name.value)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


def _integer(_loader: _Loader, node: yaml.ScalarNode) -> int | str:
    text: str = node.value
    return int(text) if _DECIMAL.fullmatch(text) else text  # to YAML 010000 is 4096, and 1:30 is 90


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


def _position(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
