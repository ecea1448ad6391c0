"""The answer path on a whole service: events, citations, refusals, traces, redaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from copy import copy
from dataclasses import replace

import pytest

from api.bootstrap import Service
from generate.answer import (
    Answer,
    AnswerEvent,
    DoneEvent,
    DraftEvent,
    DroppedEvent,
    GeneratorInfo,
    Question,
    RetrievalEvent,
    SentenceEvent,
    Usage,
)
from generate.answerer import Answerer
from generate.assessment import Quote
from generate.citations import CitationChecker
from generate.feedback import record_feedback
from generate.generators import Draft, Evidence, Finished, Piece, Sentence
from generate.pipeline import Pipeline
from generate.policy import RefusalPolicy
from ingest.errors import Conflict, Gone
from retrieve import Access, Hit
from tests.ingestion import ingest, ingest_texts, upload, wait_for_job

TEXTS = {
    "fulmar.md": "# Fulmar\n\nMV Fulmar stops at 34 knots. The master decides at 05:00.\n",
    "food.md": "# Food\n\nThe café on deck five sells soup and bread. It closes at nine.\n",
}


class ScriptedGenerator:
    """Says what the test wants: good, unsupported and misquoted sentences over the first passage."""

    info = GeneratorInfo("scripted", "model-1", "prompt-1")

    def __init__(self, *sentences: str) -> None:
        self._sentences = sentences

    async def generate(self, evidence: Evidence) -> AsyncIterator[Piece]:
        hit = evidence.hits[0]
        for text in self._sentences:
            yield Draft(text)
            at = hit.text.find("MV Fulmar")
            quote = Quote(hit, hit.char_start + at, hit.char_start + at + len("MV Fulmar stops at 34 knots."))
            yield Sentence(text, () if text == "Uncited." else (quote,))
        yield Finished(Usage(12, 3))


class PreparingGenerator(ScriptedGenerator):
    """Keeps what it was asked to prepare, and what came back of it; prepares for ever where `slow`."""

    def __init__(self, *sentences: str, slow: bool = False) -> None:
        super().__init__(*sentences)
        self._slow = slow
        self.prepared: list[Sequence[Hit]] = []
        self.given_up = 0
        self.got: list[object] = []

    async def prepare(self, question: str, hits: Sequence[Hit], template: str | None) -> object:
        self.prepared.append(hits)
        try:
            await asyncio.sleep(3600 if self._slow else 0)
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        return "prepared"

    async def generate(self, evidence: Evidence) -> AsyncIterator[Piece]:
        self.got.append(evidence.prepared)
        async for piece in super().generate(evidence):
            yield piece


def events(service: Service, question: Question, answerer: Answerer | None = None) -> list[AnswerEvent]:
    collection = service.collections.get("default")
    stream = (answerer or service.answerer).stream(
        question, collection=collection, generation=collection.live_generation, access=Access.everything(), key_id=None
    )

    async def drain() -> list[AnswerEvent]:
        return [event async for event in stream]

    return asyncio.run(drain())


def final(stream: list[AnswerEvent]) -> Answer:
    assert isinstance(stream[-1], DoneEvent)
    return stream[-1].answer


def lenient(service: Service, generator: ScriptedGenerator) -> Answerer:
    """An answerer that refuses nothing beforehand and uses the scripted generator."""
    own = service.answerer.pipeline
    pipeline = Pipeline(
        searcher=service.searcher,
        assessor=own._assessor,
        generator=generator,
        checker=CitationChecker(service.catalogue, own._checker._support),
    )
    return Answerer(
        searcher=service.searcher,
        pipeline=pipeline,
        policy=RefusalPolicy(service.catalogue, 0.0),
        answers=service.answers,
        retrieve_settings=service.settings,
        settings=service.settings,
    )


@pytest.fixture
def filled(service: Service) -> Service:
    ingest_texts(service, TEXTS)
    return service


def test_quotes_are_slices_of_the_document_and_markers_count(filled: Service) -> None:
    """The answer is whole sentences; each citation covers its sentence and is a byte-exact slice of the version."""
    answer = final(
        events(
            filled,
            Question("At what wind does MV Fulmar stop?"),
            lenient(filled, ScriptedGenerator("MV Fulmar stops at 34 knots.")),
        )
    )
    [citation] = answer.citations
    text = filled.documents.text(filled.collections.get("default"), citation.document_id, citation.version).text
    assert text[citation.char_start : citation.char_end] == citation.quote == "MV Fulmar stops at 34 knots."
    assert answer.text is not None
    assert answer.text[citation.answer_start : citation.answer_end] == "MV Fulmar stops at 34 knots."
    assert (answer.status, citation.marker, answer.evidence_rate) == ("answered", "[1]", 1.0)


def test_unsupported_and_uncited_sentences_are_dropped(filled: Service) -> None:
    """What no quote supports is not part of the answer, which is then partial."""
    generator = ScriptedGenerator("MV Fulmar stops at 34 knots.", "Whales sing opera nightly.", "Uncited.")
    stream = events(filled, Question("At what wind does MV Fulmar stop?"), lenient(filled, generator))
    answer = final(stream)
    assert [type(event) for event in stream] == [RetrievalEvent, SentenceEvent, DroppedEvent, DroppedEvent, DoneEvent]
    assert (answer.status, answer.text) == ("partial", "MV Fulmar stops at 34 knots.")
    assert answer.evidence_rate == pytest.approx(1 / 3)
    assert answer.usage == Usage(12, 3)


def test_an_answer_without_any_supported_sentence_is_refused(filled: Service) -> None:
    """Typed as such, with the nearest passages."""
    answer = final(
        events(filled, Question("At what wind does MV Fulmar stop?"), lenient(filled, ScriptedGenerator("Uncited.")))
    )
    assert answer.refusal is not None
    assert (answer.status, answer.text, answer.refusal.reason) == ("refused", None, "unsupported_answer")
    assert answer.refusal.nearest[0].document_id == "fulmar.md"


def test_drafts_are_shown_only_on_request(filled: Service) -> None:
    """Unchecked text is never in the stream by default."""
    answerer = lenient(filled, ScriptedGenerator("MV Fulmar stops at 34 knots."))
    assert not any(isinstance(event, DraftEvent) for event in events(filled, Question("Fulmar?"), answerer))
    assert any(isinstance(event, DraftEvent) for event in events(filled, Question("Fulmar?", draft=True), answerer))


def test_an_empty_collection_has_no_evidence(service: Service) -> None:
    """A refusal is a result."""
    answer = final(events(service, Question("Anything?")))
    assert answer.refusal is not None
    assert (answer.refusal.reason, answer.confidence) == ("no_evidence", 0.0)


def test_below_the_threshold_nothing_is_generated(filled: Service) -> None:
    """The first decision of the policy rests on this question's evidence only."""
    strict = lenient(filled, ScriptedGenerator("MV Fulmar stops at 34 knots."))
    strict._policy = RefusalPolicy(filled.catalogue, 1.0)
    stream = events(filled, Question("What does a giraffe eat for lunch?"), strict)
    answer = final(stream)
    assert [type(event) for event in stream] == [RetrievalEvent, DoneEvent]
    assert answer.refusal is not None
    assert (answer.refusal.reason, answer.refusal.threshold) == ("low_confidence", 1.0)


def test_a_generator_prepares_while_the_evidence_is_judged(filled: Service) -> None:
    """From all passages; a refusal gives it up."""
    generator = PreparingGenerator("MV Fulmar stops at 34 knots.")
    stream = events(filled, Question("At what wind does MV Fulmar stop?"), lenient(filled, generator))
    assert isinstance(stream[0], RetrievalEvent)
    assert (generator.prepared, generator.got) == ([stream[0].hits], ["prepared"])
    slow = PreparingGenerator("MV Fulmar stops at 34 knots.", slow=True)
    strict = lenient(filled, slow)
    strict._policy = RefusalPolicy(filled.catalogue, 1.0)
    assert final(events(filled, Question("What does a giraffe eat for lunch?"), strict)).refusal is not None
    assert (len(slow.prepared), slow.given_up, slow.got) == (1, 1, [])


def test_what_was_prepared_with_an_outranked_passage_is_not_used(service: Service) -> None:
    """The generator is given the passages that are left, and nothing else."""
    texts = {
        "one.md": "# Pool\n\nThe deposit for a locker key is £20 in all halls.\n",
        "two.md": "# Pool\n\nThe deposit for a locker key is £35 in all halls.\n",
    }
    dates = {"one.md": {"date": "2024-01-01"}, "two.md": {"date": "2025-01-01"}}
    ingest(service, [upload(service, name, text.encode(), metadata=dates[name]) for name, text in texts.items()])
    generator = PreparingGenerator("Uncited.")
    settled = lenient(service, generator)
    settled.pipeline._conflicts = service.answerer.pipeline._conflicts
    answer = final(events(service, Question("How much is the deposit for a locker key?"), settled))
    assert [conflict.outranked_by for conflict in answer.conflicts] == ["date"]
    assert generator.got == [None]


def test_a_bound_on_the_risk_needs_a_certificate(filled: Service) -> None:
    """No calibration was made: 409, not a guess."""
    with pytest.raises(Conflict) as caught:
        events(filled, Question("At what wind does MV Fulmar stop?", max_risk=0.1))
    assert caught.value.code == "no_certificate"


def test_an_answer_is_kept_with_its_trace(filled: Service) -> None:
    """Candidates with the score of every stage, settings, generation, decision."""
    answer = final(events(filled, Question("At what wind does MV Fulmar stop?")))
    stored = filled.answers.get(answer.answer_id)
    assert stored.answer == answer
    assert stored.trace["candidates"][0]["document_id"] == "fulmar.md"
    assert stored.trace["candidates"][0]["scores"].keys() == {"vector", "lexical", "fused", "rerank", "credibility"}
    assert stored.trace["decision"]["threshold"] == filled.settings.answer_threshold
    assert stored.trace["generation"]["embedder"] == filled.settings.embedding_model


def test_deleting_a_document_takes_its_answers_along(filled: Service) -> None:
    """The answer is gone (410) and counted in the receipt."""
    answer = final(events(filled, Question("At what wind does MV Fulmar stop?")))
    receipt = filled.deletion.delete_documents(filled.collections.get("default"), ["fulmar.md"], key_id=None)
    filled.runner.notify()
    with filled.catalogue.read() as connection:
        job_id = connection.exec_driver_sql("SELECT job_id FROM jobs WHERE kind = 'purge'").scalar_one()
    wait_for_job(filled, job_id)
    with pytest.raises(Gone):
        filled.answers.get(answer.answer_id)
    assert filled.deletion.receipt(receipt.receipt_id).removed["answers_redacted"] == 1


def test_feedback_moves_the_credibility_of_what_was_cited(filled: Service) -> None:
    """Two wrong answers: Beta(1, 1) posterior mean 1/4."""
    collection = filled.collections.get("default")
    answerer = lenient(filled, ScriptedGenerator("MV Fulmar stops at 34 knots."))
    answer = final(events(filled, Question("At what wind does MV Fulmar stop?"), answerer))
    before = filled.documents.get(collection, "fulmar.md").credibility
    for _ in range(2):
        record_feedback(
            filled.catalogue,
            filled.answers.get(answer.answer_id),
            "incorrect",
            expected=None,
            comment=None,
            key_id=None,
        )
    after = filled.documents.get(collection, "fulmar.md").credibility
    assert (before.feedback, after.feedback) == (None, 0.25)
    assert after.score < before.score
    assert filled.documents.get(collection, "food.md").credibility.feedback is None


def test_the_fingerprint_names_everything_that_decides(filled: Service) -> None:
    """Same settings, same fingerprint; another generator, chunking or fitted confidence, another one."""
    generation = filled.collections.get("default").live_generation
    own = filled.answerer.fingerprint(generation)
    assert own == filled.answerer.fingerprint(generation)
    assert own != lenient(filled, ScriptedGenerator()).fingerprint(generation)
    smaller = replace(generation, spec=replace(generation.spec, chunk_tokens=generation.spec.chunk_tokens - 1))
    assert own != filled.answerer.fingerprint(smaller)
    refitted = copy(filled.answerer)
    refitted._judging = "another revision"
    assert own != refitted.fingerprint(generation)


def test_an_open_contradiction_is_shown_also_where_one_side_alone_would_not_be_believed(service: Service) -> None:
    """From half of the threshold on, with both sides; an answer never comes of it."""
    texts = {
        "one.md": "# Pool\n\nThe deposit for a locker key is £20 in all halls.\n",
        "two.md": "# Lockers\n\nThe deposit for a locker key is £35 in all halls.\n",
    }
    ingest_texts(service, texts)
    question = Question("How much is the deposit for a locker key?", cache=False)
    sure = final(events(service, question)).confidence
    for threshold, reason in ((1.5 * sure, "conflicting_evidence"), (2.5 * sure, "low_confidence")):
        own = copy(service.answerer)
        own._policy = RefusalPolicy(service.catalogue, threshold)
        answer = final(events(service, question, own))
        assert answer.refusal is not None
        assert answer.refusal.reason == reason
        shown = {conflict.document_id for conflict in answer.conflicts}
        assert shown == (set(texts) if reason == "conflicting_evidence" else set())
