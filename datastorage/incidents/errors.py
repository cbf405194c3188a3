"""What can go wrong with incidents alone."""

from datastorage.errors import DataStorageError


class TooManyExports(DataStorageError):
    """As many exports run in this process as may; one that ends makes room."""

    slug = "too-many-exports"
    retry_after_seconds = 5
