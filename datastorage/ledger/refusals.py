"""What the ledger cannot answer, and why."""

from datastorage.errors import DataStorageError

RETRY_SOON_SECONDS = 1


class NotSealed(DataStorageError):
    """The event has no leaf.

    Args:
        detail: why.
        retry_after_seconds: when it is likely to have one; ``None`` when somebody has to act first.
    """

    slug = "ledger/not-sealed"

    def __init__(self, detail: str, *, retry_after_seconds: int | None) -> None:
        super().__init__(detail)
        if retry_after_seconds is not None:
            self.members = {"retry": True}
        self.retry_after_seconds = retry_after_seconds


class Unsigned(DataStorageError):
    """There is no signed checkpoint, or none that covers the leaf yet."""

    slug = "ledger/unsigned"
    is_fault = False
    retry_after_seconds = 60
