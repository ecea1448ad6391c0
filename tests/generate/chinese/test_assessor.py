"""Answers in Chinese passages: spans and quotes, confidence, what is left to the other assessor."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from api.settings import SHIPPED_DATA
from generate.assessment import Assessment, Quote
from generate.chinese.assessor import ChineseAssessor, reads_chinese
from generate.chinese.features import COLUMNS
from generate.chinese.likeness import CosineLikeness
from generate.chinese.reader import ChineseWeights, read
from generate.chinese.spans import SPAN_KINDS, places_of
from generate.clauses import count_words
from ingest.generations import GenerationSpec
from ingest.models import ModelRuntime
from retrieve import Hit
from tests.fakes import HashingEncoder
from tests.generate.test_assessment import hit

SPEC = GenerationSpec("hashing", "1", 64, 60, 12, "a", "k")
WEIGHTS = SHIPPED_DATA / "models" / "chinese_reading_lexical.json"
PIER = (
    "諾斯港的碼頭建於1932年，由工程師陳志明設計。渡船「海鷗號」的風速上限為34節，超過時由船長決定停航，並在碼頭公告欄上通知乘客。"
    "碼頭收費處位於東岸，每日上午六時開放。"
)


class Elsewhere:
    """Stands for the assessor of everything that is not Chinese."""

    def assess(
        self, question: str, hits: Sequence[Hit], spec: GenerationSpec, *, without: Collection[Quote] = ()
    ) -> Assessment:
        return Assessment((), 0.123, {})


@pytest.fixture
def runtime() -> Iterator[ModelRuntime]:
    opened = ModelRuntime()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def assessor() -> ChineseAssessor:
    return ChineseAssessor(ChineseWeights.load(WEIGHTS), likeness=None, otherwise=Elsewhere())


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("諾斯港的碼頭建於哪一年？", "1932年"),
        ("碼頭是由誰設計的？", "陳志明"),
        ("海鷗號的風速上限為多少節？", "34節"),
        ("碼頭收費處位於哪裡？", "東岸"),
    ],
)
def test_the_span_that_answers_is_marked_in_a_short_quote(
    assessor: ChineseAssessor, question: str, answer: str
) -> None:
    """Quotes are verbatim, with the offsets of the document, and no longer than what counts as an answer."""
    passage = hit(PIER, start=100)
    best = assessor.assess(question, [passage], SPEC).sentences[0]
    assert answer in best.quote.text
    assert best.quote.text == PIER[best.quote.start - 100 : best.quote.end - 100]
    assert count_words(best.quote.text) <= 40
    marked = best.quote.text[best.spans[0].start : best.spans[0].end]
    assert marked in best.quote.text
    assert set(answer) & set(marked)


def test_the_confidence_is_higher_where_the_passage_answers(assessor: ChineseAssessor) -> None:
    """The same question over a passage of another matter."""
    other = "市政廳的圖書館收藏地方報紙，讀者可以在二樓閱覽。館員每週整理一次舊報，並編製索引供研究者使用。"
    question = "海鷗號的風速上限為多少節？"
    with_answer = assessor.assess(question, [hit(PIER)], SPEC).confidence
    assert with_answer > 0.5 > assessor.assess(question, [hit(other)], SPEC).confidence


def test_what_is_not_chinese_is_left_to_the_other_assessor(assessor: ChineseAssessor) -> None:
    """Questions in English, Japanese and Korean, and Chinese ones over passages without Chinese."""
    for question, passage in [
        ("When was the pier built?", PIER),
        ("桟橋はいつ建てられましたか", PIER),
        ("부두는 언제", PIER),
        ("碼頭建於哪一年？", "The pier was built in 1932."),
    ]:
        assert assessor.assess(question, [hit(passage)], SPEC).confidence == 0.123
    assert reads_chinese("MV Fulmar 的风速上限是多少？")


def test_quotes_that_were_given_are_left_out(assessor: ChineseAssessor) -> None:
    """As if they were not there; with all of them gone, nothing is left."""
    question = "諾斯港的碼頭建於哪一年？"
    first = assessor.assess(question, [hit(PIER)], SPEC).sentences[0].quote
    rest = assessor.assess(question, [hit(PIER)], SPEC, without=[first])
    assert all(one.quote.start >= first.end or one.quote.end <= first.start for one in rest.sentences)
    everything = Quote(hit(PIER), 0, len(PIER))
    assert assessor.assess(question, [hit(PIER)], SPEC, without=[everything]) == Assessment((), 0.0, {})


def test_the_shares_of_all_quotes_are_a_distribution(assessor: ChineseAssessor) -> None:
    """Scores are at most 1 together, best first."""
    scores = [one.score for one in assessor.assess("碼頭建於哪一年？", [hit(PIER)], SPEC).sentences]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1.0)


def test_an_endless_sentence_is_read_in_pieces() -> None:
    """Neither spans nor time grow beyond a piece."""
    passage = hit("碼頭的船隻很多" * 400 + "建於1932年")
    found = read("碼頭建於哪一年？", [passage])
    assert found is not None
    assert max(len(sentence.text) for sentence in found.sentences) <= 240
    assert len(found.owner) < 8 * 240 * 9


def test_every_row_of_features_belongs_to_its_span() -> None:
    """Also across sentences and passages; the text of the span is the text of the hit."""
    hits = [hit(PIER), replace(hit(PIER[:40], version_pk=2), chunk_id="2", rank=2)]
    found = read("碼頭建於哪一年？", hits)
    assert found is not None
    assert found.features.shape == (len(found.owner), COLUMNS)
    assert np.isfinite(found.features).all()
    for row in range(0, len(found.owner), 7):
        sentence, span = found.span(row)
        assert sentence.place.start <= span.start < span.end <= sentence.place.end


@pytest.mark.parametrize(
    ("sentence", "span", "kind"),
    [
        ("碼頭建於1932年", "1932年", "time"),
        ("渡船收费为26元", "26元", "number"),
        ("工程师陈志明设计了码头", "陈志明", "person"),
        ("他读《红楼梦》很久", "红楼梦", "title"),
        ("船长决定停航，并通知乘客", "船长决定停航，并通知乘客", "clause"),
    ],
)
def test_spans_have_a_kind(sentence: str, span: str, kind: str) -> None:
    """As their words look."""
    places = places_of(sentence)
    at = sentence.index(span)
    [row] = np.flatnonzero((places.start == at) & (places.end == at + len(span)))
    assert SPAN_KINDS[places.kind[row]] == kind


def test_a_passage_without_words_gives_nothing(assessor: ChineseAssessor) -> None:
    """Marks alone hold no span."""
    assert read("码头建于哪一年？", [hit("。。。")]) is None
    assert assessor.assess("码头建于哪一年？", [hit("一。")], SPEC).confidence < 0.5


def test_weights_of_other_features_are_refused(tmp_path: Path) -> None:
    """They would be multiplied with the wrong numbers."""
    path = tmp_path / "weights.json"
    path.write_text(WEIGHTS.read_text().replace(f'"columns": {COLUMNS}', '"columns": 3', 1))
    with pytest.raises(ValueError, match="fit it again"):
        ChineseWeights.load(path)


@pytest.mark.parametrize(
    ("embedder", "counted"),
    [("all-MiniLM-L6-v2+hashing", True), ("hashing", True), ("BAAI/bge-m3", False), ("hashing+other", False)],
)
def test_scores_of_another_embedder_do_not_count(runtime: ModelRuntime, embedder: str, counted: bool) -> None:
    """The weights were fitted on the cosines of one model; those of another are of another size."""
    likeness = CosineLikeness(runtime, HashingEncoder("hashing"), timeout_s=5)
    judge = ChineseAssessor(ChineseWeights.load(WEIGHTS), likeness=likeness, otherwise=Elsewhere())
    passage = hit(PIER)
    found = replace(passage, scores=replace(passage.scores, vector=0.75))
    signals = judge.assess("碼頭是由誰設計的？", [found], replace(SPEC, embedder=embedder)).features
    assert signals["passage_cosine"] == (0.75 if counted else 0.0)
