"""The contract of every vector engine, compared with brute force in numpy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest.errors import InvalidInput, Unavailable
from retrieve.restriction import Restriction
from retrieve.vector import ENGINES, VectorIndex, VectorSnapshot, check_vectors, open_vector_index

DIM = 8
X, Y = np.eye(DIM, dtype=np.float32)[:2]


@pytest.fixture(params=ENGINES)
def index(request: pytest.FixtureRequest) -> Iterator[VectorIndex]:
    """An empty index of each engine."""
    opened = open_vector_index(request.param, dim=DIM)
    yield opened
    opened.close()


def unit(rows: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Random directions, float32 of shape (rows, DIM) and length 1."""
    vectors = np.random.default_rng(seed).standard_normal((rows, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def toward(cosine: float) -> NDArray[np.float32]:
    """The unit vector whose inner product with X is `cosine`."""
    return (cosine * X + np.sqrt(1 - cosine**2) * Y).astype(np.float32)


def add(index: VectorIndex, vectors: dict[int, NDArray[np.float32]], *, version: int | None = None) -> None:
    """Add vectors by chunk key; the version key is ten times the chunk key unless given."""
    chunks = np.array(list(vectors), np.int64)
    versions = 10 * chunks if version is None else np.full_like(chunks, version)
    index.add(chunks, versions, np.stack(list(vectors.values())))


def found(snapshot: VectorSnapshot, *, top_k: int = 10, restriction: Restriction = Restriction.EVERYTHING) -> list[int]:
    """Chunk keys nearest to X, in order."""
    return snapshot.search(X, top_k=top_k, restriction=restriction).chunks.tolist()


THREE = {1: toward(0.6), 2: toward(0.8), 3: toward(-0.8)}


def test_nearest_first_with_inner_products_as_scores(index: VectorIndex) -> None:
    """The order is by cosine, opposite directions last."""
    add(index, THREE)
    hits = index.publish().search(X, top_k=10)
    assert hits.chunks.tolist() == [2, 1, 3]
    assert hits.scores.tolist() == pytest.approx([0.8, 0.6, -0.8])
    assert (hits.chunks.dtype, hits.scores.dtype) == (np.int64, np.float32)


def test_top_k_cuts_after_the_best(index: VectorIndex) -> None:
    """The first two of three."""
    add(index, THREE)
    assert found(index.publish(), top_k=2) == [2, 1]


def test_an_empty_index_finds_nothing(index: VectorIndex) -> None:
    """Before the first vector, and after all are removed."""
    index.add(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, DIM), np.float32))
    assert found(index.publish()) == []
    add(index, THREE)
    index.remove_versions([10, 20, 30])
    assert found(index.publish()) == []
    add(index, THREE)
    index.publish()
    index.remove_versions([10, 20, 30])
    assert index.publish().count == 0


def test_changes_wait_for_publish_and_spare_older_snapshots(index: VectorIndex) -> None:
    """Each snapshot keeps answering from its own time."""
    add(index, {1: toward(0.6)})
    first = index.publish()
    add(index, {2: toward(0.8)})
    assert found(first) == [1]
    second = index.publish()
    index.remove_versions([10])
    assert found(second) == [2, 1]
    third = index.publish()
    assert [found(snapshot) for snapshot in (first, second, third)] == [[1], [2, 1], [2]]
    assert [snapshot.count for snapshot in (first, second, third)] == [1, 2, 1]


def test_snapshots_outlive_their_index(index: VectorIndex) -> None:
    """Closing the writer, even twice, takes nothing from a search that is under way."""
    add(index, THREE)
    snapshot = index.publish()
    index.close()
    index.close()
    assert found(snapshot) == [2, 1, 3]


def test_a_closed_snapshot_says_so(index: VectorIndex) -> None:
    """Searching it is refused instead of finding nothing."""
    add(index, THREE)
    snapshot = index.publish()
    snapshot.close()
    with pytest.raises(Unavailable, match="closed"):
        found(snapshot)


def test_adding_a_chunk_again_replaces_it(index: VectorIndex) -> None:
    """Whether the older one was published or not; so the change log may be applied twice."""
    add(index, {1: toward(0.9), 2: toward(0.8)})
    add(index, {1: toward(0.1)})
    assert found(index.publish()) == [2, 1]
    add(index, {2: toward(0.0)})
    snapshot = index.publish()
    assert (found(snapshot), snapshot.count) == ([1, 2], 2)


def test_the_caller_may_reuse_its_arrays(index: VectorIndex) -> None:
    """What was added is a copy."""
    chunks, versions, vectors = np.array([1]), np.array([10]), toward(1.0)[None, :]
    index.add(chunks, versions, vectors)
    chunks[0], versions[0], vectors[0] = 9, 90, toward(-1.0)
    hits = index.publish().search(X, top_k=1, restriction=Restriction.of([10]))
    assert (hits.chunks.tolist(), hits.scores.tolist()) == ([1], [1.0])


def test_removing_a_version_takes_pending_chunks_too(index: VectorIndex) -> None:
    """All chunks of the version go, no others; an unknown one is no error; a removed one can come back."""
    add(index, {1: toward(0.9), 2: toward(0.8)}, version=7)
    add(index, {3: toward(0.7)}, version=8)
    index.remove_versions([7, 99])
    assert found(index.publish()) == [3]
    add(index, {1: toward(0.9)}, version=7)
    assert found(index.publish()) == [1, 3]


@pytest.mark.parametrize(
    ("restriction", "chunks"),
    [
        (Restriction.of([10, 30]), [1, 3]),
        (Restriction.of([30, 99]), [3]),
        (Restriction.of([]), []),
        (Restriction.of(excluded=[20]), [1, 3]),
        (Restriction.of(excluded=[10, 20, 30]), []),
        (Restriction.of([10, 20], excluded=[10]), [2]),
    ],
)
def test_restrictions(index: VectorIndex, restriction: Restriction, chunks: list[int]) -> None:
    """Only allowed versions that are not excluded."""
    add(index, THREE)
    assert found(index.publish(), restriction=restriction) == chunks


def test_restriction_comes_before_the_cut(index: VectorIndex) -> None:
    """The one allowed chunk is found although fifty others are nearer."""
    add(index, {chunk: toward(0.9) for chunk in range(50)})
    add(index, {77: toward(-0.9)})
    assert found(index.publish(), top_k=1, restriction=Restriction.of([770])) == [77]


def test_ties_go_to_the_lower_chunk_key(index: VectorIndex) -> None:
    """Equal vectors, added in any order over several publishes, are cut by key."""
    for chunks in ([40, 2, 30, 41, 42, 43], [9, 50], [1], [8]):
        add(index, {chunk: toward(0.5) for chunk in chunks})
        snapshot = index.publish()
    assert found(snapshot, top_k=4) == [1, 2, 8, 9]


def test_top_k_below_one_is_refused(index: VectorIndex) -> None:
    """As in every search."""
    with pytest.raises(InvalidInput, match="top_k"):
        found(index.publish(), top_k=0)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.ones((2, 5), np.float32), r"shape \(2, 5\), the index holds 8 dimensions"),
        (np.ones(DIM, np.float32), r"shape \(8,\)"),
        (unit(2).astype(np.float64), "float64"),
        (np.vstack([X, Y * np.float32("nan")]), "row 1 has a value that is not finite"),
        (np.vstack([X, Y, 2 * X]), "row 2 has length 2.0000"),
        (np.zeros((1, DIM), np.float32), "row 0 has length 0.0000"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(index: VectorIndex, vectors: NDArray[np.float32], message: str) -> None:
    """The message tells the row and what is wrong; nothing was added."""
    keys = np.arange(len(vectors))
    with pytest.raises(InvalidInput, match=message):
        index.add(keys, keys, vectors)
    assert index.publish().count == 0


def test_keys_must_be_as_many_as_vectors(index: VectorIndex) -> None:
    """One chunk key and one version key for each."""
    with pytest.raises(InvalidInput, match="one of each per vector"):
        index.add(np.arange(2), np.arange(3), unit(3))


def test_a_query_that_does_not_fit_is_refused(index: VectorIndex) -> None:
    """The same checks as for stored vectors."""
    add(index, THREE)
    snapshot = index.publish()
    with pytest.raises(InvalidInput, match="dimensions"):
        snapshot.search(np.ones(3, np.float32), top_k=1)
    with pytest.raises(InvalidInput, match="length"):
        snapshot.search(X * 3, top_k=1)


def test_lengths_within_a_thousandth_pass() -> None:
    """Half precision and repeated normalising leave such errors."""
    check_vectors(unit(3) * np.float32(1.0009), dim=DIM)


def test_searches_run_while_the_writer_works(index: VectorIndex) -> None:
    """Four threads search; each finds a state as it was published, never half of one."""
    published = [index.publish()]
    stop = threading.Event()

    def search() -> int:
        searches = 0
        while not stop.is_set() or searches == 0:
            snapshot = published[-1]
            assert len(found(snapshot, top_k=1000)) == snapshot.count
            searches += 1
        return searches

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(search) for _ in range(4)]
        for batch in range(30):
            add(index, {10 * batch + i: vector for i, vector in enumerate(unit(10, seed=batch))})
            index.remove_versions([100 * batch])
            published.append(index.publish())
        stop.set()
        assert all(search.result() >= 1 for search in running)
    assert [snapshot.count for snapshot in published] == list(range(0, 271, 9))


# Few directions, so that ties are common; several publishes, so that segments merge and compact.
DIRECTIONS = unit(6, seed=1)
chunk_keys = st.integers(0, 30)
additions = st.dictionaries(chunk_keys, st.integers(0, 5), max_size=12)
steps = st.lists(st.tuples(additions, st.sets(st.integers(0, 10), max_size=3)), max_size=8)


@settings(deadline=None)
@given(
    steps,
    st.integers(0, 5),
    st.integers(1, 12),
    st.none() | st.sets(st.integers(0, 10)),
    st.sets(st.integers(0, 10)),
)
@pytest.mark.parametrize("engine", ENGINES)
def test_agrees_with_brute_force(
    engine: str,
    steps: list[tuple[dict[int, int], set[int]]],
    query: int,
    top_k: int,
    allowed: set[int] | None,
    excluded: set[int],
) -> None:
    """After any additions, replacements, removals and publishes, under any restriction."""
    index = open_vector_index(engine, dim=DIM)
    live: dict[int, int] = {}
    for added, removed in steps:
        if added:
            chunks = np.array(list(added), np.int64)
            index.add(chunks, chunks // 3, DIRECTIONS[list(added.values())])
        index.remove_versions(removed)
        live = {chunk: row for chunk, row in (live | added).items() if chunk // 3 not in removed}
        snapshot = index.publish()
    snapshot = index.publish()
    similarity = DIRECTIONS @ DIRECTIONS[query]
    visible = [c for c in live if (allowed is None or c // 3 in allowed) and c // 3 not in excluded]
    expected = sorted(visible, key=lambda chunk: (-similarity[live[chunk]], chunk))[:top_k]
    hits = snapshot.search(DIRECTIONS[query], top_k=top_k, restriction=Restriction.of(allowed, excluded=excluded))
    assert snapshot.count == len(live)
    assert hits.chunks.tolist() == expected
    assert hits.scores == pytest.approx(similarity[[live[chunk] for chunk in expected]], abs=1e-6)
