"""Which answers of a run are judged, how many at a time, and what their scores come to."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from eval.evaluations import Evaluation
from eval.judging import ragas_metrics
from eval.judging.judge import ServerJudge
from eval.judging.ragas_metrics import Judged
from eval.judging.scores import Score, Scores, score_key
from eval.question_sets import EvaluationQuestion, QuestionSet
from eval.rows import EvaluationRow
from eval.settings import EvalSettings
from eval.summary import Metric, mean_metric
from eval.workers import at_once
from ingest.errors import CitewellError

Passages = Callable[[EvaluationRow], Sequence[str]]
"""The passages that an answer was made of; raises `CitewellError` when they are gone."""


class SecondOpinions:
    """Judges the answers of runs. `judge` None: only what needs no language model."""

    def __init__(self, scores: Scores, passages: Passages, settings: EvalSettings, judge: ServerJudge | None) -> None:
        self.scores = scores
        self.judge = judge
        self._passages, self._settings = passages, settings

    @property
    def judge_identity(self) -> str | None:
        """Who judges; None where nobody does."""
        return self.judge.identity if self.judge else None

    def gather(
        self,
        evaluation: Evaluation,
        questions: QuestionSet,
        rows: Sequence[EvaluationRow],
        check: Callable[[], None],
    ) -> dict[str, Metric]:
        """Metrics by name, `ragas_…`; empty without ragas. Judges what has no score yet; `check` may raise to stop."""
        if self._settings.ragas == "off" or not ragas_metrics.is_installed():
            return {}
        by_id = {question.id: question for question in questions.questions}
        found = asyncio.run(free_metrics(rows, by_id))
        if self.judge is not None:
            sample = sampled(rows, self._settings.judge_sample)
            asyncio.run(self._judge_all(evaluation, sample, by_id, self.judge, check))
            found |= self._judged_metrics(evaluation, sample)
        return found

    async def _judge_all(
        self,
        evaluation: Evaluation,
        sample: Sequence[EvaluationRow],
        questions: Mapping[str, EvaluationQuestion],
        judge: ServerJudge,
        check: Callable[[], None],
    ) -> None:
        """A score or a failure for every metric and row of the sample; at most `judge_concurrency` at a time."""
        done = {(score.metric, *score.row_key) for score in await asyncio.to_thread(self._scores_of, evaluation)}
        left = iter(
            (metric, row) for row in sample for metric in self._settings.judge_metrics if (metric, *row.key) not in done
        )

        async def work() -> None:
            for metric, row in left:
                await asyncio.to_thread(check)
                key, score = await self._scored(metric, row, questions[row.question_id], judge)
                await asyncio.to_thread(self.scores.add, evaluation, row, score, key=key)

        try:
            await at_once(work, workers=self._settings.judge_concurrency)
        finally:
            await judge.aclose()

    async def _scored(
        self, metric: str, row: EvaluationRow, question: EvaluationQuestion, judge: ServerJudge
    ) -> tuple[str, Score]:
        def outcome(value: float | None, failure: str | None) -> Score:
            return Score(row.question_id, row.phrasing, row.replicate, metric, value, failure)

        try:
            passages = await asyncio.to_thread(self._passages, row)
        except CitewellError as failure:
            return "", outcome(None, failure.code)
        assert row.answer is not None
        judged = Judged(row.question, row.answer, tuple(passages), question.answers[0] if question.answers else None)
        key = score_key(metric, judge.identity, judged)
        if not ragas_metrics.applies(metric, judged):
            return key, outcome(None, "does_not_apply")
        if (known := await asyncio.to_thread(self.scores.remembered, key)) is not None:
            return key, outcome(known, None)
        value, failed = await _asked(lambda: ragas_metrics.judged_score(metric, judge, judged))
        return key, outcome(value, failed)

    def _scores_of(self, evaluation: Evaluation) -> list[Score]:
        return list(self.scores.of(evaluation))

    def _judged_metrics(self, evaluation: Evaluation, sample: Sequence[EvaluationRow]) -> dict[str, Metric]:
        clusters = {row.key: row.cluster for row in sample}
        values: dict[str, list[tuple[str, float | None]]] = {name: [] for name in self._settings.judge_metrics}
        for score in self._scores_of(evaluation):
            if score.row_key in clusters and score.metric in values:
                values[score.metric].append((clusters[score.row_key], score.value))
        return {f"ragas_{name}": mean_metric(pairs) for name, pairs in values.items()}


def sampled(rows: Sequence[EvaluationRow], count: int) -> list[EvaluationRow]:
    """Up to `count` answers among the first asks of each question, drawn by a hash: night after night the same ones.

    Refusals and failures are left out: ragas scores a refusal as unfaithful, irrelevant or not at all, as it comes.
    """
    given = [row for row in rows if row.replicate == 0 and row.phrasing == 0 and row.answer is not None]
    drawn = sorted(given, key=lambda row: hashlib.sha256(row.question_id.encode()).hexdigest())[:count]
    return sorted(drawn, key=lambda row: row.key)


async def free_metrics(rows: Sequence[EvaluationRow], questions: Mapping[str, EvaluationQuestion]) -> dict[str, Metric]:
    """Metrics of ragas without a language model: of answers given, and of what was retrieved for answerable asks."""
    values: dict[str, list[tuple[str, float | None]]] = {}
    for row in rows:
        question = questions[row.question_id]
        for name, asking in _free(row, question):
            value, _ = await _asked(asking)
            values.setdefault(name, []).append((row.cluster, value))
    return {f"ragas_{name}": mean_metric(pairs) for name, pairs in sorted(values.items())}


def _free(
    row: EvaluationRow, question: EvaluationQuestion
) -> Iterator[tuple[str, Callable[[], Awaitable[float | None]]]]:
    relevant = sorted({gold.document_id for group in question.evidence_groups for gold in group})
    if relevant and row.decision != "error":
        retrieved = [name.rsplit("@", 1)[0] for name in row.retrieved]
        yield "id_recall", lambda: ragas_metrics.id_recall(retrieved, relevant)
        yield "id_precision", lambda: ragas_metrics.id_precision(retrieved, relevant)
    answer, short, golds = row.answer, row.short_answer, question.answers
    if answer is not None and short is not None and golds:
        yield "string_presence", lambda: ragas_metrics.string_presence(answer, golds)
        yield "exact_match", lambda: ragas_metrics.exact_match(short, golds)
        yield "string_similarity", lambda: ragas_metrics.string_similarity(short, golds)


async def _asked(asking: Callable[[], Awaitable[float | None]]) -> tuple[float | None, str | None]:
    """The value, or why there is none: whatever a metric raises leaves its row unscored and the others alone."""
    try:
        value = await asking()
    except CitewellError as failure:
        return None, failure.code
    except ValueError:
        return None, "invalid_reply"
    except Exception as failure:  # noqa: BLE001 - of another project's code anything may come; it must not cost the run
        return None, f"metric_failed_{type(failure).__name__}"[:60]
    return value, None if value is not None else "undefined"
