"""Every B-tree takes the longest values of its columns: PostgreSQL refuses a row that is too wide for one."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Column, Index, PrimaryKeyConstraint, String, Table, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import ColumnCollectionConstraint

from datastorage.incidents.writing.model import LONGEST_CLUSTER_BYTES
from datastorage.tables import metadata

LONGEST_ROW_BYTES = 2704
HEADER_BYTES = 8
BYTES_PER_CHARACTER = 4
LENGTH_AND_PADDING_BYTES = 7
LONGEST_LABEL_CHARACTERS = 255
OTHER_BYTES = 16
"""More than a number, a time or a UUID takes."""

SHORTENED = {"resource_references.cluster_name": LONGEST_CLUSTER_BYTES}
"""Columns whose values the service keeps shorter than the column would take, in bytes."""


def b_trees() -> Iterator[tuple[str, list[Column[object]]]]:
    for table in metadata.tables.values():
        for index in table.indexes:
            if index.dialect_options["postgresql"]["using"] != "gin":
                yield str(index.name), columns_of(table, index)
        for constraint in table.constraints:
            if isinstance(constraint, UniqueConstraint | PrimaryKeyConstraint):
                yield str(constraint.name), columns_of(table, constraint)


def columns_of(table: Table, keyed: Index | ColumnCollectionConstraint) -> list[Column[object]]:
    return [table.c[each.name] for each in keyed.columns]


def widest_bytes(column: Column[object]) -> int:
    if isinstance(column.type, JSONB):  # an index on the labels in it
        return LONGEST_LABEL_CHARACTERS * BYTES_PER_CHARACTER + LENGTH_AND_PADDING_BYTES
    if not isinstance(column.type, String):
        return OTHER_BYTES
    assert not isinstance(column.type, Text), f"{column} has no limit"
    assert column.type.length, f"{column} has no limit"
    longest = column.type.length * BYTES_PER_CHARACTER
    return min(longest, SHORTENED.get(str(column), longest)) + LENGTH_AND_PADDING_BYTES


@pytest.mark.parametrize(("name", "columns"), list(b_trees()))
def test_index_takes_the_longest_values(name: str, columns: list[Column[object]]) -> None:
    assert HEADER_BYTES + sum(map(widest_bytes, columns)) <= LONGEST_ROW_BYTES, name
