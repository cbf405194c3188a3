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


class BeyondEnd(DataStorageError):
    """A reader has seen leaves that the ledger does not have: history was lost."""

    slug = "ledger/beyond-end"

    def __init__(self, tree_size: int) -> None:
        super().__init__(f"the ledger has {tree_size} leaves")
        self.members = {"tree_size": tree_size}


class FeedGone(DataStorageError):
    """What a reader asks for has left the database."""

    slug = "ledger/feed-gone"

    def __init__(self, first_index: int) -> None:
        super().__init__(f"events before leaf {first_index} are archived")
        self.members = {"first_index": first_index}


class FollowersBusy(DataStorageError):
    """As many follow as may in this process."""

    slug = "followers-busy"
    is_fault = False
    retry_after_seconds = 5
