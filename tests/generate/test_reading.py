"""The reader's assessment: candidates around spans, their features, the fall-back for other scripts, no second read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import pytest

from generate.assessment import Assessment, Quote
from generate.logistic import LogisticModel
from generate.reading import CONFIDENCE_FEATURES, SENTENCE_FEATURES, ReadingAssessor, ReadingWeights
from ingest.generations import GenerationSpec
from ingest.models import ModelRuntime, Reading, SpanScore
from retrieve import Hit
from tests.fakes import OverlapReader
from tests.generate.test_assessment import hit

SPEC = GenerationSpec("hashing", "1", 64, 60, 12, "a", "k")
TEXT = "The pier is old. MV Fulmar stops at 34 knots. The master decides at 05:00, or earlier."
WEIGHTS = ReadingWeights(
    LogisticModel(tuple(float(name in ("span", "relevance")) for name in SENTENCE_FEATURES), 0.0),
    LogisticModel(tuple(float(name in ("span", "margin")) for name in CONFIDENCE_FEATURES), 0.0),
)


class Elsewhere:
    """Stands for the assessor of other scripts."""

    def assess(
        self, question: str, hits: Sequence[Hit], spec: GenerationSpec, *, without: Collection[Quote] = ()
    ) -> Assessment:
        return Assessment((), 0.123, {})


@pytest.fixture
def runtime() -> Iterator[ModelRuntime]:
    opened = ModelRuntime()
    yield opened
    opened.close()


def assessor(runtime: ModelRuntime, reader: OverlapReader | None = None) -> ReadingAssessor:
    return ReadingAssessor(runtime, reader or OverlapReader(), WEIGHTS, otherwise=Elsewhere(), timeout_s=5)


def marked(passage: Hit, *answers: tuple[str, float], relevance: float = 0.0, no_answer: float = -1.0) -> Hit:
    spans = [SpanScore(passage.text.index(a), passage.text.index(a) + len(a), score) for a, score in answers]
    return replace(passage, reading=Reading(relevance, no_answer, tuple(spans)))


def test_the_sentence_around_the_best_span_comes_first_with_the_span_marked(runtime: ModelRuntime) -> None:
    """Offsets of the quote are those of the document; the span's those of the quote."""
    passage = marked(hit(TEXT, start=100), ("34 knots", 3.0), ("old", -2.0))
    best, *others = assessor(runtime).assess("When does MV Fulmar stop?", [passage], SPEC).sentences
    assert best.quote.text == "MV Fulmar stops at 34 knots."
    assert (best.quote.start, best.quote.end) == (117, 145)
    assert [best.quote.text[span.start : span.end] for span in best.spans] == ["34 knots"]
    assert {other.quote.text for other in others} == {
        "The pier is old.",
        "The master decides at 05:00, or earlier.",
    }


def test_a_span_across_sentences_is_quoted_with_both(runtime: ModelRuntime) -> None:
    """Whole sentences."""
    passage = marked(hit(TEXT), ("34 knots. The master", 3.0))
    best = assessor(runtime).assess("Who stops?", [passage], SPEC).sentences[0]
    assert best.quote.text == "MV Fulmar stops at 34 knots. The master decides at 05:00, or earlier."


def test_a_passage_that_was_read_is_not_read_again(runtime: ModelRuntime) -> None:
    """The reader sees only the other one."""

    class Counting(OverlapReader):
        def __init__(self) -> None:
            super().__init__()
            self.passages: list[str] = []

        def read(self, pairs: Sequence[tuple[str, str]]) -> Sequence[Reading]:
            self.passages += [passage for _, passage in pairs]
            return super().read(pairs)

    reader = Counting()
    hits = [marked(hit(TEXT), ("34 knots", 3.0)), hit("Fulmar is a bird of the sea.", rank=2, version_pk=2)]
    assessor(runtime, reader).assess("What is a Fulmar?", hits, SPEC)
    assert reader.passages == ["Fulmar is a bird of the sea."]


def test_overlapping_passages_offer_a_sentence_once_with_its_better_reading(runtime: ModelRuntime) -> None:
    """The same place of the same version."""
    hits = [
        marked(hit(TEXT, start=10), ("34 knots", 1.0)),
        marked(hit(TEXT, rank=2, start=10), ("34 knots", 4.0)),
    ]
    found = assessor(runtime).assess("When does it stop?", hits, SPEC)
    assert len([one for one in found.sentences if "34 knots" in one.quote.text]) == 1
    assert found.features["span"] == 1.0


def test_agreement_of_other_documents_and_the_lead_count(runtime: ModelRuntime) -> None:
    """Another document with the same answer is no rival."""
    same = replace(hit("MV Fulmar is stopped at 34 knots.", rank=2, version_pk=2), document_pk=2)
    other = replace(hit("MV Fulmar is stopped at 38 knots.", rank=3, version_pk=3), document_pk=3)
    hits = [marked(hit(TEXT), ("34 knots", 3.0)), marked(same, ("34 knots", 2.0)), marked(other, ("38 knots", -4.0))]
    features = assessor(runtime).assess("When does MV Fulmar stop?", hits, SPEC).features
    assert features["agreement"] == 0.5
    assert features["margin"] > 0.4


def test_an_answer_seen_in_a_heading_or_question_is_not_quoted(runtime: ModelRuntime) -> None:
    """The paragraph below says it."""
    text = "### Is a trailer of 5 metres allowed?\n\nTrailers may be no longer than 3 metres. Are 4 metres allowed? No."
    passage = marked(hit(text), ("5 metres", 4.0), ("3 metres", 3.0), ("4 metres", 2.0))
    found = assessor(runtime).assess("How long may a trailer be?", [passage], SPEC).sentences
    assert found[0].quote.text == "Trailers may be no longer than 3 metres."
    assert not any("?" in one.quote.text for one in found)


@pytest.mark.parametrize(("passages", "few"), [(1, 1.0), (4, 0.25)])
def test_the_confidence_knows_how_few_passages_there_were(runtime: ModelRuntime, passages: int, few: float) -> None:
    """One alone does not stand above others; its relevance says nothing for or against it."""
    hits = [
        replace(marked(hit(TEXT, rank=rank, version_pk=rank), ("34 knots", 3.0), relevance=-rank), chunk_id=str(rank))
        for rank in range(1, passages + 1)
    ]
    features = assessor(runtime).assess("When does MV Fulmar stop?", hits, SPEC).features
    assert features["few_passages"] == few
    assert features["sharpness"] == pytest.approx((passages - 1) / 8)


def test_a_passage_left_unread_is_read_once_for_a_question(runtime: ModelRuntime) -> None:
    """Also where it is judged again without a rival's sentence; another question reads it anew."""
    reader = OverlapReader()
    judge, passage = assessor(runtime, reader), hit(TEXT)
    first = judge.assess("When does MV Fulmar stop?", [passage], SPEC)
    alone = judge.assess("When does MV Fulmar stop?", [passage], SPEC, without=[first.sentences[0].quote])
    assert reader.passages_read == 1
    assert first.sentences[0].quote not in [sentence.quote for sentence in alone.sentences]
    judge.assess("When does MV Gannet stop?", [passage], SPEC)
    assert reader.passages_read == 2


def test_other_scripts_and_no_passages(runtime: ModelRuntime) -> None:
    """Chinese goes elsewhere where the model reads English only; nothing to read is no confidence."""
    english = assessor(runtime, OverlapReader(languages=("en",)))
    assert english.assess("风速多少？", [hit(TEXT)], SPEC).confidence == 0.123
    assert english.assess("What wind?", [], SPEC) == Assessment((), 0.0, {})


@pytest.mark.parametrize(
    ("question", "feature"),
    [
        ("When does MV Gannet stop?", "unknown_names"),
        ("When does Gannet stop?", "other_names"),
        ("Which of the 12 boats stops?", "other_figures"),
        ("When does MV Fulmar not stop?", "denied"),
        ("When doesn't MV Fulmar stop?", "denied"),
        ("Is the pier new?", "opposites"),
    ],
)
def test_what_speaks_against_an_answer_is_a_signal(runtime: ModelRuntime, question: str, feature: str) -> None:
    """A name that the passage lacks, a name or figure where the sentence has others, a denial, an opposite; the plain
    question has none of them.
    """
    passage = marked(hit(TEXT), ("old", 3.0))
    place = SENTENCE_FEATURES.index(feature)
    against = [row[place] for _, row in assessor(runtime).feature_rows(question, [passage])]
    plain = [row[place] for _, row in assessor(runtime).feature_rows("How is the pier?", [passage])]
    assert max(against) > max(plain) == 0


def test_a_figure_of_the_title_is_not_missing(runtime: ModelRuntime) -> None:
    """A report of a year does not repeat the year in each sentence."""
    place = SENTENCE_FEATURES.index("other_figures")

    def signal(title: str) -> float:
        passage = marked(replace(hit("Repairs cost 4,100 euros."), title=title), ("4,100 euros", 3.0))
        return max(row[place] for _, row in assessor(runtime).feature_rows("What did repairs cost in 2024?", [passage]))

    assert signal("Report 2024") == 0 < signal("Report 2023")


def test_a_denial_counts_on_the_side_that_makes_it(runtime: ModelRuntime) -> None:
    """Who denies what: on both sides it is nothing against the answer."""

    def signals(question: str) -> tuple[float, float]:
        passage = marked(hit("The pier is not open to cars."), ("cars", 3.0))
        ((_, row),) = assessor(runtime).feature_rows(question, [passage])
        return row[SENTENCE_FEATURES.index("denied")], row[SENTENCE_FEATURES.index("denying")]

    assert signals("What is the pier open to?") == (0.0, 1.0)
    assert signals("What isn't the pier open to?") == (0.0, 0.0)


def test_words_of_the_question_may_stand_in_the_titles_or_nearby(runtime: ModelRuntime) -> None:
    """Missing are those that neither sentence nor titles have; nearby are those of the passage."""
    passage = marked(replace(hit(TEXT), title="Ferries of Skarva"), ("34 knots", 3.0))

    def signals(question: str) -> tuple[float, float]:
        rows = assessor(runtime).feature_rows(question, [passage])
        row = next(row for candidate, row in rows if "34 knots" in candidate.quote.text)
        return row[SENTENCE_FEATURES.index("missing")], row[SENTENCE_FEATURES.index("missing_nearby")]

    assert signals("When does the Skarva ferry Fulmar stop?") == (0.0, 0.0)
    assert signals("When does Fulmar stop at the pier?") == (0.5, 0.0)
    assert signals("When does Fulmar stop at the pier for passengers?") == (0.75, 0.5)
