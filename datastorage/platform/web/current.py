"""Asking for one of the application's objects, by class, while a request is carried out."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final, TypeVar

T = TypeVar("T")

EXTENSION: Final = "datastorage"
"""Key of ``app.extensions``: the objects that ``wiring`` made, by class."""

services_of_request: ContextVar[Mapping[type, object]] = ContextVar("services_of_request")
"""The objects of the application that answers; the door sets it at the start of each request.

A variable of our own, because operations run with Flask's request context and without it.
"""


def current(cls: type[T]) -> T:
    """Return the object of class ``cls`` that ``wiring`` made for this application."""
    found = services_of_request.get()[cls]
    assert isinstance(found, cls)
    return found
