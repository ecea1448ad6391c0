"""The job that runs an evaluation: asks what is left, judges, asks again where something is suspected, and concludes.

Killed at any moment it goes on where it was: rows are kept one by one, and everything after them is computed from them.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from sqlalchemy import select

from eval.abilities import ability_metrics
from eval.baselines import Baseline, Baselines
from eval.certificate_check import CertificateCheck, check_certificate
from eval.embedding_drift import Embed, canary_of, embedding_drift
from eval.evaluations import Evaluation, Evaluations
from eval.gate import RERUNS, Diagnosis, GateResult, diagnose, differences, flagged, judge
from eval.gate.comparability import scoring_fingerprint
from eval.gate.metrics import ItemKey
from eval.gate.nights import SlowDrift
from eval.judging import SecondOpinions
from eval.nights import drift_since_baseline
from eval.question_sets import QuestionSet
from eval.question_store import QuestionSets
from eval.replays import StoredReplays
from eval.rows import EvaluationRow
from eval.runs import Ask, Setting, planned_asks, run_asks
from eval.settings import EvalSettings
from eval.stored_judgement import gate_json
from eval.summary import metrics_json, metrics_of
from generate.answerer import Answerer
from generate.answers import Answers
from generate.policy import Certificates, RefusalPolicy
from generate.replay import Replayer
from ingest.catalogue import Catalogue, schema
from ingest.collections import Collection, load_collection_by_key
from ingest.errors import Conflict
from ingest.generations import Generation, load_generation
from ingest.jobs import Job, JobContext
from retrieve import Access, Searcher


@dataclass(frozen=True, slots=True)
class EvaluationParts:
    """What a run needs of the service. `process` names this start of it; `top_k` passages are read for an answer."""

    catalogue: Catalogue
    answerer: Answerer
    searcher: Searcher
    policy: RefusalPolicy
    answers: Answers
    replayer: Replayer
    question_sets: QuestionSets
    evaluations: Evaluations
    baselines: Baselines
    second_opinions: SecondOpinions
    embed: Embed
    settings: EvalSettings
    top_k: int
    process: str


class EvaluationHandler:
    """Handler of jobs of kind `evaluation`."""

    def __init__(self, parts: EvaluationParts) -> None:
        self._parts = parts

    def run(self, job: Job, context: JobContext) -> str:
        """Raises `Conflict` (`pipeline_changed`) when the pipeline is no longer the one that the run began with."""
        parts = self._parts
        evaluation = parts.evaluations.get(str(job.payload["evaluation_id"]))
        assert evaluation.question_set is not None
        stored = parts.question_sets.get(evaluation.question_set, evaluation.question_set_sha256)
        Run(parts, evaluation, stored.parsed(), context, job_pk=job.pk, baseline=job.payload.get("baseline")).complete()
        return "succeeded"


class Run:
    """One evaluation under way, in a job of its own or (`job_pk` None: uncounted) as a step of another.

    `baseline` names an evaluation to compare with in place of the blessed ones.
    """

    def __init__(
        self,
        parts: EvaluationParts,
        evaluation: Evaluation,
        questions: QuestionSet,
        context: JobContext,
        *,
        job_pk: int | None,
        baseline: str | None = None,
    ) -> None:
        self._parts, self._evaluation, self._questions = parts, evaluation, questions
        self._job_pk, self._context, self._named_baseline = job_pk, context, baseline
        with parts.catalogue.read() as connection:
            self._collection = load_collection_by_key(connection, evaluation.collection_pk)
            self._generation = (
                load_generation(connection, evaluation.generation_pk)
                if evaluation.generation_pk is not None
                else self._collection.live_generation
            )
            documents = schema.documents
            live = select(documents.c.document_id, documents.c.pk).where(
                documents.c.collection_pk == evaluation.collection_pk,
                documents.c.tombstoned_at.is_(None),
                documents.c.live_version_pk.is_not(None),
            )
            self._documents: dict[str, int] = {row.document_id: row.pk for row in connection.execute(live)}
        present = frozenset(self._documents)
        self._stale = frozenset(question.id for question in questions.questions if question.is_stale(present))
        self._baseline_runs, self._baseline_rows = self._load_baseline()

    def complete(self) -> Evaluation:
        """Ask, judge, ask again where something is suspected, and conclude; gives the finished evaluation."""
        repeats = self._evaluation.repeats
        self._begin()
        self._ask_all(range(repeats), "asking")
        outcome = self._judge(None)
        if outcome.wants_confirmation:
            self._ask_all(range(repeats, 2 * repeats), "confirming")
            outcome = self._judge(self._rows(1))
        return self._conclude(outcome)

    def _begin(self) -> None:
        """Note what the result depends on, or check that it is still so."""
        fingerprint = self._parts.answerer.fingerprint(self._generation)
        if fingerprint != self._evaluation.fingerprint:
            raise Conflict(
                f"the pipeline is {fingerprint}, but evaluation {self._evaluation.evaluation_id} was begun with "
                f"{self._evaluation.fingerprint}; start a new one",
                code="pipeline_changed",
            )
        if not self._evaluation.environment:
            self._parts.evaluations.begin(self._evaluation, environment=self._environment(), stale=sorted(self._stale))
        self._evaluation = self._parts.evaluations.get(self._evaluation.evaluation_id)

    def _ask_all(self, replicates: range, stage: str, only: Sequence[ItemKey] | None = None) -> None:
        """Ask what has no row yet; of some items only, where they are named."""
        self._context.report_stage(stage)
        done = {row.key for row in self._parts.evaluations.iterate_rows(self._evaluation)}
        planned = planned_asks(self._questions, replicates, without=self._stale)
        if only is not None:
            planned = [ask for ask in planned if (ask.question.id, ask.phrasing) in only]
        total = len(planned) + sum(key[2] < replicates.start for key in done)
        self._parts.answerer.run(self._ask([ask for ask in planned if ask.key not in done], total))

    async def _ask(self, asks: Sequence[Ask], total: int) -> None:
        access = Access.everything() if self._evaluation.access is None else Access(frozenset(self._evaluation.access))
        setting = Setting(
            collection=self._collection,
            generation=self._generation,
            access=access,
            key_id=self._evaluation.key_id,
            top_k=self._parts.top_k,
            threshold=self._threshold(),
            process=self._parts.process,
        )

        async def keep(row: EvaluationRow) -> None:
            await asyncio.to_thread(
                self._parts.evaluations.add_row, self._evaluation, row, self._documents, self._job_pk, total
            )
            await asyncio.to_thread(self._context.check)

        await run_asks(
            asks,
            answerer=self._parts.answerer,
            setting=setting,
            concurrency=self._parts.settings.evaluation_concurrency,
            on_row=keep,
        )

    def _rows(self, part: int) -> list[EvaluationRow]:
        """The rows of the run proper (0), those of its confirmation (1), or those of the items asked once more (2)."""
        first = self._evaluation.repeats
        rows = self._parts.evaluations.iterate_rows(self._evaluation)
        return [row for row in rows if min(row.replicate // first, 2) == part]

    def _judge(self, confirmation: Sequence[EvaluationRow] | None) -> GateResult:
        tonight = self._rows(0)
        unfit = self._unfit(tonight)
        if unfit is not None:
            return unfit
        must_pass = frozenset(question.id for question in self._questions.questions if question.must_pass)
        return judge(self._baseline_rows, tonight, confirmation, must_pass=must_pass, settings=self._parts.settings)

    def _conclude(self, outcome: GateResult) -> Evaluation:
        tonight = self._rows(0)
        drift = self._slow_drift(tonight)
        if drift is not None and drift.alarm and outcome.verdict == "pass":
            reason = f"task_success has been drifting down since the baseline (e = {drift.stakes[-1]:.0f})"
            outcome = GateResult("fail", (reason,), outcome.lines, "task_success", False, (), ())
        diagnosis = self._diagnose(tonight) if outcome.verdict == "fail" else None
        self._context.report_stage("judging")
        opinions = self._parts.second_opinions.gather(
            self._evaluation, self._questions, tonight, check=self._context.check
        )
        check = self._check_certificate()
        if check is not None and check.refuted:
            outcome = replace(outcome, warnings=(*outcome.warnings, f"certificate {check.certificate_id} is void now"))
        return self._parts.evaluations.finish(
            self._evaluation,
            state="succeeded",
            verdict=outcome.verdict,
            metrics=metrics_json(metrics_of(tonight) | ability_metrics(tonight) | opinions),
            gate=gate_json(outcome, diagnosis, drift, check, [run.evaluation_id for run in self._baseline_runs])
            | {"embedding_drift": self._embedding_drift(outcome, tonight)},
        )

    def _embedding_drift(self, outcome: GateResult, tonight: Sequence[EvaluationRow]) -> dict[str, Any] | None:
        """None where nothing was compared."""
        if outcome.verdict not in ("pass", "fail"):
            return None
        self._context.report_stage("embedding")
        before = self._baseline_rows, self._baseline_runs[0].environment
        return embedding_drift(self._parts.embed, self._generation, before, (tonight, self._evaluation.environment))

    def _unfit(self, tonight: Sequence[EvaluationRow]) -> GateResult | None:
        """The result where there is nothing to compare, or where it must not be."""
        share = len(self._stale) / len(self._questions.questions)
        if share > self._parts.settings.gate_stale_max:
            return GateResult.without_comparison(
                "incomplete", f"{share:.0%} of the questions are stale: their gold documents are not in the collection"
            )
        if not tonight:
            return GateResult.without_comparison("incomplete", "nothing was asked")
        if not self._baseline_runs:
            return GateResult.without_comparison("no_baseline", "no run of this question set was blessed yet")
        reasons = differences(self._baseline_runs[0].environment, self._evaluation.environment)
        return GateResult.without_comparison("not_comparable", *reasons) if reasons else None

    def _load_baseline(self) -> tuple[list[Evaluation], list[EvaluationRow]]:
        parts, wanted = self._parts, self._named_baseline
        if wanted is not None:
            runs = [parts.evaluations.get(wanted)]
        else:
            assert self._evaluation.question_set is not None
            found: Baseline | None = parts.baselines.current(self._collection.pk, self._evaluation.question_set)
            runs = [] if found is None else parts.baselines.runs(found)
        return runs, parts.baselines.rows(runs)

    def _slow_drift(self, tonight: Sequence[EvaluationRow]) -> SlowDrift | None:
        """Over the nights since the baseline, this one included; None by day or without a baseline."""
        if not self._evaluation.nightly or not self._baseline_rows:
            return None
        return drift_since_baseline(
            self._parts.evaluations,
            self._evaluation,
            tonight,
            blessed_at=max(run.created_at for run in self._baseline_runs),
            baseline=self._baseline_rows,
            level=self._parts.settings.gate_level,
        )

    def _check_certificate(self) -> CertificateCheck | None:
        """By night, against the labels of this night and of those before it."""
        if not self._evaluation.nightly:
            return None
        parts = self._parts
        certificates = Certificates(parts.catalogue)
        return check_certificate(certificates, parts.evaluations, self._evaluation, self._questions.questions)

    def _diagnose(self, tonight: Sequence[EvaluationRow]) -> Diagnosis:
        """Ask what lost most once more, and trace what is lost still."""
        first = 2 * self._evaluation.repeats
        self._ask_all(range(first, first + RERUNS), "locating", flagged(self._baseline_rows, tonight))
        access = Access.everything() if self._evaluation.access is None else Access(frozenset(self._evaluation.access))
        parts = self._parts
        replays = StoredReplays(parts.catalogue, self._collection.pk, parts.answers, parts.replayer, access)
        return diagnose(self._baseline_rows, tonight, replays, self._rows(2))

    def _threshold(self) -> float:
        decision = self._parts.policy.decide(
            collection_pk=self._collection.pk,
            fingerprint=self._parts.answerer.fingerprint(self._generation),
            max_risk=None,
        )
        return decision.threshold

    def _environment(self) -> dict[str, Any]:
        return {
            "question_set": self._questions.sha256,
            "scoring": scoring_fingerprint(),
            "judge": self._parts.second_opinions.judge_identity,
            "access": None if self._evaluation.access is None else list(self._evaluation.access),
            "canary": canary_of(self._parts.embed, self._generation),
            **pipeline_environment(self._parts, self._collection, self._generation, self._threshold()),
        }


def pipeline_environment(
    parts: EvaluationParts, collection: Collection, generation: Generation, threshold: float
) -> dict[str, Any]:
    """What an answer depends on beside the question, by name."""
    info = parts.answerer.generator_info()
    return {
        "fingerprint": parts.answerer.fingerprint(generation),
        "generation": generation.generation,
        "snapshot_seq": parts.searcher.snapshot_seq(collection_pk=collection.pk, generation=generation),
        "generator": [info.name, info.model, info.prompt],
        "reranker": parts.searcher.reranker_name,
        "threshold": threshold,
        "top_k": parts.top_k,
        "concurrency": parts.settings.evaluation_concurrency,
        "versions": {name: version(name) for name in ("citewell", "torch", "numpy")}
        | {"python": platform.python_version()},
        "machine": platform.machine(),
    }
