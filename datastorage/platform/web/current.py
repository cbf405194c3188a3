"""Asking the running application for one of its objects, by class."""

from typing import TypeVar

import flask

T = TypeVar("T")

EXTENSION = "datastorage"


def current(cls: type[T]) -> T:
    """Return the object of class ``cls`` that ``wiring`` made for this application."""
    services: dict[type, object] = flask.current_app.extensions[EXTENSION]  # noqa: TID251 - the one place
    found = services[cls]
    assert isinstance(found, cls)  # noqa: S101 - filed by class in wiring; this tells mypy so
    return found


def current_app() -> flask.Flask:
    """Return the application that handles this request, not Flask's proxy of it."""
    app: flask.Flask = flask.current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001, TID251
    return app
