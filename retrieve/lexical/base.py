"""The lexical index: BM25 over terms that `retrieve.analysis` made. Knows no text, no documents, no vectors.

A writer collects changes; `publish` freezes them as a snapshot, which any number of threads may search while
the writer goes on. One writer at a time; snapshots need no lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrieve.candidates import Candidates
from retrieve.restriction import Restriction
from retrieve.storage import FileStore, State


@dataclass(frozen=True, slots=True)
class LexicalDocument:
    """One chunk as the index sees it: int64 keys of chunk and document version, and its terms in order.

    Terms hold no white space; `retrieve.analysis` makes them so.
    """

    chunk: int
    version: int
    terms: tuple[str, ...]


class LexicalSnapshot(Protocol):
    """The index as it stood at one `publish`. Immutable; searched from any thread; valid until closed."""

    @property
    def count(self) -> int:
        """Live chunks in this snapshot, those without terms included."""
        ...

    def search(
        self, terms: Sequence[str], *, top_k: int, restriction: Restriction = Restriction.EVERYTHING
    ) -> Candidates:
        """The best chunks that hold at least one of the terms, by BM25; a term given twice counts twice.

        The restriction comes before the cut, so fewer than `top_k` candidates mean that no more allowed chunk
        matches. An engine may leave common terms out of all scores, as long as the others find `top_k`. Term
        statistics (`idf`, `avgdl`) are those of the whole index, never of the restricted part:
        a chunk's score does not depend on who asks. Order: score descending, then chunk key ascending; scores
        closer than 0.0001 are equal. No terms, or only unknown ones: no candidates. Raises `InvalidInput` if
        `top_k` is below 1.
        """
        ...

    def contents(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Chunk and version key (int64, shape (n,)) of all that a search can find, in any order; what is held twice
        comes twice.
        """
        ...

    def documents_with(self, term: str) -> int:
        """Chunks that hold the term; an engine may count those removed since, so 0 is sure and the rest a weight.

        Raises `Unavailable` if the snapshot is closed.
        """
        ...

    def close(self) -> None:
        """Let go of memory and files. Searching afterwards raises `Unavailable`."""
        ...


class LexicalIndex(Protocol):
    """The writer's side. Changes show at `publish`, all at once, in the snapshot that it returns."""

    def add(self, documents: Sequence[LexicalDocument]) -> None:
        """Add chunks; a chunk key already present is replaced, so that applying a change log twice does no
        harm.
        """
        ...

    def remove_versions(self, versions: Iterable[int]) -> None:
        """Remove every chunk of these document versions, including those added since the last publish."""
        ...

    def publish(self) -> LexicalSnapshot:
        """Make all changes so far visible in a new snapshot; older snapshots stay as they are."""
        ...

    def rollback(self) -> None:
        """Forget what was not published. Raises `OSError` when there is no room even for that."""
        ...

    def save(self, files: FileStore) -> State:
        """Store what was last published, for the engine to be opened from again. Raises `OSError`."""
        ...

    def close(self) -> None:
        """Release the writer. Unpublished changes are lost, snapshots stay valid; twice does no harm."""
        ...
