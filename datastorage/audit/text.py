"""The text of an event as SQL: one expression for reads, exports, feed and evidence, rendered once.

It has fifty parts, and SQLAlchemy would look at each for every request.
"""

from typing import Final

from sqlalchemy import ColumnElement, literal_column
from sqlalchemy.dialects.postgresql import TEXT

from datastorage.audit.event import MEMBERS
from datastorage.audit.tables import audit_events
from datastorage.platform.db.rendered import DIALECT
from datastorage.platform.db.row_json import row_json

PAGE: Final = "page"
"""What a statement has to call the rows."""
TEXT_OF_PAGE: Final[ColumnElement[str]] = literal_column(
    str(row_json(MEMBERS, audit_events.alias(PAGE).c).compile(dialect=DIALECT)), TEXT()
)
