"""Indexes on disk: they come back as they were, follow what came since, and any damage is found and mended."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from ingest.catalogue import Catalogue, schema
from ingest.collections import Collection, Collections, CollectionSettings
from ingest.errors import InvalidInput
from ingest.index_log import IndexChange
from retrieve import generation_index
from retrieve.analysis import analyse_query
from retrieve.generation_index import GenerationIndex, Snapshot
from retrieve.lexical import ENGINES as LEXICAL_ENGINES
from retrieve.settings import RetrieveSettings
from retrieve.snapshots import Indexes
from retrieve.storage import IndexFolder
from retrieve.vector import ENGINES as VECTOR_ENGINES
from retrieve.vector import registry
from tests.fakes import HashingEncoder
from tests.ingest.support import wait_for
from tests.retrieve.support import SPEC, lexical, put, vector

Found = tuple[list[tuple[int, float]], list[tuple[int, float]]]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one whenever an index is built from the catalogue's live chunks."""
    built: list[int] = []
    original = generation_index.live_chunks

    def count(collection_pk: int, generation_pk: int):  # type: ignore[no-untyped-def]
        built.append(generation_pk)
        return original(collection_pk, generation_pk)

    monkeypatch.setattr(generation_index, "live_chunks", count)
    return built


def opened(catalogue: Catalogue, collection: Collection, path: Path) -> GenerationIndex:
    return GenerationIndex(catalogue, collection.pk, collection.live_generation, folder=IndexFolder(path))


def found(snapshot: Snapshot, text: str = "ferries leave at 3", *, top_k: int = 50) -> Found:
    """Chunks with scores, of the vector and of the lexical index."""
    query = HashingEncoder().encode([text], "query", fast=False)[0]
    both = snapshot.vector.search(query, top_k=top_k), snapshot.lexical.search(analyse_query(text), top_k=top_k)
    one, other = ([*zip(hits.chunks.tolist(), hits.scores.tolist(), strict=True)] for hits in both)
    return one, other


def fill(catalogue: Catalogue, collection: Collection, numbers: range) -> int:
    """A version for each number; returns the seq of the last change."""
    return [put(catalogue, collection, n + 1, f"ferries leave at {n} and at {n % 4}") for n in numbers][-1]


@pytest.fixture(params=[f"{vector}+{lexical}" for vector in VECTOR_ENGINES for lexical in LEXICAL_ENGINES])
def any_kind(request: pytest.FixtureRequest, catalogue: Catalogue) -> Collection:
    """A collection of each kind of index."""
    spec = replace(SPEC, index_kind=request.param)
    return Collections(catalogue).put("kind", CollectionSettings(), spec)[0]


def test_a_stored_index_comes_back_as_it_was(
    catalogue: Catalogue, any_kind: Collection, tmp_path: Path, loaded: list[int]
) -> None:
    """Same chunks, same scores, without reading the catalogue's chunks; then it goes on."""
    fill(catalogue, any_kind, range(20))
    index = opened(catalogue, any_kind, tmp_path / "i")
    before = found(index.advance())
    index.checkpoint()
    index.close()
    again = opened(catalogue, any_kind, tmp_path / "i")
    assert found(again.advance()) == before
    assert again.is_stored
    assert len(loaded) == 1
    fill(catalogue, any_kind, range(20, 25))
    snapshot = again.advance()
    assert (snapshot.vector.count, snapshot.lexical.count) == (25, 25)
    assert not again.is_stored
    again.close()


def test_changes_after_the_last_checkpoint_are_replayed(
    catalogue: Catalogue, any_kind: Collection, tmp_path: Path, loaded: list[int]
) -> None:
    """Killed after more was published: additions, replacements, and one that came and went, all come from the log."""
    fill(catalogue, any_kind, range(9))
    index = opened(catalogue, any_kind, tmp_path / "i")
    index.advance()
    index.checkpoint()
    fill(catalogue, any_kind, range(9, 12))
    index.advance()
    index.close()
    fill(catalogue, any_kind, range(4, 7))
    put(catalogue, any_kind, 40, "dogs")
    put(catalogue, any_kind, 40, "ferries and dogs")
    again = opened(catalogue, any_kind, tmp_path / "i")
    snapshot = again.advance()
    fresh = GenerationIndex(catalogue, any_kind.pk, any_kind.live_generation)
    expected = fresh.advance()
    assert len(loaded) == 2  # the first, and the fresh one
    assert found(snapshot)[0] == found(expected)[0]
    assert {chunk for chunk, _ in found(snapshot)[1]} == {chunk for chunk, _ in found(expected)[1]}
    assert (snapshot.seq, snapshot.vector.count, snapshot.lexical.count) == (expected.seq, 13, 13)
    again.close()


def test_no_search_sees_the_stored_state_before_it_has_caught_up(
    catalogue: Catalogue, collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While changes after the checkpoint are replayed, nothing is published yet."""
    fill(catalogue, collection, range(5))
    index = opened(catalogue, collection, tmp_path / "i")
    index.advance()
    index.checkpoint()
    index.close()
    last = fill(catalogue, collection, range(5, 8))
    again, seen = opened(catalogue, collection, tmp_path / "i"), []
    original = GenerationIndex._apply

    def look(self: GenerationIndex, connection: Connection, changes: Sequence[IndexChange]) -> None:
        seen.append(self.snapshot)
        original(self, connection, changes)

    monkeypatch.setattr(GenerationIndex, "_apply", look)
    assert again.advance().seq == last
    assert seen == [None]
    again.close()


def flip(place: float) -> Callable[[Path], None]:
    """Change one bit at this part of the file."""

    def damage(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[min(int(place * len(data)), len(data) - 1)] ^= 16
        replaced = path.with_suffix(".damaged")
        replaced.write_bytes(data)
        replaced.replace(path)

    return damage


def cut(share: float) -> Callable[[Path], None]:
    """Keep only this part of the file."""

    def damage(path: Path) -> None:
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data[: int(share * len(data))])

    return damage


DAMAGES = {"cut": cut(0.5), "flipped": flip(0.5), "missing": Path.unlink}


@pytest.mark.parametrize("name", DAMAGES)
def test_any_damaged_file_is_found_and_the_index_built_anew(
    catalogue: Catalogue,
    collection: Collection,
    tmp_path: Path,
    loaded: list[int],
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    """Every file in turn, cut short, with a flipped bit, or gone: same results as before, and stored again."""
    fill(catalogue, collection, range(8))
    index = opened(catalogue, collection, tmp_path / "i")
    index.advance()
    fill(catalogue, collection, range(8, 20))  # a second segment in each index
    before = found(index.advance())
    index.checkpoint()
    index.close()
    shutil.rmtree(tmp_path / "i" / "working")
    stored = sorted(path for path in (tmp_path / "i").rglob("*") if path.is_file())
    assert len(stored) > 8
    for path in stored:
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path / "i", copy)
        DAMAGES[name](copy / path.relative_to(tmp_path / "i"))
        loaded.clear()
        caplog.clear()
        mended = opened(catalogue, collection, copy)
        assert found(mended.advance()) == before
        assert loaded, path
        if (copy / "manifest.json").exists() or path.name != "manifest.json":
            assert "built anew" in caplog.text, path
        mended.checkpoint()
        mended.close()
        IndexFolder(copy).read()  # sound again
        shutil.rmtree(copy)


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_to_an_approximate_index_is_found_and_mended(
    catalogue: Catalogue,
    tmp_path: Path,
    loaded: list[int],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """Every file of the vector index in turn: what is built anew, and made approximate again, finds the same."""
    monkeypatch.setattr(registry, "APPROXIMATE_FROM", 20)
    spec = replace(SPEC, index_kind="faiss+tantivy")
    collection = Collections(catalogue).put("kind", CollectionSettings(), spec)[0]
    index = opened(catalogue, collection, tmp_path / "i")
    fill(catalogue, collection, range(24))
    index.advance()
    index.maintain()
    fill(catalogue, collection, range(24, 26))  # an exact segment beside the approximate one
    before = found(index.advance(), top_k=1)
    index.checkpoint()
    index.close()
    shutil.rmtree(tmp_path / "i" / "working")
    stored = IndexFolder(tmp_path / "i").read()
    assert stored is not None
    assert sum(file.endswith(".ivf") for file in stored.vector["files"]) == 1
    for file in stored.vector["files"]:
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path / "i", copy)
        DAMAGES[name](copy / "files" / file)
        loaded.clear()
        mended = opened(catalogue, collection, copy)
        mended.advance()
        assert loaded, file
        mended.maintain()
        assert found(mended.advance(), top_k=1) == before
        mended.checkpoint()
        mended.close()
        again = IndexFolder(copy).read()  # sound again
        assert again is not None
        assert any(kept.endswith(".ivf") for kept in again.vector["files"])
        shutil.rmtree(copy)


def test_an_index_of_another_history_is_not_used(
    catalogue: Catalogue, collection: Collection, tmp_path: Path, loaded: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    """After a backup was put back, the log may have other changes under the same numbers."""
    fill(catalogue, collection, range(5))
    index = opened(catalogue, collection, tmp_path / "i")
    seq = index.advance().seq
    index.checkpoint()
    index.close()
    table = schema.index_change
    changed = update(table).where(table.c.seq == seq).values(created_at="another time")
    catalogue.write(lambda connection: connection.execute(changed))
    again = opened(catalogue, collection, tmp_path / "i")
    assert again.advance().vector.count == 5
    assert "put back" in caplog.text
    assert len(loaded) == 2
    again.close()


def test_an_index_that_disagrees_with_the_catalogue_is_not_used(
    catalogue: Catalogue, collection: Collection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Sound files, but fewer chunks than live ones: somebody changed the catalogue without the log."""
    fill(catalogue, collection, range(5))
    index = opened(catalogue, collection, tmp_path / "i")
    index.advance()
    index.checkpoint()
    index.close()
    documents = schema.documents
    gone = update(documents).where(documents.c.pk == 2).values(live_version_pk=None)
    catalogue.write(lambda connection: connection.execute(gone))
    again = opened(catalogue, collection, tmp_path / "i")
    assert again.advance().lexical.count == 4
    assert "5 vectors and 5 postings for 4 live chunks" in caplog.text
    again.close()


def test_an_index_kind_names_two_engines(catalogue: Catalogue, collection: Collection) -> None:
    """Anything else is refused when the index is opened."""
    for kind in ("faiss_flat", "", "a+b"):
        generation = replace(collection.live_generation, spec=replace(SPEC, index_kind=kind))
        with pytest.raises(InvalidInput):
            GenerationIndex(catalogue, collection.pk, generation).advance()


@pytest.fixture
def stored(catalogue: Catalogue, collection: Collection, tmp_path: Path) -> Iterator[Indexes]:
    """Indexes that are stored a hundred times a second."""
    indexes = Indexes(catalogue, RetrieveSettings(index_checkpoint_s=0.01), tmp_path / "indexes")
    indexes.start()
    yield indexes
    indexes.close()


def test_a_full_disk_does_not_stop_searches(
    catalogue: Catalogue,
    collection: Collection,
    stored: Indexes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """New documents are found, the folder keeps what it had, and is brought up to date once there is room."""
    first = fill(catalogue, collection, range(3))
    stored.notify(collection.pk)
    assert stored.wait(collection.pk, first, 20)
    index = stored._indexes[collection.live_generation.pk]
    wait_for(lambda: index.is_stored)
    kept = (tmp_path / "indexes" / str(collection.live_generation.pk) / "manifest.json").read_bytes()
    with monkeypatch.context() as full:

        def fail(*arguments: object) -> None:
            raise OSError(28, "No space left on device")

        full.setattr("retrieve.storage._sync", fail)
        full.setattr("retrieve.storage._link", fail)
        second = fill(catalogue, collection, range(3, 6))
        stored.notify(collection.pk)
        assert stored.wait(collection.pk, second, 20)
        wait_for(lambda: "No space left" in caplog.text)
        snapshot = stored.snapshot(collection.pk, collection.live_generation)
        assert sorted(lexical(snapshot, "ferries")) == sorted(vector(snapshot, "ferries")) == [1, 2, 3, 4, 5, 6]
        stored.ping()
        present = tmp_path / "indexes" / str(collection.live_generation.pk) / "manifest.json"
        assert present.read_bytes() == kept
    wait_for(lambda: index.is_stored)
    assert present.read_bytes() != kept


def test_folders_of_generations_that_are_no_more_are_removed(
    catalogue: Catalogue, collection: Collection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At the start whatever has no generation, and with a collection its indexes."""
    caplog.set_level(logging.WARNING)
    folder = tmp_path / "indexes"
    (folder / "4711").mkdir(parents=True)
    indexes = Indexes(catalogue, RetrieveSettings(), folder)
    indexes.start()
    assert not (folder / "4711").exists()
    indexes.snapshot(collection.pk, collection.live_generation)
    assert [path.name for path in folder.iterdir()] == [str(collection.live_generation.pk)]
    indexes.drop(collection.pk)
    assert list(folder.iterdir()) == []
    indexes.close()
