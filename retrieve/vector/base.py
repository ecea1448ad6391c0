"""The vector index: nearest chunks by inner product of unit vectors, which is cosine similarity.

As in `retrieve.lexical`: a writer collects changes, `publish` freezes them as a snapshot that any number of
threads may search without a lock while the writer goes on. Knows no text and no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.errors import InvalidInput
from retrieve.candidates import Candidates
from retrieve.restriction import Restriction
from retrieve.storage import FileStore, State

_LENGTH_TOLERANCE = 1e-3


class VectorSnapshot(Protocol):
    """The index as it stood at one `publish`. Immutable; searched from any thread; valid until closed."""

    @property
    def count(self) -> int:
        """Live vectors in this snapshot."""
        ...

    def search(
        self,
        query: NDArray[np.float32],
        *,
        top_k: int,
        restriction: Restriction = Restriction.EVERYTHING,
    ) -> Candidates:
        """The chunks nearest to `query`, a float32 array of shape (dim,) and length 1.

        Scores are inner products in [-1, 1]. The restriction comes before the cut, so fewer than `top_k`
        candidates mean that no more chunks are allowed. Order: score descending, then chunk key ascending.
        Raises `InvalidInput` if `top_k` is below 1 or the query does not fit (see `check_vectors`).
        """
        ...

    def contents(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
        """All that a search can find, some thousand vectors at a time: chunk keys, version keys (int64, shape (n,)) and
        vectors (float32, shape (n, dim), as exact as they are kept). What is held twice comes twice.
        """
        ...

    def save(self, files: FileStore) -> State:
        """Store the snapshot, from which `VectorIndex.restore` makes an equal one.

        Raises `OSError`, and `Unavailable` if the snapshot is closed.
        """
        ...

    def close(self) -> None:
        """Let go of memory. Searching afterwards raises `Unavailable`."""
        ...


class VectorIndex(Protocol):
    """The writer's side. Changes show at `publish`, all at once, in the snapshot that it returns."""

    @property
    def dim(self) -> int:
        """Dimensions of every vector."""
        ...

    def add(self, chunks: NDArray[np.int64], versions: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add n vectors; a chunk key already present is replaced.

        `chunks` and `versions` are int64 arrays of shape (n,), `vectors` is a float32 array of shape (n, dim)
        with rows of length 1. Raises `InvalidInput`, and adds nothing, if they do not fit (see
        `check_vectors`).
        """
        ...

    def remove_versions(self, versions: Iterable[int]) -> None:
        """Remove every chunk of these document versions, including those added since the last publish."""
        ...

    def publish(self) -> VectorSnapshot:
        """Make all changes so far visible in a new snapshot; older snapshots stay as they are."""
        ...

    def maintain(self) -> bool:
        """Do what takes long, such as building an approximate index, while snapshots serve and the writer goes on.

        Returns whether the next `publish` shows another index (of the same vectors). One call at a time, from any
        thread.
        """
        ...

    def rollback(self) -> None:
        """Forget what was not published."""
        ...

    def restore(self, state: State, files: FileStore) -> None:
        """Make an empty index the one that was saved; the files were verified.

        Raises `DamagedIndex`, or what the engine raises, when it cannot be: the index is of no use then.
        """
        ...

    def close(self) -> None:
        """Release the writer. Unpublished changes are lost, snapshots stay valid; twice does no harm."""
        ...


def check_vectors(vectors: NDArray[np.float32], *, dim: int) -> None:
    """Raises `InvalidInput` unless `vectors` is float32 of shape (n, dim), finite, with rows of length 1 (±
    0.001).
    """
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise InvalidInput(
            f"vectors have shape {vectors.shape}, the index holds {dim} dimensions: (n, {dim}) is expected;"
            " choose the model that the index was built with, or rebuild it"
        )
    if vectors.dtype != np.float32:
        raise InvalidInput(f"vectors are {vectors.dtype}, the index holds float32; convert them")
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise InvalidInput(f"vector in row {row} has a value that is not finite; embed its text again")
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    wrong = np.flatnonzero(np.abs(lengths - 1) > _LENGTH_TOLERANCE)
    if len(wrong):
        row = int(wrong[0])
        raise InvalidInput(f"vector in row {row} has length {lengths[row]:.4f} instead of 1; normalise it (L2)")
