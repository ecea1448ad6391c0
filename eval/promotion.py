"""The gate before a swap: a generation goes live only if the question set comes out no worse on it."""

from __future__ import annotations

from eval.evaluation_job import EvaluationParts, Run
from eval.evaluations import Evaluation, Plan
from eval.question_store import StoredQuestionSet
from ingest.collections import Collection
from ingest.generations import Generation
from ingest.jobs import JobContext
from retrieve import GateVerdict


class PromotionGate:
    """Judges a built generation against the blessed baseline; implements `retrieve.GateCheck`."""

    def __init__(self, parts: EvaluationParts) -> None:
        self._parts = parts

    def require(self, question_set: str) -> None:
        """Raises `NotFound` (`question_set_not_found`)."""
        self._parts.question_sets.get(question_set)

    def judge(
        self, collection: Collection, generation: Generation, question_set: str, context: JobContext
    ) -> GateVerdict:
        """Passed only with the verdict `pass`: what cannot be compared is not let through.

        Interrupted, it goes on with the evaluation that it had begun.
        """
        stored = self._parts.question_sets.get(question_set)
        evaluation = self._begun(collection, generation, stored) or self._parts.evaluations.record(
            collection, self._plan(generation, stored)
        )
        finished = Run(self._parts, evaluation, stored.parsed(), context, job_pk=None).complete()
        reasons = "; ".join(finished.gate.get("reasons", [])) or "no metric is worse than the baseline"
        told = f"{finished.verdict}: {reasons} (evaluation {finished.evaluation_id})"
        return GateVerdict(finished.verdict == "pass", told)

    def _plan(self, generation: Generation, stored: StoredQuestionSet) -> Plan:
        return Plan(
            question_set=stored.name,
            question_set_sha256=stored.sha256,
            fingerprint=self._parts.answerer.fingerprint(generation),
            repeats=self._parts.settings.evaluation_repeats,
            generation_pk=generation.pk,
        )

    def _begun(self, collection: Collection, generation: Generation, stored: StoredQuestionSet) -> Evaluation | None:
        page = self._parts.evaluations.page(collection_pk=collection.pk, question_set=stored.name, limit=20)
        plan = self._plan(generation, stored)
        for one in page:
            same = (one.generation_pk, one.question_set_sha256, one.fingerprint, one.repeats) == (
                plan.generation_pk,
                plan.question_set_sha256,
                plan.fingerprint,
                plan.repeats,
            )
            if same and one.finished_at is None:
                return one
        return None
