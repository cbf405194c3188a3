"""What stands between a request and a view: readers of parameters and of bodies."""

from typing import Any, Protocol


class Reader(Protocol):
    """Anything that turns decoded JSON or parameters into a model object, or says what is wrong."""

    resource: str

    def read(self, data: Any) -> Any:
        """Return the model object.

        Raises:
            InvalidInput: naming every fault.
        """


class BodyReader(Reader, Protocol):
    """A reader of request bodies, which also knows how their JSON is decoded."""

    def decode(self, body: bytes) -> Any:
        """Return the JSON value of ``body``.

        Raises:
            InvalidInput: it is none.
        """
