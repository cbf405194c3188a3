"""What all tables share: one ``MetaData``, one way to name constraints, and common types.

A constraint without a name gets one by convention, in the migrations too, so that a reader can find the name
that a diagnostic gives.
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
"""An instant to the microsecond; values have a time zone."""

# none_as_null: Python's None is SQL NULL, not the JSON value null, which none of our columns holds.
JSON_DOCUMENT = JSONB(none_as_null=True)
"""A JSON object that PostgreSQL can search inside."""
