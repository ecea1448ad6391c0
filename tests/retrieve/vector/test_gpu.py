"""The GPU tier: found or not, within its memory, the same results as without, and never a failed search."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from retrieve.storage import FileStore
from retrieve.vector import gpu as gpu_module
from retrieve.vector.faiss_index import FaissIndex
from retrieve.vector.flat import FlatSegmentIndex
from retrieve.vector.gpu import FETCHED_MAX, Gpu
from retrieve.vector.tiers import Tiers
from tests.ingest.support import wait_for
from tests.retrieve.vector.fake_gpu import FakeGpuLibrary
from tests.retrieve.vector.test_ivf import DIM, QUERIES, ROWS, VECTORS

LIBRARIES = {
    "fake": FakeGpuLibrary,
    "faiss": lambda: faiss if hasattr(faiss, "StandardGpuResources") else pytest.skip("faiss-gpu is not installed"),
}


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Any:
    """The fake, and FAISS on a GPU where there is one."""
    return LIBRARIES[request.param]()


@pytest.fixture
def gpu(library: Any, monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """With segments in parts of 1,500 rows."""
    monkeypatch.setattr(gpu_module, "_PART_ROWS", 1_500)
    found = Gpu.detect(64, library)
    if found is None:
        pytest.skip("FAISS finds no GPU")
    return found


def flat() -> FlatSegmentIndex:
    return FlatSegmentIndex.build(VECTORS)


@pytest.mark.parametrize("allowed", [1.0, 0.9, 0.5, 0.2, 0.04, 0.002])
def test_results_are_those_without_a_gpu(gpu: Gpu, allowed: float) -> None:
    """Filtered after more was fetched, or by the index itself; neighbours within half precision may change places."""
    plain, held = flat(), gpu.holding(flat())
    mask = None if allowed == 1 else np.random.default_rng(5).random(ROWS) < allowed
    for query in QUERIES:
        rows, scores = held.nearest(query, top_k=10, mask=mask)
        expected = plain.nearest(query, top_k=10, mask=mask)[1][: len(rows)]
        assert scores == pytest.approx(VECTORS[rows] @ query, abs=1e-6)
        assert scores == pytest.approx(expected, abs=2e-3)
        assert mask is None or mask[rows].all()


def test_a_filter_that_goes_against_the_query_is_obeyed(gpu: Gpu) -> None:
    """None of what was fetched is allowed; the index finds the ten all the same."""
    query = QUERIES[0]
    mask = VECTORS @ query < np.quantile(VECTORS @ query, 0.3)
    rows, _ = gpu.holding(flat()).nearest(query, top_k=10, mask=mask)
    assert len(rows) >= 10
    assert mask[rows].all()


def test_more_than_a_gpu_finds_is_found_without_it(gpu: Gpu) -> None:
    """FAISS stops at 2,048 there."""
    rows, _ = gpu.holding(flat()).nearest(QUERIES[0], top_k=FETCHED_MAX + 1, mask=None)
    assert len(rows) >= FETCHED_MAX + 1


def test_large_segments_are_held_and_stored_as_without_a_gpu(gpu: Gpu, tmp_path: Path) -> None:
    """Built, saved and read again: of the same kind, with the same results."""
    index = FaissIndex(DIM, tiers=Tiers(1_000, gpu))
    chunks = np.arange(ROWS)
    index.add(chunks, chunks, VECTORS)
    index.publish()
    assert index.maintain()
    snapshot = index.publish()
    assert not index.maintain()
    files = FileStore(tmp_path)
    state = snapshot.save(files)
    assert [segment["kind"] for segment in state["segments"]] == ["ivf"]
    for tiers in (Tiers(1_000, gpu), Tiers(1_000)):
        again = FaissIndex(DIM, tiers=tiers)
        again.restore(state, files)
        found = again.publish().search(VECTORS[7], top_k=1)
        assert found.chunks.tolist() == snapshot.search(VECTORS[7], top_k=1).chunks.tolist() == [7]


def test_waiting_queries_are_searched_together() -> None:
    """Eight threads, each with its own question and number of neighbours, one search at a time."""
    library = FakeGpuLibrary()
    detected = Gpu.detect(64, library)
    assert detected is not None
    held = detected.holding(flat())
    with ThreadPoolExecutor(8) as pool:
        with detected.busy:
            futures = [pool.submit(held.nearest, query, top_k=n + 1, mask=None) for n, query in enumerate(QUERIES[:8])]
            wait_for(lambda: len(held._copy._waiting) == 8)  # type: ignore[attr-defined]
        found = [future.result() for future in futures]
    assert library.batches == [8]
    for n, (query, (rows, _)) in enumerate(zip(QUERIES[:8], found, strict=True)):
        assert len(rows) == n + 1
        assert VECTORS[rows[0]] @ query == pytest.approx((VECTORS @ query).max(), abs=2e-3)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG, logger="retrieve.vector.gpu"):
        yield caplog


def test_without_a_gpu_the_reason_is_logged(log: pytest.LogCaptureFixture) -> None:
    """faiss-cpu; faiss-gpu without a device; a driver that does not fit. A budget of 0 asks for none."""
    assert Gpu.detect(64, SimpleNamespace()) is None
    assert Gpu.detect(64, FakeGpuLibrary(gpus=0)) is None

    class Unusable(FakeGpuLibrary):
        def StandardGpuResources(self) -> SimpleNamespace:  # noqa: N802 - FAISS's name
            raise RuntimeError("CUDA driver version is insufficient")

    assert Gpu.detect(64, Unusable()) is None
    reasons = ["faiss-cpu is installed", "finds no GPU", "driver version is insufficient"]
    assert all(reason in message for reason, message in zip(reasons, log.messages, strict=True))
    assert Gpu.detect(0, FakeGpuLibrary()) is None


def budget_of(rows: int) -> int:
    """MiB that so many vectors take."""
    return -(-rows * DIM * 2 // (1 << 20))


def test_what_does_not_fit_stays_on_the_cpu(log: pytest.LogCaptureFixture) -> None:
    """By the budget, which a collected index gives back, or by what the GPU itself says."""
    detected = Gpu.detect(budget_of(ROWS), FakeGpuLibrary())
    assert detected is not None
    index = flat()
    held = detected.holding(index)
    wide = FlatSegmentIndex.build(np.tile(VECTORS, (10, 1)))
    assert detected.holding(wide) is wide
    assert "of the budget are left" in log.messages[-1]
    del held
    gc.collect()
    assert detected.holding(index) is not index
    full = Gpu.detect(64, FakeGpuLibrary(rows_max=100))
    assert full is not None
    assert full.holding(index) is index
    assert "out of memory" in log.messages[-1]


def test_a_search_that_fails_on_the_gpu_is_answered_without_it(log: pytest.LogCaptureFixture) -> None:
    """Then and from then on."""
    library = FakeGpuLibrary()
    detected = Gpu.detect(64, library)
    assert detected is not None
    held, plain = detected.holding(flat()), flat()
    library.broken = True
    for query in QUERIES[:3]:
        rows: NDArray[np.int64] = held.nearest(query, top_k=5, mask=None)[0]
        assert rows.tolist() == plain.nearest(query, top_k=5, mask=None)[0].tolist()
    assert len([message for message in log.messages if "illegal memory access" in message]) == 1
