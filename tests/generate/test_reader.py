"""The embedded reader: which sentences become the answer, and a whole service that reads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.bootstrap import Service, open_service
from api.settings import Settings
from generate.answer import AnswerSpan, Question
from generate.assessment import Quote, ScoredSentence
from generate.reader import asks_several, choose
from tests.fakes import HashingEncoder, OverlapReader
from tests.generate.test_answerer import events, final
from tests.generate.test_assessment import hit
from tests.ingestion import ingest_texts

TEXT = "Fulmar stops at 34 knots. Petrel stops at 38 knots. Fulmar is stopped at 34 knots. The pier is old."


def sentence(text: str, answer: str, score: float) -> ScoredSentence:
    at = TEXT.index(text)
    start = text.index(answer)
    return ScoredSentence(Quote(hit(TEXT), at, at + len(text)), score, (AnswerSpan(start, start + len(answer)),))


FULMAR = sentence("Fulmar stops at 34 knots.", "34 knots", 0.9)
AGAIN = sentence("Fulmar is stopped at 34 knots.", "34 knots", 0.85)
PETREL = sentence("Petrel stops at 38 knots.", "38 knots", 0.6)
PIER = sentence("The pier is old.", "old", 0.2)


def test_one_answer_is_one_sentence() -> None:
    """Unless another one, with another answer, is as good."""
    assert choose([FULMAR, AGAIN, PETREL, PIER], several=False) == [FULMAR]
    rival = sentence("Petrel stops at 38 knots.", "38 knots", 0.85)
    assert choose([FULMAR, rival], several=False) == [FULMAR, rival]
    assert choose([], several=False) == []


def test_several_answers_are_sentences_that_add_something() -> None:
    """Half as good is enough; a repetition is left out."""
    assert choose([FULMAR, AGAIN, PETREL, PIER], several=True) == [FULMAR, PETREL]


@pytest.mark.parametrize(
    ("question", "several"),
    [
        ("Which two ships stop at 34 knots?", True),
        ("What are the limits?", True),
        ("List the ships that stop.", True),
        ("哪些船停航？", True),
        ("At what wind does Fulmar stop?", False),
        ("Who was the master?", False),
    ],
)
def test_questions_for_several_things_are_known_by_their_words(question: str, several: bool) -> None:
    """By rule."""
    assert asks_several(question) is several


@pytest.fixture
def reading(settings: Settings) -> Iterator[Service]:
    """A service that reranks and reads with a fake model."""
    own = settings.model_copy(update={"generator": "reader", "reranker_model": "embedded", "answer_threshold": 0.0})
    load = HashingEncoder
    with open_service(own, load=lambda name, revision: load(name, revision), read=lambda _: OverlapReader()) as service:
        yield service


def test_a_service_reads_what_it_reranked(reading: Service) -> None:
    """The answer is a quoted sentence with its short answer marked; hits show the reranker's score; replay agrees."""
    ingest_texts(
        reading,
        {
            "fulmar.md": "# Fulmar\n\nMV Fulmar stops at 34 knots. The master decides at 05:00.\n",
            "food.md": "# Food\n\nThe café on deck five sells soup and bread. It closes at nine.\n",
        },
    )
    answer = final(events(reading, Question("At what wind does MV Fulmar stops at ?")))
    assert answer.text == "MV Fulmar stops at 34 knots."
    assert [answer.text[span.start : span.end] for span in answer.spans] == ["34"]
    assert (answer.generator.name, answer.generator.model) == ("reader", "overlap@1")
    assert {"rerank", "assess", "generate"} <= answer.timings_ms.keys()
    trace = reading.answers.get(answer.answer_id).trace
    assert trace["candidates"][0]["scores"]["rerank"] is not None
    assert trace["candidates"][0]["reading"]["spans"]
    assert trace["models"]["reranker"] == "overlap@1"
