"""Templates, filled in: whatever a caller or a record says is text there, never markup."""

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    auto_reload=False,
)


def render(template: str, **values: object) -> bytes:
    """Return the page that a template makes of ``values``; a name without a value is an error."""
    return _ENVIRONMENT.get_template(template).render(values).encode()
