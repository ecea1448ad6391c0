"""Re-indexing behind the gate."""

from __future__ import annotations

import json

import pytest

from api.bootstrap import Service
from eval.question_sets import parse_question_set
from ingest.collections import CollectionSettings
from ingest.errors import NotFound
from ingest.jobs import Job
from tests.eval.test_runs import run
from tests.ingestion import ingest_texts, wait_for_job

PLACES = ("Norra", "Tolm", "Ewen", "Skarva", "Muriel", "Fulmar", "Hester", "Aurora")


def fact(place: str, n: int) -> str:
    """About fifty tokens, which must be in one piece to be evidence."""
    return (
        f"After long talks with the fishermen of the islands and with the owners of the ferries the harbour board of "
        f"{place} decided that a light should be built on the outer reef and not on the hill behind the town. "
        f"The lighthouse of {place} was finished in {1850 + n}."
    )


@pytest.fixture
def lighthouses(service: Service) -> Service:
    """Eight documents, and a question about each whose evidence is a whole sentence."""
    facts = {place: fact(place, n) for n, place in enumerate(PLACES)}
    ingest_texts(service, {f"{place}.txt": text for place, text in facts.items()})
    lines = [
        json.dumps({
            "id": place, "question": f"When was the lighthouse of {place} finished?", "answers": [str(1850 + n)],
            "answerable": True, "gold_evidence": [[{"document_id": f"{place}.txt", "quote": facts[place]}]],
        })
        for n, place in enumerate(PLACES)
    ]  # fmt: skip
    service.evaluation.question_sets.put("set", parse_question_set(lines), key_id=None)
    return service


def reindex(service: Service, chunk_tokens: int) -> Job:
    collection = service.collections.get("default")
    wanted = CollectionSettings(chunk_tokens=chunk_tokens)
    job_id = service.reindex_collection(collection, wanted, gate="set", key_id=None)
    service.runner.notify()
    return wait_for_job(service, job_id)


def test_a_generation_that_is_no_worse_goes_live(lighthouses: Service) -> None:
    """With a blessed baseline; the evaluation is kept with its generation."""
    lighthouses.evaluation.baselines.bless([run(lighthouses, repeats=3)], key_id=None)
    job = reindex(lighthouses, 80)
    assert job.state == "succeeded", job
    collection = lighthouses.collections.get("default")
    assert collection.live_generation.spec.chunk_tokens == 80
    newest = lighthouses.evaluation.evaluations.page(limit=1)[0]
    assert (newest.verdict, newest.generation_pk) == ("pass", collection.live_generation.pk)


def test_a_generation_that_loses_evidence_is_rejected(lighthouses: Service) -> None:
    """Chunks of sixteen tokens hold no whole sentence: the live generation stays, and the reason is told."""
    lighthouses.evaluation.baselines.bless([run(lighthouses, repeats=3)], key_id=None)
    before = lighthouses.collections.get("default").live_generation
    job = reindex(lighthouses, 16)
    assert (job.state, job.error_code) == ("failed", "gate_failed")
    assert "retrieval_coverage" in str(job.error_message)
    assert lighthouses.collections.get("default").live_generation == before


def test_without_a_baseline_nothing_is_let_through(lighthouses: Service) -> None:
    """What cannot be compared is not known to be as good; and an unknown set is told at once."""
    job = reindex(lighthouses, 80)
    assert (job.state, "no_baseline" in str(job.error_message)) == ("failed", True)
    collection = lighthouses.collections.get("default")
    with pytest.raises(NotFound):
        lighthouses.reindex_collection(collection, CollectionSettings(chunk_tokens=80), gate="nix", key_id=None)
