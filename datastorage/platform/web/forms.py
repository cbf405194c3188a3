"""HTML forms: the bodies of requests to pages for people."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl

from datastorage.errors import Fault, InvalidInput
from datastorage.platform.web.characters import NUL

MOST_FIELDS: Final = 100


class Form(ABC):
    """A reader of the fields of a form; of a field that is there twice the first counts.

    Every form carries the signature of the session it was made for, which the door checks before ``read``.
    """

    resource: ClassVar[str]
    field_names: ClassVar[frozenset[str]]

    def decode(self, body: bytes) -> Mapping[str, str]:
        """Return the fields.

        Raises:
            InvalidInput: they are not encoded as browsers do it.
        """
        try:
            pairs = parse_qsl(
                body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
            )
        except ValueError as error:
            raise self._refusal(Fault("must be the fields of a form")) from error
        if any("\0" in text for pair in pairs for text in pair):
            raise self._refusal(NUL)
        return dict(reversed(pairs))

    @abstractmethod
    def read(self, data: Mapping[str, str]) -> Any:
        """Return the model object.

        Raises:
            InvalidInput: naming every fault.
        """

    def _refusal(self, fault: Fault) -> InvalidInput:
        return InvalidInput.of(self.resource, {"body": fault})
