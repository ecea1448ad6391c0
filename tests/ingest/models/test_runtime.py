"""The model runtime: who is served when, what shares a forward, and whose failure it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context

import numpy as np
import pytest

from ingest.errors import DeadlineExceeded, Overloaded, Unavailable
from ingest.models import Device, FloatArray, ModelRuntime, Pair, PreparedText, Priority, TextKind, arrives_now
from tests.fakes import HashingEncoder, OverlapReader
from tests.ingest.support import wait_for


class RecordingEncoder(HashingEncoder):
    """Notes each forward; while `gate` is closed, the forward in the device waits."""

    def __init__(self, name: str = "recording") -> None:
        super().__init__(name)
        self.forwards: list[tuple[str, list[str]]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.answer: Callable[[FloatArray], FloatArray] = lambda vectors: vectors

    def forward(self, prepared: Sequence[PreparedText], kind: TextKind, *, fast: bool) -> FloatArray:
        self.forwards.append((f"{kind} {'fast' if fast else 'exact'}", [one.content for one in prepared]))
        assert self.gate.wait(20)
        return self.answer(super().forward(prepared, kind, fast=fast))


class LengthScorer:
    """Scores a pair by the length of its passage."""

    name = "length"

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        return np.array([len(passage) for _, passage in pairs], np.float32)


@pytest.fixture
def runtime() -> Iterator[ModelRuntime]:
    """A running runtime."""
    opened = ModelRuntime(query_queue_max=100)
    yield opened
    opened.close()


@pytest.fixture
def encoder() -> RecordingEncoder:
    """An encoder whose gate is open."""
    return RecordingEncoder()


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    """Threads that wait for the runtime."""
    with ThreadPoolExecutor(32) as executor:
        yield executor


def query(runtime: ModelRuntime, encoder: HashingEncoder, *texts: str, timeout_s: float | None = None) -> FloatArray:
    """Embed as a search does."""
    return runtime.embed(encoder, texts, kind="query", priority=Priority.QUERY, timeout_s=timeout_s)


def bulk(runtime: ModelRuntime, encoder: HashingEncoder, *texts: str) -> FloatArray:
    """Embed as an ingest does."""
    return runtime.embed(encoder, texts, kind="document", priority=Priority.BULK)


def hold(
    runtime: ModelRuntime, encoder: RecordingEncoder, callers: ThreadPoolExecutor
) -> tuple[Future[FloatArray], Callable[[int], None]]:
    """Keep the device busy with one forward; the second value waits until so many texts are queued behind it."""
    encoder.gate.clear()
    first = callers.submit(query, runtime, encoder, "first")
    wait_for(lambda: len(encoder.forwards) == 1)

    def queued(count: int) -> None:
        wait_for(lambda: sum(len(lane.items) for lane in list(runtime._lanes.values())) == count)

    return first, queued


@pytest.fixture
def cores() -> Iterator[tuple[ModelRuntime, list[int]]]:
    """A runtime of two workers, and among how many each forward had to share the device."""
    sharers: list[int] = []
    opened = ModelRuntime(device=Device(workers=2, batch_cost=8, share=sharers.append))
    yield opened, sharers
    opened.close()


def test_forwards_run_side_by_side_and_share_the_device(
    cores: tuple[ModelRuntime, list[int]], callers: ThreadPoolExecutor
) -> None:
    """One alone has it to itself; the second, while the first runs, has half."""
    runtime, sharers = cores
    one, other = RecordingEncoder("one"), RecordingEncoder("other")
    one.gate.clear()
    first = callers.submit(query, runtime, one, "first")
    wait_for(lambda: len(one.forwards) == 1)
    query(runtime, other, "second")
    one.gate.set()
    first.result(20)
    query(runtime, other, "third")
    assert sharers == [1, 2, 1]


def test_parts_of_one_request_run_side_by_side(
    cores: tuple[ModelRuntime, list[int]], encoder: RecordingEncoder, callers: ThreadPoolExecutor
) -> None:
    """More texts than fit one forward: the second worker takes the rest at once."""
    runtime, _ = cores
    encoder.gate.clear()
    texts = [f"text {number}" for number in range(100)]
    asked = callers.submit(query, runtime, encoder, *texts)
    wait_for(lambda: len(encoder.forwards) == 2)
    encoder.gate.set()
    np.testing.assert_array_equal(asked.result(20), HashingEncoder().encode(texts, "query", fast=False))


def test_bulk_work_leaves_a_worker_to_the_queries(
    cores: tuple[ModelRuntime, list[int]], encoder: RecordingEncoder, callers: ThreadPoolExecutor
) -> None:
    """However much of it waits, one forward of it runs at a time."""
    runtime, _ = cores
    other = RecordingEncoder("other")
    for one in (encoder, other):
        one.gate.clear()
    piles = [callers.submit(bulk, runtime, one, "document") for one in (encoder, other)]
    wait_for(lambda: len(encoder.forwards) + len(other.forwards) == 1)
    asked = RecordingEncoder("asked")
    query(runtime, asked, "question")
    assert len(encoder.forwards) + len(other.forwards) == 1
    for one in (encoder, other):
        one.gate.set()
    for pile in piles:
        pile.result(20)


def test_old_work_goes_before_new_and_is_not_mixed_with_it_where_that_costs_too_much(
    callers: ThreadPoolExecutor,
) -> None:
    """What a question asks for later takes its turn as of the time when the question arrived."""
    runtime, encoder = ModelRuntime(device=Device(batch_cost=8)), RecordingEncoder()

    def asked(*texts: str) -> FloatArray:
        arrives_now()
        return query(runtime, encoder, *texts)

    def asked_again(texts: Sequence[str], later: threading.Event) -> None:
        arrives_now()
        assert later.wait(20)
        query(runtime, encoder, *texts)

    first, queued = hold(runtime, encoder, callers)
    later = threading.Event()
    waiting = [callers.submit(copy_context().run, asked_again, ["old " * 4, "old " * 5], later)]
    time.sleep(0.01)  # so that the next one arrives after it by the clock
    waiting += [callers.submit(copy_context().run, asked, "new " * 6, "new " * 7)]
    queued(2)
    later.set()
    queued(4)
    encoder.gate.set()
    for future in (first, *waiting):
        future.result(20)
    runtime.close()
    assert [{text.split()[0] for text in texts} for _, texts in encoder.forwards] == [{"first"}, {"old"}, {"new"}]


@pytest.mark.parametrize("count", [0, 1, 2, 63, 300])
def test_results_come_in_the_order_of_the_texts(runtime: ModelRuntime, encoder: RecordingEncoder, count: int) -> None:
    """Though texts of like length are embedded together."""
    texts = [f"{'word ' * (number % 7)}{number}" for number in range(count)]
    vectors = bulk(runtime, encoder, *texts)
    assert vectors.shape == (count, 64)
    assert vectors.dtype == np.float32
    if count:
        np.testing.assert_array_equal(vectors, HashingEncoder().encode(texts, "document", fast=True))


def test_queries_begun_together_share_a_forward_and_are_waited_for_one_by_one(
    runtime: ModelRuntime, encoder: RecordingEncoder, callers: ThreadPoolExecutor
) -> None:
    """One that its caller gave up is left undone; the others have their own rows, in their order."""
    first, queued = hold(runtime, encoder, callers)
    texts = ["a long query of many words", "short", "given up"]
    long, short, given_up = runtime.begin_queries(encoder, texts)
    queued(3)
    with pytest.raises(DeadlineExceeded):
        given_up(0)
    encoder.gate.set()
    first.result(20)
    np.testing.assert_array_equal(
        np.stack([long(20), short(20)]), HashingEncoder().encode(texts[:2], "query", fast=True)
    )
    assert encoder.forwards[1:] == [("query fast", ["short", "a long query of many words"])]


def test_what_is_queued_shares_a_forward(
    runtime: ModelRuntime, encoder: RecordingEncoder, callers: ThreadPoolExecutor
) -> None:
    """Ten callers who come while the device is busy are served together, each with its own row."""
    first, queued = hold(runtime, encoder, callers)
    waiting = [callers.submit(query, runtime, encoder, f"text {number}") for number in range(10)]
    queued(10)
    encoder.gate.set()
    vectors = [future.result(20)[0] for future in waiting]
    first.result(20)
    assert [len(texts) for _, texts in encoder.forwards] == [1, 10]
    expected = HashingEncoder().encode([f"text {number}" for number in range(10)], "query", fast=False)
    np.testing.assert_array_equal(np.stack(vectors), expected)


def test_queries_go_before_bulk_work(
    runtime: ModelRuntime, encoder: RecordingEncoder, callers: ThreadPoolExecutor
) -> None:
    """A query that comes after a pile of documents is embedded before the rest of it."""
    first, queued = hold(runtime, encoder, callers)
    pile = callers.submit(bulk, runtime, encoder, *(f"document {number}" for number in range(5)))
    queued(5)
    late = callers.submit(query, runtime, encoder, "late")
    queued(6)
    encoder.gate.set()
    for future in (first, late, pile):
        future.result(20)
    assert [kind for kind, _ in encoder.forwards] == ["query fast", "query fast", "document fast"]
    assert encoder.forwards[1][1] == ["late"]


def test_models_do_not_share_a_forward_and_take_turns(
    runtime: ModelRuntime, encoder: RecordingEncoder, callers: ThreadPoolExecutor
) -> None:
    """Two embedders may be resident; neither keeps the other from being served."""
    other = RecordingEncoder("other")
    first, queued = hold(runtime, encoder, callers)
    waiting = [callers.submit(query, runtime, one, "text") for one in (encoder, other, encoder, other)]
    queued(4)
    encoder.gate.set()
    for future in (first, *waiting):
        future.result(20)
    assert [len(texts) for _, texts in encoder.forwards] == [1, 2]
    assert [len(texts) for _, texts in other.forwards] == [2]


def test_a_bulk_forward_is_kept_short(runtime: ModelRuntime, encoder: RecordingEncoder) -> None:
    """A pile of long texts is cut into many forwards, so that queries can come between."""
    bulk(runtime, encoder, *("word " * 400 for _ in range(64)))
    assert max(len(texts) for _, texts in encoder.forwards) < 64
    assert sum(len(texts) for _, texts in encoder.forwards) == 64


def test_a_deadline_is_kept_and_the_late_work_is_dropped(
    runtime: ModelRuntime, encoder: RecordingEncoder, callers: ThreadPoolExecutor
) -> None:
    """The caller is told in time; nothing is computed for someone who has left."""
    first, _ = hold(runtime, encoder, callers)
    begun = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"within 0\.05 s"):
        query(runtime, encoder, "late", timeout_s=0.05)
    assert time.monotonic() - begun < 5
    encoder.gate.set()
    first.result(20)
    query(runtime, encoder, "next")
    assert [texts for _, texts in encoder.forwards] == [["first"], ["next"]]


def test_a_full_queue_refuses_queries_but_not_bulk_work(encoder: RecordingEncoder, callers: ThreadPoolExecutor) -> None:
    """The limit counts texts; what left the queue makes room again."""
    runtime = ModelRuntime(query_queue_max=3)
    first, queued = hold(runtime, encoder, callers)
    waiting = callers.submit(query, runtime, encoder, "a", "b")
    queued(2)
    with pytest.raises(Overloaded, match="2 texts wait"):
        query(runtime, encoder, "c", "d")
    pile = callers.submit(bulk, runtime, encoder, *"abcdefgh")
    queued(10)
    encoder.gate.set()
    for future in (first, waiting, pile):
        future.result(20)
    assert query(runtime, encoder, "e", "f", "g").shape == (3, 64)
    runtime.close()


def test_a_failure_belongs_to_its_callers_only(
    runtime: ModelRuntime, encoder: RecordingEncoder, callers: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    """Other models and later calls are served; the error is ours, its cause the model's."""

    def fail(vectors: FloatArray) -> FloatArray:
        raise RuntimeError("out of memory")

    encoder.answer = fail
    other = RecordingEncoder("other")
    waiting = callers.submit(query, runtime, other, "fine")
    with pytest.raises(Unavailable, match="RuntimeError") as caught:
        bulk(runtime, encoder, "a", "b")
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert waiting.result(20).shape == (1, 64)
    encoder.answer = lambda vectors: vectors
    assert bulk(runtime, encoder, "a").shape == (1, 64)
    assert "out of memory" in caplog.text


def test_a_model_that_loses_rows_is_a_failure(runtime: ModelRuntime, encoder: RecordingEncoder) -> None:
    """It must not stop the worker for everybody."""
    encoder.answer = lambda vectors: vectors[:-1]
    with pytest.raises(Unavailable):
        bulk(runtime, encoder, "a", "b")
    encoder.answer = lambda vectors: vectors
    assert bulk(runtime, encoder, "a", "b").shape == (2, 64)


def test_pairs_are_scored_in_their_order(runtime: ModelRuntime) -> None:
    """As texts are embedded."""
    pairs = [("q", "x" * length) for length in (5, 1, 9, 3)]
    assert runtime.score(LengthScorer(), pairs).tolist() == [5, 1, 9, 3]
    assert runtime.score(LengthScorer(), []).shape == (0,)


def test_pairs_are_read_in_their_order(runtime: ModelRuntime) -> None:
    """A reading belongs to its pair, however the batch was sorted."""
    pairs = [("who leads", text) for text in ("nobody here at all today", "Ann leads", "who leads is Bo", "")]
    reader = OverlapReader()
    assert runtime.read(reader, pairs) == list(reader.read(pairs))
    assert runtime.read(reader, []) == []


def test_close_fails_what_is_queued_and_what_comes_later(
    encoder: RecordingEncoder, callers: ThreadPoolExecutor
) -> None:
    """What is in the device is finished; nobody waits for ever."""
    runtime = ModelRuntime()
    first, queued = hold(runtime, encoder, callers)
    waiting = callers.submit(bulk, runtime, encoder, "a")
    queued(1)
    closing = callers.submit(runtime.close)
    wait_for(lambda: runtime._closed)
    encoder.gate.set()
    closing.result(20)
    assert first.result(20).shape == (1, 64)
    with pytest.raises(Unavailable, match="shutting down"):
        waiting.result(20)
    with pytest.raises(Unavailable, match="shutting down"):
        query(runtime, encoder, "late")
    with pytest.raises(Unavailable):
        runtime.ping()
