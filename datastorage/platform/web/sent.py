"""What a request says beside its body: query parameters, and the headers that choose among answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from datastorage.platform.web.preferences import preference


@dataclass(frozen=True, slots=True)
class Sent:
    """Query parameters as they were written, decoded but not judged.

    Attributes:
        texts: the text of each parameter; of a repeated one the first counts.
        repeated: every text of each parameter that was sent more than once.
        accept: the header ``Accept``, empty when absent.
        prefer: the header ``Prefer`` (RFC 7240); several fields are joined by commas.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    repeated: Mapping[str, Sequence[str]] = field(default_factory=dict)
    accept: str = ""
    prefer: str = ""

    def every(self, name: str) -> Sequence[str]:
        """Return all texts of a parameter, in the order they were sent."""
        if name in self.repeated:
            return self.repeated[name]
        return (self.texts[name],) if name in self.texts else ()

    @property
    def prefers_strict(self) -> bool:
        """Whether the client asks that unknown parameters are refused (``Prefer: handling=strict``)."""
        return (preference(self.prefer, "handling") or "").lower() == "strict"
