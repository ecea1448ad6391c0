"""Evaluations as they are kept: one record a run, one row an ask, links to the documents that a row quotes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from eval.rows import EvaluationRow
from eval.schema import evaluation_row_documents, evaluation_rows, evaluations
from ingest.catalogue import Catalogue, schema
from ingest.clock import now
from ingest.collections import Collection
from ingest.documents import new_id
from ingest.errors import NotFound
from ingest.jobs import count_steps, queue_job

_ROWS_PER_PAGE = 500


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A run: what was asked of what, and what came of it. `access` are the tags it asks with (None: everything).

    `environment` names what the result depends on; `stale` are questions whose gold is gone; `verdict`, `metrics` and
    `gate` are there once it has ended.
    """

    pk: int
    evaluation_id: str
    collection_pk: int
    collection: str
    key_id: str | None
    question_set: str | None
    question_set_sha256: str
    fingerprint: str
    repeats: int
    nightly: bool
    state: str
    job_id: str | None
    access: tuple[str, ...] | None
    generation_pk: int | None
    environment: Mapping[str, Any]
    stale: tuple[str, ...]
    verdict: str | None
    metrics: Mapping[str, Any]
    gate: Mapping[str, Any]
    created_at: str
    finished_at: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run: which version of which set, how often, on which pipeline, as whom.

    `access` are the tags to ask with (None: everything); `generation_pk` an index generation that is not live.
    """

    question_set: str
    question_set_sha256: str
    fingerprint: str
    repeats: int
    access: tuple[str, ...] | None = None
    key_id: str | None = None
    nightly: bool = False
    generation_pk: int | None = None


class Evaluations:
    """Creates, fills and finds evaluations."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def submit(self, collection: Collection, plan: Plan, *, asks: int, baseline: str | None = None) -> Evaluation:
        """Queue a run of `asks` asks; the runner of jobs has to be notified afterwards.

        `baseline` names an evaluation to compare with, in place of the blessed ones.
        """
        evaluation_id, job_id = new_id("eval"), new_id("job")

        def change(connection: Connection) -> None:
            _insert(connection, evaluation_id, collection, plan, job_id)
            queue_job(
                connection,
                job_id,
                "evaluation",
                collection_pk=collection.pk,
                key_id=plan.key_id,
                payload={"evaluation_id": evaluation_id, "baseline": baseline},
                total=asks,
            )

        self._catalogue.write(change)
        return self.get(evaluation_id)

    def record(self, collection: Collection, plan: Plan) -> Evaluation:
        """Note a run that another job does as one of its steps."""
        evaluation_id = new_id("eval")
        self._catalogue.write(lambda connection: _insert(connection, evaluation_id, collection, plan, None))
        return self.get(evaluation_id)

    def get(self, evaluation_id: str) -> Evaluation:
        """Raises `NotFound` (`evaluation_not_found`)."""
        with self._catalogue.read() as connection:
            row = connection.execute(_query().where(evaluations.c.evaluation_id == evaluation_id)).one_or_none()
        if row is None:
            raise NotFound(f"evaluation {evaluation_id[:80]!r} does not exist", code="evaluation_not_found")
        return _evaluation(row)

    def page(
        self,
        *,
        collection_pk: int | None = None,
        question_set: str | None = None,
        nightly: bool | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Evaluation]:
        """Newest first; `before` is the pk of the last one of the page before this."""
        query = _query()
        if collection_pk is not None:
            query = query.where(evaluations.c.collection_pk == collection_pk)
        if question_set is not None:
            query = query.where(evaluations.c.question_set == question_set)
        if nightly is not None:
            query = query.where(evaluations.c.nightly == int(nightly))
        if before is not None:
            query = query.where(evaluations.c.pk < before)
        with self._catalogue.read() as connection:
            return [
                _evaluation(row) for row in connection.execute(query.order_by(evaluations.c.pk.desc()).limit(limit))
            ]

    def begin(self, evaluation: Evaluation, *, environment: Mapping[str, Any], stale: Sequence[str]) -> None:
        """The run asks from now on."""
        self._update(evaluation, state="running", environment=dict(environment), stale=sorted(stale))

    def add_row(
        self,
        evaluation: Evaluation,
        row: EvaluationRow,
        document_pks: Mapping[str, int],
        job_pk: int | None,
        total: int,
    ) -> None:
        """Keep one row, and count it in the job where there is one; a row that is there already stays as it is."""

        def change(connection: Connection) -> None:
            if _has_row(connection, evaluation.pk, row):
                return
            key = connection.execute(
                insert(evaluation_rows).values(
                    evaluation_pk=evaluation.pk,
                    question_id=row.question_id,
                    replicate=row.replicate,
                    phrasing=row.phrasing,
                    row=row.as_json(),
                )
            ).inserted_primary_key
            assert key is not None
            quoted = {document_pks[one.document_id] for one in row.citations if one.document_id in document_pks}
            if quoted:
                links = [{"row_pk": key[0], "document_pk": pk} for pk in sorted(quoted)]
                connection.execute(insert(evaluation_row_documents), links)
            if job_pk is None:
                return
            done = select(func.count()).where(evaluation_rows.c.evaluation_pk == evaluation.pk)
            count_steps(connection, job_pk, done=connection.execute(done).scalar_one(), total=total)

        self._catalogue.write(change)

    def rows(self, evaluation: Evaluation) -> list[EvaluationRow]:
        """All rows in order of question id, phrasing and replicate."""
        return list(self.iterate_rows(evaluation))

    def iterate_rows(self, evaluation: Evaluation) -> Iterator[EvaluationRow]:
        """The rows of `rows`, read some at a time."""
        table = evaluation_rows
        after: tuple[str, int, int] | None = None
        while True:
            query = select(table).where(table.c.evaluation_pk == evaluation.pk)
            if after is not None:
                question_id, phrasing, replicate = after
                later = (table.c.question_id == question_id) & (
                    (table.c.phrasing > phrasing) | ((table.c.phrasing == phrasing) & (table.c.replicate > replicate))
                )
                query = query.where((table.c.question_id > question_id) | later)
            order = (table.c.question_id, table.c.phrasing, table.c.replicate)
            with self._catalogue.read() as connection:
                page = connection.execute(query.order_by(*order).limit(_ROWS_PER_PAGE)).all()
            for one in page:
                yield EvaluationRow.from_json(one.row)
            if len(page) < _ROWS_PER_PAGE:
                return
            after = (page[-1].question_id, page[-1].phrasing, page[-1].replicate)

    def finish(
        self, evaluation: Evaluation, *, state: str, verdict: str, metrics: Mapping[str, Any], gate: Mapping[str, Any]
    ) -> Evaluation:
        """Write the outcome."""
        self._update(
            evaluation, state=state, verdict=verdict, metrics=dict(metrics), gate=dict(gate), finished_at=now()
        )
        return self.get(evaluation.evaluation_id)

    def judge_again(self, evaluation: Evaluation, *, verdict: str, gate: Mapping[str, Any]) -> None:
        """Put a new verdict in the place of the one there was."""
        self._update(evaluation, verdict=verdict, gate=dict(gate))

    def _update(self, evaluation: Evaluation, **values: Any) -> None:
        statement = update(evaluations).where(evaluations.c.pk == evaluation.pk).values(**values)
        self._catalogue.write(lambda connection: connection.execute(statement))


def redact_evaluations(connection: Connection, document_pks: Sequence[int]) -> Mapping[str, int]:
    """Take out of every row what it quotes of these documents; scores stay. Returns how many rows. For deletion."""
    links, rows = evaluation_row_documents, evaluation_rows
    touched = select(links.c.row_pk).where(links.c.document_pk.in_(document_pks))
    found = connection.execute(select(rows.c.pk, rows.c.row).where(rows.c.pk.in_(touched))).all()
    for one in found:
        emptied = {**one.row, "answer": None, "short_answer": None, "citations": []}
        connection.execute(update(rows).where(rows.c.pk == one.pk).values(row=emptied))
    connection.execute(links.delete().where(links.c.row_pk.in_([one.pk for one in found])))
    return {"evaluation_rows": len(found)}


def _insert(connection: Connection, evaluation_id: str, collection: Collection, plan: Plan, job_id: str | None) -> None:
    connection.execute(
        insert(evaluations).values(
            evaluation_id=evaluation_id,
            collection_pk=collection.pk,
            key_id=plan.key_id,
            question_set=plan.question_set,
            question_set_sha256=plan.question_set_sha256,
            fingerprint=plan.fingerprint,
            repeats=plan.repeats,
            nightly=int(plan.nightly),
            state="queued",
            job_id=job_id,
            access=None if plan.access is None else sorted(plan.access),
            generation_pk=plan.generation_pk,
            metrics={},
            created_at=now(),
        )
    )


def _query() -> Any:
    collections, jobs = schema.collections, schema.jobs
    joined = evaluations.join(collections, collections.c.pk == evaluations.c.collection_pk).outerjoin(
        jobs, jobs.c.job_id == evaluations.c.job_id
    )
    return select(evaluations, collections.c.name.label("collection"), jobs.c.state.label("job_state")).select_from(
        joined
    )


def _evaluation(row: Row[Any]) -> Evaluation:
    return Evaluation(
        pk=row.pk,
        evaluation_id=row.evaluation_id,
        collection_pk=row.collection_pk,
        collection=row.collection,
        key_id=row.key_id,
        question_set=row.question_set,
        question_set_sha256=row.question_set_sha256,
        fingerprint=row.fingerprint,
        repeats=row.repeats,
        nightly=bool(row.nightly),
        state=row.state if row.finished_at is not None or row.job_state is None else row.job_state,
        job_id=row.job_id,
        access=None if row.access is None else tuple(row.access),
        generation_pk=row.generation_pk,
        environment=row.environment or {},
        stale=tuple(row.stale or ()),
        verdict=row.verdict or ("incomplete" if row.job_state in ("failed", "cancelled") else None),
        metrics=row.metrics,
        gate=row.gate or {},
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


def _has_row(connection: Connection, evaluation_pk: int, row: EvaluationRow) -> bool:
    table = evaluation_rows
    query = select(table.c.pk).where(
        table.c.evaluation_pk == evaluation_pk,
        table.c.question_id == row.question_id,
        table.c.phrasing == row.phrasing,
        table.c.replicate == row.replicate,
    )
    return connection.execute(query).first() is not None
