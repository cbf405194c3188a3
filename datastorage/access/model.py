"""The answer of ``whoami``."""

from typing import Annotated

import msgspec

from datastorage.platform.access.identity import Kind
from datastorage.platform.access.permissions import Permission
from datastorage.platform.web.shapes import meaning


class WhoAmI(msgspec.Struct, frozen=True, kw_only=True):
    """The caller as the service sees it."""

    name: Annotated[str, meaning("The name that events and the log get.")]
    kind: Annotated[Kind, meaning("Service, person, or anonymous where access control is off.")]
    mode: Annotated[str, meaning("Which mode of `auth.mode` recognised the caller.")]
    groups: Annotated[list[str], meaning("The groups of the caller.")]
    permissions: Annotated[
        list[Permission], meaning("What the caller may do, of `read`, `export`, `write` and `admin`.")
    ]
