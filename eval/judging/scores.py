"""Scores by a judge as they are kept: a row a metric and ask, with the failure where there is no score.

No text is kept. What was judged before, by the same judge, metric and version of ragas, on the same texts, is found
again under a hash of all of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, insert, select

from eval.evaluations import Evaluation
from eval.judging.ragas_metrics import RAGAS_VERSION, Judged
from eval.rows import EvaluationRow
from eval.schema import judge_scores
from ingest.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Score:
    """One metric of one ask; `value` is None where it is unscored, and `failure` then says why."""

    question_id: str
    phrasing: int
    replicate: int
    metric: str
    value: float | None
    failure: str | None

    @property
    def row_key(self) -> tuple[str, int, int]:
        """The key of the row that was judged."""
        return self.question_id, self.phrasing, self.replicate


class Scores:
    """Keeps scores and finds them again."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def add(self, evaluation: Evaluation, row: EvaluationRow, score: Score, *, key: str) -> None:
        """Keep one score of a row; `key` is that of `score_key`."""
        statement = insert(judge_scores).values(
            evaluation_pk=evaluation.pk,
            question_id=row.question_id,
            phrasing=row.phrasing,
            replicate=row.replicate,
            metric=score.metric,
            value=score.value,
            failure=score.failure,
            key=key,
        )
        self._catalogue.write(lambda connection: connection.execute(statement))

    def of(self, evaluation: Evaluation) -> Iterator[Score]:
        """All scores of a run, in order of metric and row."""
        table = judge_scores
        query = select(table).where(table.c.evaluation_pk == evaluation.pk)
        order = (table.c.metric, table.c.question_id, table.c.phrasing, table.c.replicate)
        with self._catalogue.read() as connection:
            found = connection.execute(query.order_by(*order)).all()
        yield from map(_score, found)

    def remembered(self, key: str) -> float | None:
        """The value that the same judge gave the same texts; None where it did not, or failed."""
        with self._catalogue.read() as connection:
            value: float | None = connection.execute(
                select(func.max(judge_scores.c.value)).where(judge_scores.c.key == key)
            ).scalar_one()
        return value


def score_key(metric: str, judge: str, judged: Judged) -> str:
    """SHA-256 (hex) over metric, ragas version, identity of the judge, and all texts."""
    texts = [judged.question, judged.answer, list(judged.contexts), judged.reference]
    return hashlib.sha256(json.dumps([metric, RAGAS_VERSION, judge, texts]).encode()).hexdigest()


def _score(row: Row[Any]) -> Score:
    return Score(row.question_id, row.phrasing, row.replicate, row.metric, row.value, row.failure)
