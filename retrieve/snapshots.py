"""Indexes follow the catalogue's change log and publish immutable snapshots.

Searches take the snapshot that is published when they begin and keep it; publishing swaps one reference.
"""

from __future__ import annotations

import logging
import shutil
import threading
from pathlib import Path

from sqlalchemy import select

from ingest.catalogue import Catalogue, schema
from ingest.errors import CitewellError, Unavailable
from ingest.generations import Generation, load_generation
from retrieve.audit import IndexAudit
from retrieve.generation_index import GenerationIndex, Snapshot
from retrieve.settings import RetrieveSettings
from retrieve.storage import IndexFolder
from retrieve.vector import Gpu

_LOG = logging.getLogger(__name__)
_RETRY_S = 1.0


class Indexes:
    """The indexes of all live generations; follows the log on a thread of its own, and stores on another.

    Each generation has a folder under `folder`, named by its key; without one, indexes are in memory only. Implements
    `ingest`'s `IndexProgress`.
    """

    def __init__(self, catalogue: Catalogue, settings: RetrieveSettings, folder: Path | None = None) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._folder = folder
        self._gpu = Gpu.detect(settings.vector_gpu_mib)
        self._indexes: dict[int, GenerationIndex] = {}
        self._live: dict[int, int] = {}
        self._stale: set[int] = set()
        self._loading: set[int] = set()
        self._failures: dict[int, str] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._closing = threading.Event()
        self._follower = threading.Thread(target=self._follow, name="index-follower", daemon=True)
        self._keeper = threading.Thread(target=self._keep, name="index-keeper", daemon=True)

    def start(self) -> None:
        """Load every collection (in the background; `ping` says when that is done) and follow the log."""
        with self._catalogue.read() as connection:
            keys = connection.execute(select(schema.collections.c.pk)).scalars().all()
        with self._changed:
            self._stale.update(keys)
            self._loading.update(keys)
        self._remove_strays()
        self._follower.start()
        self._keeper.start()

    def snapshot(self, collection_pk: int, generation: Generation) -> Snapshot:
        """The published snapshot of a generation, loaded on first use.

        Raises `Unavailable` when it cannot be loaded.
        """
        index = self._index(collection_pk, generation)
        if index.snapshot is not None:
            return index.snapshot
        try:
            return index.advance()
        except CitewellError:
            raise
        except Exception as failure:
            raise Unavailable(f"the index cannot be loaded: {failure}", code="index_unavailable") from failure

    def published(self, collection_pk: int) -> int:
        index = self._indexes.get(self._live.get(collection_pk, -1))
        return index.snapshot.seq if index is not None and index.snapshot is not None else 0

    def notify(self, collection_pk: int) -> None:
        with self._changed:
            self._stale.add(collection_pk)
            self._changed.notify_all()

    def wait(self, collection_pk: int, seq: int, timeout_s: float) -> bool:
        with self._changed:
            return (
                self._changed.wait_for(lambda: self._closed or self.published(collection_pk) >= seq, timeout_s)
                and not self._closed
            )

    def advance(self, collection_pk: int, generation: Generation) -> None:
        """Bring the index of a generation up to the end of the log, in the calling thread; opened on first use."""
        self._index(collection_pk, generation).advance()

    def audit(self, collection_pk: int, generation: Generation) -> IndexAudit:
        """How the index that searches see now differs from the catalogue, chunk by chunk."""
        return self._index(collection_pk, generation).audit()

    def is_resident(self, generation: Generation) -> bool:
        """Searches of the generation would find its index in memory."""
        index = self._indexes.get(generation.pk)
        return index is not None and index.snapshot is not None

    def discard(self, generation_pk: int) -> None:
        """Close the index of a generation and remove what is stored of it."""
        with self._changed:
            index = self._indexes.pop(generation_pk, None)
        if index is not None:
            index.close()
        self._remove_folder(generation_pk)

    def drop(self, collection_pk: int) -> None:
        """Forget the indexes of a deleted collection."""
        with self._changed:
            self._live.pop(collection_pk, None)
            self._forget_state(collection_pk)
            dropped = [pk for pk, index in self._indexes.items() if index.collection_pk == collection_pk]
            indexes = [self._indexes.pop(pk) for pk in dropped]
            self._changed.notify_all()
        for index in indexes:
            index.close()
            self._remove_folder(index.generation.pk)

    def ping(self) -> None:
        """Raise `Unavailable` until all that was there at the start is loaded, and while one cannot be followed."""
        with self._changed:
            failures, loading = sorted(self._failures.values()), len(self._loading)
        if failures:
            raise Unavailable(f"the index cannot follow the catalogue: {failures[0]}", code="index_unavailable")
        if loading:
            raise Unavailable(f"the indexes of {loading} collections are being loaded", code="index_loading")

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._closing.set()
        for thread in (self._follower, self._keeper):
            if thread.is_alive():
                thread.join()
        self._checkpoint()
        for index in self._indexes.values():
            index.close()

    def _index(self, collection_pk: int, generation: Generation) -> GenerationIndex:
        with self._changed:
            if generation.pk not in self._indexes:
                folder = None if self._folder is None else IndexFolder(self._folder / str(generation.pk))
                self._indexes[generation.pk] = GenerationIndex(
                    self._catalogue, collection_pk, generation, folder=folder, gpu=self._gpu
                )
            return self._indexes[generation.pk]

    def _keep(self) -> None:
        """Now and then do what takes long, and store what is published: a start reads it instead of building it."""
        while not self._closing.wait(self._settings.index_checkpoint_s):
            self._checkpoint()

    def _checkpoint(self) -> None:
        with self._changed:
            indexes = list(self._indexes.values())
        for index in indexes:
            try:
                index.maintain()
                index.checkpoint()
            except Exception as failure:  # noqa: BLE001 - a full disk, a folder gone: searches go on from memory
                _LOG.warning("the index of generation %s is not stored: %s", index.generation.generation, failure)

    def _remove_strays(self) -> None:
        """Remove folders of generations that are no more."""
        if self._folder is None or not self._folder.is_dir():
            return
        with self._catalogue.read() as connection:
            known = {str(pk) for pk in connection.execute(select(schema.generations.c.pk)).scalars()}
        for path in self._folder.iterdir():
            if path.name not in known:
                shutil.rmtree(path, ignore_errors=True)

    def _remove_folder(self, generation_pk: int) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder / str(generation_pk), ignore_errors=True)

    def _follow(self) -> None:
        while (collection_pk := self._next_stale()) is not None:
            try:
                self._advance(collection_pk)
            except Exception as failure:  # noqa: BLE001 - whatever it is, the other collections must be followed
                _LOG.exception("the index of collection %s cannot follow the catalogue", collection_pk)
                with self._changed:
                    self._failures[collection_pk] = f"{type(failure).__name__}: {failure}"

    def _next_stale(self) -> int | None:
        """A collection whose log has grown, or, once none was for a second, one that failed; None at the end."""
        with self._changed:
            while not self._closed:
                if self._stale:
                    return self._stale.pop()
                if not self._changed.wait(_RETRY_S if self._failures else None):
                    self._stale.update(self._failures)
            return None

    def _advance(self, collection_pk: int) -> None:
        generation = self._live_generation(collection_pk)
        if generation is None:
            self.drop(collection_pk)
            return
        self._index(collection_pk, generation)
        with self._changed:
            indexes = [index for index in self._indexes.values() if index.collection_pk == collection_pk]
        for index in indexes:
            index.advance()
        with self._changed:
            if generation.pk in self._indexes:
                self._live[collection_pk] = generation.pk
            self._forget_state(collection_pk)
            self._changed.notify_all()

    def _forget_state(self, collection_pk: int) -> None:
        self._loading.discard(collection_pk)
        self._failures.pop(collection_pk, None)

    def _live_generation(self, collection_pk: int) -> Generation | None:
        table = schema.collections
        with self._catalogue.read() as connection:
            pk = connection.execute(select(table.c.live_generation_pk).where(table.c.pk == collection_pk)).scalar()
            return None if pk is None else load_generation(connection, pk)
