"""Who calls: a name, its groups, and the mode that vouches for them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeGuard

MAX_NAME_CHARS: Final = 255
MAX_GROUPS: Final = 500
SERVICE_ACCOUNT: Final = "system:serviceaccount:"

_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,255}")


class Kind(StrEnum):
    """What a caller is; a name that begins with ``system:serviceaccount:`` is a service in every mode."""

    SERVICE = "service"
    PERSON = "person"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One caller.

    Attributes:
        name: 1 to 255 characters, none of them a control character or half of a surrogate pair.
        kind: service, person, or nobody in particular.
        mode: the mode that found out.
        groups: at most 500 names.
        uid: what the mode knows the caller by, if that is more than the name.
        extra: further facts of a Kubernetes API server, passed on to it as they came.
    """

    name: str
    kind: Kind
    mode: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def is_person(self) -> bool:
        """Whether it is a person, who writes under no other name."""
        return self.kind is Kind.PERSON


def is_name(text: object) -> TypeGuard[str]:
    """Tell whether a caller or a group may have this name."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def kind_of(name: str, otherwise: Kind) -> Kind:
    """Return what the bearer of ``name`` is."""
    return Kind.SERVICE if name.startswith(SERVICE_ACCOUNT) else otherwise
