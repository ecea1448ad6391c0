"""Calibration as a job, and what becomes of its certificate."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from api.bootstrap import Service
from eval.question_sets import parse_question_set
from generate.answer import Question
from generate.policy import Certificate, Certificates
from ingest.documents import new_id
from ingest.errors import Conflict, NotFound
from ingest.jobs import queue_job
from retrieve import Access
from tests.ingestion import ingest_texts, wait_for_job

PLACES = [f"{name}{ending}" for name in ("Nor", "Tolm", "Ewen", "Skar", "Muri") for ending in "abcdefghijklmnop"]


def calibrated(service: Service, questions: list[dict[str, Any]]) -> Certificate:
    """The certificate after a calibration on these questions."""
    parsed = parse_question_set([json.dumps(question) for question in questions])
    stored, _ = service.evaluation.question_sets.put("labels", parsed, key_id=None)
    payload = {"question_set": "labels", "question_set_sha256": stored.sha256, "risk": 0.1, "confidence": 0.9}
    job_id = new_id("job")
    service.catalogue.write(
        lambda connection: queue_job(
            connection, job_id, "calibration", collection_pk=1, key_id=None, payload=payload, total=len(questions)
        )
    )
    service.runner.notify()
    job = wait_for_job(service, job_id)
    assert (job.state, job.done) == ("succeeded", len(questions)), job
    return latest(service)


def latest(service: Service) -> Certificate:
    collection = service.collections.get("default")
    fingerprint = service.answerer.fingerprint(collection.live_generation)
    return Certificates(service.catalogue).latest(collection.pk, fingerprint=fingerprint)


def questions(count: int) -> list[dict[str, Any]]:
    """Answerable questions, each about a document of its own."""
    return [
        {"id": place, "question": f"When was the lighthouse of {place} built?", "answers": [str(1800 + n)],
         "answerable": True, "gold_doc_ids": [f"{place}.txt"]}
        for n, place in enumerate(PLACES[:count])
    ]  # fmt: skip


@pytest.fixture
def lighthouses(service: Service) -> Service:
    """Eighty documents, each with an answer."""
    texts = {f"{place}.txt": f"The lighthouse of {place} was built in {1800 + n}." for n, place in enumerate(PLACES)}
    ingest_texts(service, texts)
    return service


def ask(service: Service, max_risk: float) -> Any:
    collection = service.collections.get("default")
    question = Question(f"When was the lighthouse of {PLACES[0]} built?", max_risk=max_risk)
    return asyncio.run(
        service.answerer.ask(
            question,
            collection=collection,
            generation=collection.live_generation,
            access=Access.everything(),
            key_id=None,
        )
    )


def test_a_certificate_serves_until_the_documents_change(lighthouses: Service) -> None:
    """Its threshold and risk stand in answers; more than a tenth of the chunks changed makes it void."""
    with pytest.raises(NotFound):
        latest(lighthouses)
    certificate = calibrated(lighthouses, questions(80))
    assert (certificate.state, certificate.risk, certificate.errors) == ("valid", 0.1, 0)
    assert certificate.n >= 22
    answer = ask(lighthouses, max_risk=0.1)
    assert answer.risk.certificate_id == certificate.certificate_id
    with pytest.raises(Conflict):
        ask(lighthouses, max_risk=0.05)
    ingest_texts(lighthouses, {f"new{n}.txt": f"The pier {n} is closed on Sundays." for n in range(9)})
    stale = latest(lighthouses)
    assert (stale.state, "chunks changed" in str(stale.reason)) == ("void", True)
    with pytest.raises(Conflict):
        ask(lighthouses, max_risk=0.1)


def test_too_few_labels_cannot_certify(lighthouses: Service) -> None:
    """Said plainly; the default threshold serves."""
    certificate = calibrated(lighthouses, questions(10))
    assert (certificate.state, certificate.threshold, certificate.answer_rate) == ("cannot_certify", None, None)
    assert "at least 22 answers" in str(certificate.reason)
    with pytest.raises(Conflict):
        ask(lighthouses, max_risk=0.1)


def test_only_the_calibration_pool_is_asked(lighthouses: Service) -> None:
    """Where the set names pools; the others are for the gate and for training."""
    pooled = [{**one, "pool": "calibrate" if n < 70 else "train"} for n, one in enumerate(questions(80))]
    parsed = parse_question_set([json.dumps(one) for one in pooled])
    from eval.calibration import labelled_pool

    assert len(labelled_pool(parsed.questions)) == 70


def test_another_pipeline_or_a_refutation_makes_it_void(lighthouses: Service) -> None:
    """A certificate belongs to a fingerprint."""
    certificate = calibrated(lighthouses, questions(80))
    store = Certificates(lighthouses.catalogue)
    assert store.latest(1, fingerprint="other").state == "void"
    store.void(certificate.certificate_id, "refuted")
    assert (latest(lighthouses).state, latest(lighthouses).reason) == ("void", "refuted")
