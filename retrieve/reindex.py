"""Changing what an index is built from: another generation beside the live one, then one swap; and the way back.

A re-index is a job: it builds chunks, vectors and indexes of the new generation while the live one serves, asks the
gate where one is named, takes in what arrived meanwhile, and makes the generation live in one transaction. Killed at
any moment it goes on where it was. The generation before is kept, so that going back is another swap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sqlalchemy import Connection, select, update

from ingest.catalogue import Catalogue, schema
from ingest.collections import Collection, CollectionSettings, load_collection_by_key
from ingest.documents import check_collection, new_id
from ingest.errors import Conflict, NotFound
from ingest.generations import (
    Generation,
    GenerationSpec,
    create_generation,
    list_generations,
    load_generation,
    set_state,
)
from ingest.jobs import TERMINAL_STATES, Job, JobCancelled, JobContext, queue_job
from ingest.reindexing import CommitLocks, GenerationBuilder, count_missing, delete_chunks
from retrieve.snapshots import Indexes

_FEW = 64
_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """Whether a generation may go live, and in words why."""

    passed: bool
    reason: str


class GateCheck(Protocol):
    """Judges a built generation by a question set before it goes live; implemented by `eval`."""

    def require(self, question_set: str) -> None:
        """Raises `NotFound` unless there is such a question set."""
        ...

    def judge(
        self, collection: Collection, generation: Generation, question_set: str, context: JobContext
    ) -> GateVerdict:
        """Ask the questions of the generation, and compare with the baseline. May take long; checks `context`."""
        ...


class Generations:
    """Asks for re-indexes, activates and lists generations. `gate` judges where a re-index names a question set."""

    def __init__(self, catalogue: Catalogue, indexes: Indexes, gate: GateCheck | None = None) -> None:
        self._catalogue = catalogue
        self._indexes = indexes
        self._gate = gate

    def list(self, collection: Collection) -> list[Generation]:
        """All generations, oldest first; one whose job has ended without it is `abandoned`."""
        with self._catalogue.read() as connection:
            building = _generations_in_work(connection, collection.pk)
            return [_settled(one, building) for one in list_generations(connection, collection.name)]

    def reindex(
        self,
        collection: Collection,
        spec: GenerationSpec,
        settings: CollectionSettings,
        *,
        gate: str | None = None,
        key_id: str | None = None,
    ) -> str:
        """Queue the building of a generation of this `spec`; returns the job's id.

        The other `settings` (language, priors, templates) are applied with the swap. Raises `Conflict`: another
        re-index is under way (`reindex_in_progress`), or a gate is named and none can be run (`gate_unavailable`);
        `NotFound` for an unknown question set or a deleted collection.
        """
        if gate is not None:
            self._require_gate(gate)
        applied = {
            name: dict(value) if isinstance(value, Mapping) else value
            for name in ("language", "source_priors", "templates")
            if (value := getattr(settings, name)) is not None
        }

        def change(connection: Connection) -> str:
            check_collection(connection, collection)
            _refuse_second(connection, collection)
            generation = create_generation(connection, collection.name, spec, state="building")
            return _queue(connection, collection, generation.pk, key_id, settings=applied, gate=gate)

        return self._catalogue.write(change)

    def activate(
        self, collection: Collection, name: str, *, key_id: str | None = None
    ) -> tuple[Generation, str | None]:
        """Make a generation live that was live before, or that a gate rejected.

        At once, where its index is in memory and holds every live document: returns (generation, None). Otherwise a
        job makes up what it lacks first: returns (generation, job id). Raises `NotFound` (`generation_not_found`), and
        `Conflict` when it is being built or its chunks are gone (`generation_not_activatable`), or another re-index is
        under way (`reindex_in_progress`).
        """
        generation = next((one for one in self.list(collection) if one.generation == name), None)
        if generation is None:
            raise NotFound(
                f"collection {collection.name!r} has no generation {name[:80]!r}", code="generation_not_found"
            )
        if generation.state == "live":
            return generation, None
        if generation.state not in ("retired", "rejected"):
            raise Conflict(
                f"generation {name} is {generation.state}; one that is retired or rejected can be activated",
                code="generation_not_activatable",
            )
        resident = self._indexes.is_resident(generation)

        def change(connection: Connection) -> str | None:
            check_collection(connection, collection)
            _refuse_second(connection, collection)
            if resident and count_missing(connection, collection.pk, generation.pk) == 0:
                swap(connection, collection.pk, generation.pk, {})
                return None
            return _queue(connection, collection, generation.pk, key_id, settings={}, gate=None)

        job_id = self._catalogue.write(change)
        self._indexes.notify(collection.pk)
        with self._catalogue.read() as connection:
            return load_generation(connection, generation.pk), job_id

    def _require_gate(self, question_set: str) -> None:
        if self._gate is None:
            raise Conflict(
                "a gate is named, but this service has none to run; leave `gate` out to swap without one",
                code="gate_unavailable",
            )
        self._gate.require(question_set)


class ReindexHandler:
    """Handler of jobs of kind `reindex`."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        indexes: Indexes,
        builder: GenerationBuilder,
        locks: CommitLocks,
        generations_kept: int,
        gate: GateCheck | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._indexes = indexes
        self._builder = builder
        self._locks = locks
        self._generations_kept = generations_kept
        self._gate = gate

    def run(self, job: Job, context: JobContext) -> str:
        with self._catalogue.read() as connection:
            collection = load_collection_by_key(connection, job.collection_pk)
            generation = load_generation(connection, job.payload["generation_pk"])
        if collection.live_generation.pk != generation.pk:
            try:
                self._build(job, collection, generation, context)
                self._ask_gate(job, collection, generation, context)
                self._take_over(job, collection, generation, context)
            except JobCancelled:
                self._give_up(job, generation)
                raise
        context.report_stage("pruning")
        self._prune(collection.pk)
        return "succeeded"

    def _build(self, job: Job, collection: Collection, generation: Generation, context: JobContext) -> None:
        """Chunks, vectors and indexes of all that is live; what arrives meanwhile is taken in round by round."""
        context.report_stage("embedding")
        self._catalogue.write(lambda connection: set_state(connection, generation.pk, "building"))
        for _ in range(_ROUNDS):
            built = self._builder.build(collection.pk, generation, job.pk, context)
            context.report_stage("indexing")
            self._indexes.advance(collection.pk, generation)
            if built <= _FEW:
                return

    def _ask_gate(self, job: Job, collection: Collection, generation: Generation, context: JobContext) -> None:
        question_set = job.payload["gate"]
        if question_set is None:
            return
        context.report_stage("gate")
        if self._gate is None:
            raise Conflict("a gate is named, but this service has none to run", code="gate_unavailable")
        verdict = self._gate.judge(collection, generation, question_set, context)
        if not verdict.passed:
            self._catalogue.write(lambda connection: set_state(connection, generation.pk, "rejected"))
            raise Conflict(f"the gate did not let the generation pass: {verdict.reason}", code="gate_failed")

    def _take_over(self, job: Job, collection: Collection, generation: Generation, context: JobContext) -> None:
        """Nothing is committed to the collection while the last documents are taken in and the generations swapped."""
        context.report_stage("swapping")
        self._builder.build(collection.pk, generation, job.pk, context)
        with self._locks.of(collection.pk):
            self._builder.build(collection.pk, generation, job.pk, context)
            self._indexes.advance(collection.pk, generation)
            self._swap(collection.pk, generation.pk, job.payload["settings"])
        self._indexes.notify(collection.pk)

    def _swap(self, collection_pk: int, generation_pk: int, settings: Mapping[str, Any]) -> None:
        self._catalogue.write(lambda connection: swap(connection, collection_pk, generation_pk, settings))

    def _give_up(self, job: Job, generation: Generation) -> None:
        """After a cancellation nothing is left of the generation; after a shutdown everything is, to go on with."""
        jobs = schema.jobs
        with self._catalogue.read() as connection:
            cancelled = connection.execute(select(jobs.c.cancel_requested).where(jobs.c.pk == job.pk)).scalar()
        if cancelled and generation.state == "building":
            self._discard(generation.pk, "abandoned")

    def _discard(self, generation_pk: int, state: str) -> None:
        self._catalogue.write(lambda connection: set_state(connection, generation_pk, state))
        delete_chunks(self._catalogue, generation_pk)
        self._indexes.discard(generation_pk)

    def _prune(self, collection_pk: int) -> None:
        """Delete the chunks and the indexes of generations that are kept no longer."""
        with self._catalogue.read() as connection:
            collection = load_collection_by_key(connection, collection_pk)
            building = _generations_in_work(connection, collection_pk)
            found = [_settled(one, building) for one in list_generations(connection, collection.name)]
        for generation in prunable(found, self._generations_kept):
            self._discard(generation.pk, "pruned")


def swap(connection: Connection, collection_pk: int, generation_pk: int, settings: Mapping[str, Any]) -> None:
    """Make the generation live in place of the one that is, with the collection's other settings.

    Raises `Conflict` (`generation_incomplete`) when a live document has no chunks in it.
    """
    missing = count_missing(connection, collection_pk, generation_pk)
    if missing:
        raise Conflict(f"{missing} documents have no chunks in the generation yet", code="generation_incomplete")
    table = schema.collections
    query = select(table.c.live_generation_pk).where(table.c.pk == collection_pk)
    live = connection.execute(query).scalar_one()
    if live != generation_pk:
        set_state(connection, live, "retired")
        set_state(connection, generation_pk, "live")
        swapped = update(table).where(table.c.pk == collection_pk)
        connection.execute(swapped.values(live_generation_pk=generation_pk, **settings))


def prunable(generations: list[Generation], kept: int) -> list[Generation]:
    """Abandoned and rejected ones, and of the retired ones all but the `kept` newest; `generations` oldest first."""
    retired = [one for one in generations if one.state == "retired"]
    given_up = [one for one in generations if one.state in ("abandoned", "rejected")]
    return retired[: max(len(retired) - kept, 0)] + given_up


def _queue(
    connection: Connection,
    collection: Collection,
    generation_pk: int,
    key_id: str | None,
    *,
    settings: Mapping[str, Any],
    gate: str | None,
) -> str:
    job_id = new_id("job")
    payload = {"generation_pk": generation_pk, "settings": dict(settings), "gate": gate}
    queue_job(
        connection, job_id, "reindex", collection_pk=collection.pk, key_id=key_id, payload=payload, stage="embedding"
    )
    return job_id


def _refuse_second(connection: Connection, collection: Collection) -> None:
    if _generations_in_work(connection, collection.pk):
        raise Conflict(
            f"collection {collection.name!r} is being re-indexed already; wait for that job, or cancel it",
            code="reindex_in_progress",
        )


def _generations_in_work(connection: Connection, collection_pk: int) -> set[int]:
    jobs = schema.jobs
    query = select(jobs.c.payload).where(
        jobs.c.collection_pk == collection_pk, jobs.c.kind == "reindex", jobs.c.state.not_in(TERMINAL_STATES)
    )
    return {int(payload["generation_pk"]) for payload in connection.execute(query).scalars()}


def _settled(generation: Generation, in_work: set[int]) -> Generation:
    lost = generation.state == "building" and generation.pk not in in_work
    return replace(generation, state="abandoned") if lost else generation
