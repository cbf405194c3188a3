"""What every table shares: one ``MetaData``, one way to name constraints, the types used often.

Constraints without a name of their own get one by convention, the same in the migrations, so that
a diagnostic names something a reader can find.
"""

from sqlalchemy import DateTime, MetaData
from sqlalchemy.dialects.postgresql import JSONB

NAMING_CONVENTION = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "ix": "idx_%(table_name)s_%(column_0_N_name)s",
}

metadata = MetaData(naming_convention=NAMING_CONVENTION)
"""Every table of the service; ``datastorage.tables`` exports it complete."""

TIMESTAMPTZ = DateTime(timezone=True)
"""An instant, microseconds, returned aware."""

# none_as_null: Python's None is SQL NULL, never the JSON value null, which no column of ours holds.
JSON_DOCUMENT = JSONB(none_as_null=True)
"""A JSON object that PostgreSQL can search inside."""
