"""The one place where models run: loaded once, shared by ingest, search, reranking and reading.

Worker threads drive the device with continuous batching: there is no wait window, a batch is what is queued for one
model when a worker becomes free. Of a model's queries the oldest goes first; all go before bulk work, of which one
forward runs at a time, kept to about `bulk_forward_s`, so that a query never waits long behind an ingest. The queue for
queries is bounded. Knows nothing of what vectors and scores mean.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ingest.errors import CitewellError, DeadlineExceeded, Overloaded, Unavailable
from ingest.models.cross_encoder import Pair, PairScorer
from ingest.models.device import Device
from ingest.models.encoder import Encoder, FloatArray, TextKind
from ingest.models.reading import PassageReader, Reading
from ingest.models.waiting import Item, Lane, Priority, Request

_LOG = logging.getLogger(__name__)
_QUERY_BATCH_MAX = 64
_GIVEN_UP_LOOK_S = 0.2
_BULK_BATCH_MAX = 256
_BULK_COST_MIN = 1_500  # a slow (or busy) machine must not end up with batches of one


class ModelRuntime:
    """Runs forwards for all callers. Thread-safe; `close` fails what is still queued with `Unavailable`."""

    def __init__(
        self, *, query_queue_max: int = 4096, bulk_forward_s: float = 0.1, device: Device | None = None
    ) -> None:
        self._device = device or Device()
        self._query_queue_max = query_queue_max
        self._bulk_forward_s = bulk_forward_s
        self._lanes: dict[tuple[Priority, str], Lane] = {}
        self._queued_queries = 0
        self._cost_per_s = 10_000.0
        self._wake = threading.Condition()
        self._closed = False
        self._running: list[Priority] = []
        self._workers = [
            threading.Thread(target=self._serve, name=f"model-worker-{number}", daemon=True)
            for number in range(self._device.workers)
        ]
        for worker in self._workers:
            worker.start()

    def embed(
        self,
        encoder: Encoder,
        texts: Sequence[str],
        *,
        kind: TextKind,
        priority: Priority,
        timeout_s: float | None = None,
        given_up: threading.Event | None = None,
        progress: Callable[[list[bool]], None] | None = None,
    ) -> FloatArray:
        """float32 array of shape (n_texts, encoder.dimensions), rows of length 1, in the order of `texts`.

        `progress` is told on the caller's thread, a few times a second, which of the texts are done.
        Raises `Overloaded` when the query queue is full, `DeadlineExceeded` after `timeout_s`, `Unavailable` when the
        model fails or the service shuts down, or soon after `given_up` is set: what is queued then is left undone.
        """
        if not texts:
            return np.empty((0, encoder.dimensions), dtype=np.float32)
        prepared = encoder.prepare(texts, kind)  # here, on the caller's thread, while the worker runs other forwards
        request = Request(results=[None] * len(texts), missing=len(texts))
        items = [Item(request, slot, one, one.tokens) for slot, one in enumerate(prepared)]
        self._enqueue_texts(encoder, kind, priority, items)
        return np.stack(_result(request, timeout_s, given_up, progress))

    def begin_queries(self, encoder: Encoder, queries: Sequence[str]) -> list[Callable[[float | None], FloatArray]]:
        """Begin to embed queries, which share a forward where there is room, and return for each the function that
        waits (at most so many seconds) for its vector, float32 of shape (dimensions,), and raises as `embed` does.

        The caller's thread is free meanwhile. A query that nobody waits for any longer does not end the others.
        """
        prepared = encoder.prepare(queries, "query")
        requests = [Request(results=[None], missing=1) for _ in prepared]
        items = [Item(request, 0, one, one.tokens) for request, one in zip(requests, prepared, strict=True)]
        self._enqueue_texts(encoder, "query", Priority.QUERY, items)
        return [partial(_only_result, request) for request in requests]

    def score(
        self,
        scorer: PairScorer,
        pairs: Sequence[Pair],
        *,
        priority: Priority = Priority.QUERY,
        timeout_s: float | None = None,
    ) -> FloatArray:
        """float32 array of shape (n_pairs,), in the order of `pairs`. Raises as `embed` does."""
        if not pairs:
            return np.empty(0, dtype=np.float32)
        return np.array(
            self._run(priority, f"score:{scorer.name}", scorer.score, pairs, _pair_costs(pairs), timeout_s),
            dtype=np.float32,
        )

    def read(
        self,
        reader: PassageReader,
        pairs: Sequence[Pair],
        *,
        priority: Priority = Priority.QUERY,
        timeout_s: float | None = None,
    ) -> list[Reading]:
        """One reading a pair (question, passage), in the order of `pairs`. Raises as `embed` does."""
        operation = f"read:{reader.name}:{reader.revision}"
        return self._run(priority, operation, reader.read, pairs, _pair_costs(pairs), timeout_s) if pairs else []

    def ping(self) -> None:
        """Raise `Unavailable` unless the workers live."""
        if self._closed or not all(worker.is_alive() for worker in self._workers):
            raise Unavailable("the model worker has stopped; restart the service", code="model_unavailable")

    def close(self) -> None:
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        for worker in self._workers:
            worker.join()

    def _run(
        self,
        priority: Priority,
        operation: str,
        run: Callable[[Sequence[Any]], Sequence[Any] | FloatArray],
        contents: Sequence[Any],
        costs: Sequence[int],
        timeout_s: float | None,
    ) -> list[Any]:
        request = Request(results=[None] * len(contents), missing=len(contents))
        items = [Item(request, slot, *one) for slot, one in enumerate(zip(contents, costs, strict=True))]
        self._enqueue(priority, operation, run, items)
        return _result(request, timeout_s)

    def _enqueue_texts(self, encoder: Encoder, kind: TextKind, priority: Priority, items: list[Item]) -> None:
        operation = f"embed:{kind}:{encoder.name}:{encoder.revision}"
        self._enqueue(priority, operation, lambda batch: encoder.forward(batch, kind, fast=True), items)

    def _enqueue(
        self,
        priority: Priority,
        operation: str,
        run: Callable[[Sequence[Any]], Sequence[Any] | FloatArray],
        items: list[Item],
    ) -> None:
        with self._wake:
            if self._closed:
                raise Unavailable("the service is shutting down", code="model_unavailable")
            if priority is Priority.QUERY:
                if self._queued_queries + len(items) > self._query_queue_max:
                    raise Overloaded(f"{self._queued_queries} texts wait for the model; try again in a moment")
                self._queued_queries += len(items)
            lane = self._lanes.setdefault((priority, operation), Lane(priority, operation, run))
            # items of like length share a forward, so that little of it is padding
            lane.add(sorted(items, key=lambda item: item.cost))
            self._wake.notify()

    def _serve(self) -> None:
        while True:
            with self._wake:
                while not (key := self._next_lane()) and not self._closed:
                    self._wake.wait()
                if self._closed or not key:
                    self._fail_queued()
                    return
                lane, batch = self._take_batch(key)
                self._running.append(lane.priority)
                more = self._next_lane() is not None
                others = min(len(self._running) - 1 + more, self._device.workers - 1)
                if more:
                    self._wake.notify()
            try:
                if batch:
                    self._device.share(1 + others)
                    self._forward(lane, batch)
            finally:
                with self._wake:
                    self._running.remove(lane.priority)
                    self._wake.notify()

    def _next_lane(self) -> tuple[Priority, str] | None:
        """The lane to be served next; called with the lock held."""
        key = min(self._lanes, key=lambda lane_key: lane_key[0], default=None)
        return None if key is not None and key[0] is Priority.BULK and Priority.BULK in self._running else key

    def _take_batch(self, key: tuple[Priority, str]) -> tuple[Lane, list[Item]]:
        """The next batch of a lane; called with the lock held."""
        lane = self._lanes.pop(key)
        batch: list[Item] = []
        longest = cost = 0
        while lane.items and self._joins(lane, batch, max(longest, lane.items[0].cost), cost + lane.items[0].cost):
            item = lane.items.popleft()
            if lane.priority is Priority.QUERY:
                self._queued_queries -= 1
            if not item.request.abandoned:
                batch.append(item)
                longest, cost = max(longest, item.cost), cost + item.cost
        if lane.items:
            self._lanes[key] = lane  # goes behind the other lanes of its priority
        return lane, batch

    def _joins(self, lane: Lane, batch: Sequence[Item], longest: int, cost: int) -> bool:
        """Whether the lane's next item shares a forward with the batch, of which that would be the cost."""
        if not batch:
            return True
        if lane.priority is Priority.QUERY:
            together = lane.items[0].request is batch[-1].request
            limit = self._device.batch_cost
            return len(batch) < _QUERY_BATCH_MAX and (together or limit is None or cost <= limit)
        budget = max(self._cost_per_s * self._bulk_forward_s, _BULK_COST_MIN)
        return len(batch) < _BULK_BATCH_MAX and (len(batch) + 1) * longest <= budget

    def _forward(self, lane: Lane, batch: list[Item]) -> None:
        begun = time.monotonic()
        try:
            rows = lane.run([item.content for item in batch])
            if len(rows) != len(batch):
                raise ValueError(f"{lane.operation} gave {len(rows)} results for {len(batch)} inputs")
        except Exception as failure:  # noqa: BLE001 - the worker serves everyone: the failure belongs to these callers
            _LOG.exception("the model failed (%s)", lane.operation)
            self._fail(batch, failure)
            return
        if lane.priority is Priority.BULK:
            rate = sum(item.cost for item in batch) / max(time.monotonic() - begun, 1e-4)
            self._cost_per_s += 0.2 * (rate - self._cost_per_s)
        with self._wake:  # another worker may have a part of the same request
            for item, row in zip(batch, rows, strict=True):
                item.request.results[item.slot] = row
                item.request.missing -= 1
                if item.request.missing == 0:
                    item.request.done.set()

    def _fail(self, batch: Sequence[Item], failure: Exception) -> None:
        for item in batch:
            item.request.error = failure
            item.request.abandoned = True
            item.request.done.set()

    def _fail_queued(self) -> None:
        stopped = Unavailable("the service is shutting down", code="model_unavailable")
        for lane in self._lanes.values():
            self._fail(list(lane.items), stopped)
        self._lanes.clear()


def _pair_costs(pairs: Sequence[Pair]) -> list[int]:
    return [(len(query) + len(passage)) // 4 + 3 for query, passage in pairs]


def _result(
    request: Request,
    timeout_s: float | None,
    given_up: threading.Event | None = None,
    progress: Callable[[list[bool]], None] | None = None,
) -> list[Any]:
    """The request's results when they are there; its error, or `DeadlineExceeded` after `timeout_s`."""
    while given_up is not None and not request.done.wait(_GIVEN_UP_LOOK_S):
        if given_up.is_set():
            request.abandoned = True
            raise Unavailable("nobody waits for these texts any more")
        if progress is not None:
            progress([row is not None for row in request.results])
    if not request.done.wait(timeout_s):
        request.abandoned = True
        raise DeadlineExceeded(f"the model did not answer within {timeout_s:g} s; try again, or raise the deadline")
    if isinstance(request.error, CitewellError):
        raise request.error
    if request.error is not None:
        raise Unavailable(
            f"the model failed ({type(request.error).__name__}); see the service's log", code="model_failed"
        ) from request.error
    return request.results


def _only_result(request: Request, timeout_s: float | None) -> Any:
    [result] = _result(request, timeout_s)
    return result
