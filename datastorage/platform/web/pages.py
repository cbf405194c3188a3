"""Where a page lies in a list: what the pages of every resource say about themselves."""

from typing import Annotated

import msgspec

from datastorage.platform.web.shapes import meaning


class Pagination(msgspec.Struct, frozen=True):
    """Where the page lies in the result."""

    limit: Annotated[int, meaning("Most rows that were asked for.")]
    offset: Annotated[int, meaning("Rows skipped; 0 with a cursor.")]
    total: Annotated[
        int | None,
        meaning("All matches of the filters, wherever the page lies; `null` when not asked for."),
    ]
    has_more: Annotated[bool, meaning("Whether rows follow.")]
    next_cursor: Annotated[
        str | None, meaning("Send it as `cursor` for the next page; `null` when nothing follows.")
    ]
