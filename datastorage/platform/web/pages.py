"""Where a page lies in a list: what the pages of every resource say about themselves."""

from typing import Annotated, Self

import msgspec

from datastorage.platform.db.stretches import Stretch
from datastorage.platform.web.shapes import meaning


class Pagination(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the page lies in the result."""

    limit: Annotated[
        int, meaning("Most rows that were asked for; of a page that was cut, the number of its rows.")
    ]
    offset: Annotated[int, meaning("Rows skipped; 0 with a cursor.")]
    total: Annotated[
        int | None,
        meaning("All matches of the filters, wherever the page lies; `null` when not asked for."),
    ]
    has_more: Annotated[bool, meaning("Whether rows follow.")]
    next_cursor: Annotated[
        str | None, meaning("Send it as `cursor` for the next page; `null` when nothing follows.")
    ]
    truncated: Annotated[
        bool,
        meaning(
            "Whether the page was cut because its rows are large; only there when it was. Go on as usual."
        ),
    ] = False

    @classmethod
    def of(
        cls, found: Stretch, *, limit: int, offset: int, total: int | None, next_cursor: str | None
    ) -> Self:
        """Return where a page lies whose rows are ``found``."""
        shown = len(found.texts) if found.is_cut else limit
        return cls(shown, offset, total, found.has_more, next_cursor, truncated=found.is_cut)
