"""Blessed baselines: which runs tonight is compared with. Frozen; a new one is a recorded act of a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Row, insert, select

from eval.evaluations import Evaluation, Evaluations
from eval.gate.comparability import differences
from eval.rows import EvaluationRow
from eval.schema import baselines
from ingest.catalogue import Catalogue
from ingest.clock import now
from ingest.documents import new_id
from ingest.errors import Conflict, InvalidInput


@dataclass(frozen=True, slots=True)
class Baseline:
    """The runs whose replicates together are the baseline of a question set on a collection."""

    baseline_id: str
    collection_pk: int
    question_set: str
    evaluation_ids: tuple[str, ...]
    key_id: str | None
    note: str | None
    created_at: str


class Baselines:
    """Blesses runs, and finds what was blessed last."""

    def __init__(self, catalogue: Catalogue, evaluations: Evaluations) -> None:
        self._catalogue = catalogue
        self._evaluations = evaluations

    def bless(self, runs: Sequence[Evaluation], *, key_id: str | None, note: str | None = None) -> Baseline:
        """Make the replicates of these runs the baseline of their question set, until another one is blessed.

        Raises `Conflict` (`not_finished`, `not_comparable`) unless all have ended well, on one collection, with equal
        questions, judge, scoring code and pipeline; `InvalidInput` for none.
        """
        if not runs:
            raise InvalidInput("name at least one evaluation to bless", code="invalid_request")
        first = runs[0]
        for run in runs:
            _check(first, run)
        assert first.question_set is not None
        values = {
            "baseline_id": new_id("base"),
            "collection_pk": first.collection_pk,
            "question_set": first.question_set,
            "question_set_sha256": first.question_set_sha256,
            "evaluation_ids": list(dict.fromkeys(run.evaluation_id for run in runs)),
            "key_id": key_id,
            "note": note,
            "created_at": now(),
        }
        self._catalogue.write(lambda connection: connection.execute(insert(baselines).values(**values)))
        found = self.current(first.collection_pk, first.question_set)
        assert found is not None
        return found

    def current(self, collection_pk: int, question_set: str) -> Baseline | None:
        """The baseline blessed last; None before the first."""
        query = select(baselines).where(
            baselines.c.collection_pk == collection_pk, baselines.c.question_set == question_set
        )
        with self._catalogue.read() as connection:
            row = connection.execute(query.order_by(baselines.c.pk.desc()).limit(1)).one_or_none()
        return None if row is None else _baseline(row)

    def runs(self, baseline: Baseline) -> list[Evaluation]:
        return [self._evaluations.get(evaluation_id) for evaluation_id in baseline.evaluation_ids]

    def rows(self, runs: Sequence[Evaluation]) -> list[EvaluationRow]:
        """The replicates of all runs together."""
        return [row for run in runs for row in self._evaluations.iterate_rows(run)]


def _check(first: Evaluation, run: Evaluation) -> None:
    if run.state != "succeeded":
        raise Conflict(
            f"evaluation {run.evaluation_id} is {run.state}; only a finished one can be blessed", code="not_finished"
        )
    reasons = differences(first.environment, run.environment)
    if run.collection_pk != first.collection_pk or run.question_set != first.question_set:
        reasons.append("another collection or question set")
    if run.fingerprint != first.fingerprint:
        reasons.append("the pipeline is another")
    if reasons:
        raise Conflict(
            f"evaluations {first.evaluation_id} and {run.evaluation_id} cannot be one baseline: {'; '.join(reasons)}",
            code="not_comparable",
        )


def _baseline(row: Row[tuple[object, ...]]) -> Baseline:
    fields = row._mapping
    return Baseline(
        fields["baseline_id"],
        fields["collection_pk"],
        fields["question_set"],
        tuple(fields["evaluation_ids"]),
        fields["key_id"],
        fields["note"],
        fields["created_at"],
    )
