"""What stands between a request and a view: readers of paths, of parameters and of bodies."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from datastorage.platform.web.sent import Sent


@runtime_checkable
class PathReader(Protocol):
    """Turns the variables of a path into what the view wants."""

    @property
    def field_names(self) -> frozenset[str]:
        """The names that faults may be about; metrics show no others."""

    def read(self, data: Mapping[str, Any], /) -> Any:
        """Return the model object.

        Raises:
            InvalidInput: naming every fault.
        """


@runtime_checkable
class QueryReader(Protocol):
    """Turns query parameters into what the view wants."""

    resource: str
    encoding_slug: str
    """The problem that a query in a broken encoding is."""

    @property
    def field_names(self) -> frozenset[str]:
        """The names that faults may be about; metrics show no others."""

    def read(self, sent: Sent, /) -> Any:
        """Return the model object.

        Raises:
            InvalidInput: naming every fault.
        """


@runtime_checkable
class BodyReader(Protocol):
    """Decodes a JSON body and turns it into what the view wants."""

    resource: str

    @property
    def field_names(self) -> frozenset[str]:
        """The names that faults may be about; metrics show no others."""

    def decode(self, body: bytes, /) -> Any:
        """Return the JSON value of ``body``.

        Raises:
            InvalidInput: it is none.
        """

    def read(self, data: Any, /) -> Any:
        """Return the model object.

        Raises:
            InvalidInput: naming every fault.
        """
