"""A whole log: tiles to the signed root, leaves to the tiles, an older checkpoint and exported lines to both.

It reads each file once and keeps 32 bytes of each 256 leaves. What is read first is trusted only when the
signature says so: tiles are compared with the root before leaves are compared with tiles.
"""

from collections.abc import Callable, Sequence

from datastorage.ledger.checkpoint import Checkpoint
from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.keys import VerifierKey
from datastorage.ledger.note import Note
from datastorage.ledger.tiles import (
    ENTRIES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    hashes_in,
    leaves_in,
    root_of,
    tiles_of,
)
from datastorage.ledger.tree import HASH_BYTES, Frontier, leaf_hash
from datastorage.verification.doubts import Incomplete, Tampered, Word
from datastorage.verification.exported import Exported
from datastorage.verification.signatures import signed_checkpoint
from datastorage.verification.sources import Source

Advance = Callable[[int], object]
"""Told of so many leaves more, twice for each leaf."""


class LogCheck:
    """The check of one log.

    Args:
        source: has its files.
        keys: of which one has to have signed its checkpoint.
        since: an older checkpoint of the log, in the form of a signed note.

    Raises:
        MalformedEvidence: ``since`` is no signed note, or of another log.
        Tampered: a checkpoint is not signed, or the older one is of a larger or another tree.
        Incomplete: there is no checkpoint.
    """

    def __init__(self, source: Source, keys: Sequence[VerifierKey], since: bytes | None = None) -> None:
        self._source = source
        self.checkpoint = _newest(source, keys)
        self._older = self.checkpoint if since is None else signed_checkpoint(Note.of(since), keys)
        self._require_growth()

    def run(self, exported: Exported | None = None, advance: Advance = int) -> str:
        """Return what the log shows; ``exported`` are lines to compare with its leaves.

        Raises:
            Tampered: something contradicts the checkpoint.
            Incomplete: a file of the log is missing.
            MalformedEvidence: a line of the export is none.
        """
        roots = self._require_tiles(advance)
        self._require_entries(roots, exported, advance)
        found = f"{self.checkpoint.size} leaves of {self.checkpoint.origin}"
        return found if exported is None else f"{found}, {exported.count} lines of them"

    def _require_growth(self) -> None:
        older, newest = self._older, self.checkpoint
        if older.origin != newest.origin:
            raise MalformedEvidence(f"the older checkpoint is of another log, {older.origin}")
        if older.size > newest.size:
            raise Tampered(Word.ROLLBACK, f"the log had {older.size} leaves and has {newest.size}")
        if older.size == newest.size and older.root != newest.root:
            raise Tampered(Word.FORK, f"two trees of {older.size} leaves are signed")

    def _require_tiles(self, advance: Advance) -> list[bytes]:
        """Return the root of each tile of level 0."""
        tree, roots, older_root = Frontier(), [], Frontier().root()
        for tile in tiles_of(0, self.checkpoint.size):
            hashes = hashes_in(self._hashes_of(tile))
            for hashed in hashes:
                tree.append(hashed)
                if tree.size == self._older.size:
                    older_root = tree.root()
            roots.append(root_of(hashes))
            advance(tile.width)
        self._require_upper_levels(roots)
        if tree.root() != self.checkpoint.root:
            raise Tampered(Word.TILE, "the tiles of level 0 do not hash to the signed root")
        if older_root != self._older.root:
            raise Tampered(
                Word.FORK, f"the first {self._older.size} leaves are not those of the older checkpoint"
            )
        return roots

    def _require_upper_levels(self, roots: Sequence[bytes]) -> None:
        """Compare every level above with the roots of the full tiles below it."""
        level = 1
        while below := roots[: self.checkpoint.size >> TILE_HEIGHT * level]:
            for tile in tiles_of(level, self.checkpoint.size):
                first = tile.number * TILE_WIDTH
                if self._hashes_of(tile) != b"".join(below[first : first + tile.width]):
                    raise Tampered(Word.TILE, f"{tile.path} differs from the tiles of level {level - 1}")
            starts = range(0, len(below), TILE_WIDTH)
            roots, level = [root_of(below[start : start + TILE_WIDTH]) for start in starts], level + 1

    def _require_entries(self, roots: Sequence[bytes], exported: Exported | None, advance: Advance) -> None:
        for tile, root in zip(tiles_of(ENTRIES, self.checkpoint.size), roots, strict=True):
            leaves = self._leaves_of(tile)
            if len(leaves) != tile.width or root_of(map(leaf_hash, leaves)) != root:
                raise Tampered(Word.ENTRY, f"the leaves of {tile.path} differ from their hashes")
            if exported is not None:
                exported.compare(tile.number * TILE_WIDTH, leaves)
            advance(tile.width)
        if exported is not None:
            exported.require_end()

    def _hashes_of(self, tile: Tile) -> bytes:
        data = self._read(tile, tile.width * HASH_BYTES)
        if len(data) != tile.width * HASH_BYTES:
            raise Tampered(Word.TILE, f"{tile.path} has {len(data)} bytes")
        return data

    def _leaves_of(self, tile: Tile) -> list[bytes]:
        try:
            return leaves_in(self._read(tile, None))[: tile.width]
        except MalformedEvidence as error:
            raise Tampered(Word.ENTRY, f"{tile.path}: {error}") from error

    def _read(self, tile: Tile, length: int | None) -> bytes:
        """Read a tile; a log may drop a partial one when it has the full one, which begins alike."""
        try:
            return self._source.read(tile.path)
        except Incomplete:
            if tile.width == TILE_WIDTH:
                raise
            missing = tile.path
        try:
            return self._source.read(Tile(tile.level, tile.number).path)[:length]
        except Incomplete as error:
            raise Incomplete(Word.MISSING, missing) from error


def _newest(source: Source, keys: Sequence[VerifierKey]) -> Checkpoint:
    try:
        note = Note.of(source.read("checkpoint"))
    except MalformedEvidence as error:
        raise Tampered(Word.SIGNATURE, str(error)) from error
    return signed_checkpoint(note, keys)
