"""The reading model as reranker: blending, early exit, spans in the passage, joined passages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from ingest.credibility import Credibility
from ingest.models import ModelRuntime, Pair, Reading, SpanScore
from retrieve import Hit, ReadingReranker, Scores, read_hits
from retrieve.rerank import joined_reading, reranks
from tests.fakes import OverlapReader


class ScriptedReader:
    """Relevance is the number in the passage; it answers where the passage says `yes`."""

    name, revision, languages, max_tokens = "scripted", "1", ("en",), 64

    def __init__(self) -> None:
        self.read_at_once: list[int] = []

    def read(self, pairs: Sequence[Pair]) -> Sequence[Reading]:
        self.read_at_once.append(len(pairs))
        return [
            Reading(float(passage.split()[-1]), -1.0 if "yes" in passage else 1.0, (SpanScore(0, len(passage), 1.0),))
            for _, passage in pairs
        ]


@pytest.fixture
def runtime() -> Iterator[ModelRuntime]:
    opened = ModelRuntime()
    yield opened
    opened.close()


def hit(text: str, score: float, *, title: str | None = None) -> Hit:
    return Hit(
        rank=0, chunk_id=text, document_id="d", document_pk=1, version=1, version_pk=1, title=title, page=None,
        heading=None, char_start=0, char_end=len(text), text=text, score=score,
        scores=Scores(None, None, score, None, 0.5), language=None, document_date=None, credibility=Credibility(),
    )  # fmt: skip


def test_relevance_moves_the_fused_score(runtime: ModelRuntime) -> None:
    """fused + weight * (relevance - best): 1.0 - 0.1 * 4 = 0.6, 0.9 + 0 = 0.9."""
    reranker = ReadingReranker(runtime, ScriptedReader(), weight=0.1, first=8, clear_margin=99)
    found = reranker.rerank("q", [hit("no 1", 1.0), hit("no 5", 0.9)], timeout_s=5)
    assert [(one.text, one.scores.rerank) for one in found] == [("no 5", 5.0), ("no 1", 1.0)]
    assert [one.score for one in found] == pytest.approx([0.9, 0.6])
    assert [one.reading.relevance for one in found if one.reading] == [5.0, 1.0]


def test_a_clear_outcome_leaves_the_rest_unread(runtime: ModelRuntime) -> None:
    """The first two are 8 apart and one answers; the third keeps its place behind, and counts like the worst read."""
    reader = ScriptedReader()
    reranker = ReadingReranker(runtime, reader, weight=0.1, first=2, clear_margin=8)
    hits = [hit("no 1", 1.0), hit("yes 9", 0.9), hit("no 50", 0.5)]
    found = reranker.rerank("q", hits, timeout_s=5)
    assert [one.text for one in found] == ["yes 9", "no 1", "no 50"]
    assert reader.read_at_once == [2]
    assert found[2].reading is None
    assert found[2].score == pytest.approx(0.5 - 0.1 * 8)


def test_an_open_outcome_is_read_on(runtime: ModelRuntime) -> None:
    """Nothing among the first answers."""
    reader = ScriptedReader()
    reranker = ReadingReranker(runtime, reader, weight=0.1, first=2, clear_margin=8)
    found = reranker.rerank("q", [hit("no 1", 1.0), hit("no 9", 0.9), hit("no 50", 0.5)], timeout_s=5)
    assert [one.text for one in found] == ["no 50", "no 9", "no 1"]
    assert reader.read_at_once == [2, 1]


def test_titles_are_read_and_spans_stay_in_the_passage(runtime: ModelRuntime) -> None:
    """The model sees the title; a span within it is dropped, another one is moved."""
    passage = hit("MV Fulmar stops at 34 knots", 1.0, title="Fulmar")
    [reading] = read_hits(runtime, OverlapReader(), "Fulmar stops at ?", [passage], timeout_s=5)
    assert reading.relevance == OverlapReader().read([("Fulmar stops at ?", f"Fulmar\n{passage.text}")])[0].relevance
    assert passage.text[reading.spans[0].start : reading.spans[0].end] == "34"
    assert all(0 <= span.start < span.end <= len(passage.text) for span in reading.spans)


def test_joined_passages_have_joined_readings() -> None:
    """The better judgement; spans of both in the joined text, each place once, best first."""
    one = Reading(1.0, 0.5, (SpanScore(0, 4, 2.0), SpanScore(10, 14, 1.0)))
    other = Reading(2.0, -0.5, (SpanScore(0, 4, 3.0),))
    assert joined_reading(one, other, offset=9) == Reading(2.0, -0.5, (SpanScore(9, 13, 3.0), SpanScore(0, 4, 2.0)))
    assert joined_reading(None, other, offset=9) == Reading(2.0, -0.5, (SpanScore(9, 13, 3.0),))
    assert joined_reading(one, None, offset=9) == one


def test_a_script_that_the_model_cannot_read_is_not_reranked(runtime: ModelRuntime) -> None:
    """Chinese for a model that reads English."""
    reranker = ReadingReranker(runtime, ScriptedReader(), weight=0.1, first=8, clear_margin=8)
    assert reranks(reranker, "When does it sail?")
    assert not reranks(reranker, "它何时启航？")
    assert not reranks(None, "When does it sail?")
