"""The job that calibrates refusal for one collection, and writes the certificate (or that there can be none)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sqlalchemy import func, select

from eval.evaluation_job import EvaluationParts
from eval.learn_then_test import Labelled, Promise, calibrate
from eval.probing import label, probe
from eval.question_sets import CALIBRATION_POOL, EvaluationQuestion
from eval.runs import Setting
from eval.workers import at_once
from generate.policy import Certificate, Certificates
from ingest.catalogue import schema
from ingest.clock import now
from ingest.collections import Collection, load_collection_by_key
from ingest.documents import new_id
from ingest.errors import CitewellError
from ingest.index_log import latest_seq
from ingest.jobs import Job, JobContext, count_steps
from retrieve import Access


class CalibrationHandler:
    """Handler of jobs of kind `calibration`. Interrupted, it begins anew; the draw of labels stays the same."""

    def __init__(self, parts: EvaluationParts, certificates: Certificates) -> None:
        self._parts = parts
        self._certificates = certificates

    def run(self, job: Job, context: JobContext) -> str:
        payload = job.payload
        with self._parts.catalogue.read() as connection:
            collection = load_collection_by_key(connection, job.collection_pk)
        stored = self._parts.question_sets.get(payload["question_set"], payload["question_set_sha256"])
        fingerprint = self._parts.answerer.fingerprint(collection.live_generation)
        chunks, seq = self._extent(collection)
        asked = self._labels(labelled_pool(stored.parsed().questions), collection, job, context)
        labels = self._parts.answerer.run(asked)
        risk, confidence = float(payload["risk"]), float(payload["confidence"])
        seed = int(stored.sha256[:8], 16)  # frozen: calibrating again until it works would break the promise
        promise = calibrate(labels, risk=risk, delta=1 - confidence, seed=seed)
        self._certificates.issue(
            _certificate(promise, risk, confidence, fingerprint, chunks, seq), collection_pk=collection.pk
        )
        return "succeeded"

    async def _labels(
        self, questions: Sequence[EvaluationQuestion], collection: Collection, job: Job, context: JobContext
    ) -> list[Labelled]:
        """The labels that could be had; a question that fails, or has no gold answer, has none."""
        parts, found = self._parts, list[Labelled]()
        setting = Setting(
            collection, collection.live_generation, Access.everything(), None, parts.top_k, 0.0, parts.process
        )
        context.report_stage("asking")
        waiting, done = iter(questions), 0

        async def work() -> None:
            nonlocal done
            for question in waiting:
                try:
                    outcome = await probe(question, answerer=parts.answerer, setting=setting)
                except CitewellError:
                    outcome = None
                if outcome is not None and (one := label(question, outcome)) is not None:
                    found.append(one)
                done += 1
                await asyncio.to_thread(self._count, job, done, len(questions))
                await asyncio.to_thread(context.check)

        await at_once(work, workers=parts.settings.evaluation_concurrency)
        return sorted(found, key=lambda one: (one.cluster, one.confidence, one.wrong))

    def _count(self, job: Job, done: int, total: int) -> None:
        self._parts.catalogue.write(lambda connection: count_steps(connection, job.pk, done=done, total=total))

    def _extent(self, collection: Collection) -> tuple[int, int]:
        """Live chunks of the live generation, and the change of the log they stand at."""
        chunks, documents = schema.chunks, schema.documents
        joined = chunks.join(documents, documents.c.live_version_pk == chunks.c.version_pk)
        counted = (
            select(func.count())
            .select_from(joined)
            .where(
                documents.c.collection_pk == collection.pk,
                documents.c.tombstoned_at.is_(None),
                chunks.c.generation_pk == collection.live_generation.pk,
            )
        )
        with self._parts.catalogue.read() as connection:
            return int(connection.execute(counted).scalar_one()), latest_seq(connection, collection.pk)


def labelled_pool(questions: Sequence[EvaluationQuestion]) -> list[EvaluationQuestion]:
    """The questions of pool `calibrate`, where the set names pools; all of them, where it does not."""
    pooled = [question for question in questions if question.pool == CALIBRATION_POOL]
    return pooled or [question for question in questions if question.pool is None]


def _certificate(
    promise: Promise, risk: float, confidence: float, fingerprint: str, chunks: int, seq: int
) -> Certificate:
    certain = promise.threshold is not None
    reason = None
    if not certain:
        reason = (
            f"no threshold could be shown, with {confidence:.0%} confidence, to keep wrong answers at {risk:.0%} or "
            f"below on {promise.tested_on} independent labels; at least {promise.needed} answers, all right, are needed"
        )
    return Certificate(
        certificate_id=new_id("cert"),
        fingerprint=fingerprint,
        state="valid" if certain else "cannot_certify",
        risk=risk,
        confidence=confidence,
        threshold=promise.threshold,
        answer_rate=promise.answer_rate if certain else None,
        n=promise.n,
        errors=promise.errors,
        chunks=chunks,
        seq=seq,
        reason=reason,
        created_at=now(),
    )
