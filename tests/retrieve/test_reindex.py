"""Another generation beside the live one: built, judged, swapped, rolled back, pruned; nothing lost meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import func, select

from api.bootstrap import Service, open_service
from api.settings import Settings
from ingest.catalogue import schema
from ingest.collections import Collection, CollectionSettings
from ingest.errors import Conflict, NotFound, Unavailable
from ingest.generations import Generation
from ingest.jobs import Job, JobContext
from ingest.models import ModelRuntime
from ingest.parsing.document import Heading
from retrieve import GateVerdict, Generations
from retrieve.reindex import ReindexHandler
from retrieve.snapshots import Indexes
from tests.fakes import HashingEncoder
from tests.ingest.support import TextParser, delete, finished, ingest, search, submit, wait_for

LONG = " ".join(f"Sentence number {n} tells of ferry {n % 7} and harbour {n % 5}." for n in range(40))
FILES = {f"{n}.txt": f"Ferry {n} leaves at {n} o'clock. {LONG}".encode() for n in range(6)}


def default(service: Service) -> Collection:
    return service.collections.get("default")


def reindex(service: Service, gate: str | None = None, **wanted: object) -> str:
    """Queue a re-index with these settings; returns the job's id."""
    settings = CollectionSettings(**wanted)  # type: ignore[arg-type]
    return service.reindex_collection(default(service), settings, gate=gate, key_id=None)


def states(service: Service) -> list[str]:
    """States of the generations, oldest first."""
    return [one.state for one in service.generations.list(default(service))]


def chunk_counts(service: Service) -> list[int]:
    """Chunks of each generation, oldest first."""
    chunks = schema.chunks
    with service.catalogue.read() as connection:
        return [
            connection.execute(select(func.count()).where(chunks.c.generation_pk == one.pk)).scalar_one()
            for one in service.generations.list(default(service))
        ]


def check_whole(service: Service) -> None:
    """Indexes and catalogue agree on the live generation, and every document is found by its own words."""
    collection = default(service)
    snapshot = service.indexes.snapshot(collection.pk, collection.live_generation)
    chunks = service.collections.size(collection).chunks
    assert snapshot.vector.count == snapshot.lexical.count == chunks > 0


def test_a_reindex_swaps_chunking_and_keeps_answering(service: Service) -> None:
    """Smaller chunks, more of them; the same documents are found before and after, with offsets that fit."""
    ingest(service, FILES)
    before = service.collections.size(default(service)).chunks
    old = default(service).live_generation
    job = finished(service, reindex(service, chunk_tokens=40))
    assert (job.state, job.done, job.total) == ("succeeded", 6, 6)
    collection = default(service)
    assert collection.live_generation.spec.chunk_tokens == 40
    assert collection.live_generation.spec.overlap_tokens == 10
    assert service.collections.size(collection).chunks > before
    assert states(service) == ["retired", "live"]
    check_whole(service)
    hits = search(service, "ferry 3 leaves at 3 o'clock")
    assert hits[0].document_id == "3.txt"
    text = service.documents.text(collection, "3.txt").text
    assert all(hit.text == text[hit.char_start : hit.char_end] for hit in hits if hit.document_id == "3.txt")
    old_index = service.indexes.snapshot(collection.pk, old)
    assert old_index.vector.count == before


def test_another_embedder_serves_beside_the_first(service: Service) -> None:
    """Vectors of other dimensions; a search of either generation uses its own encoder."""
    ingest(service, FILES)
    old = default(service).live_generation
    finished(service, reindex(service, embedding_model="hashing-2"))
    new = default(service).live_generation
    assert (old.spec.embedder, new.spec.embedder) != (new.spec.embedder, old.spec.embedder)
    assert new.spec.chunk_tokens == old.spec.chunk_tokens
    check_whole(service)
    assert search(service, "ferry 2 leaves")[0].document_id == "2.txt"


def test_headings_survive(service: Service, parser: TextParser) -> None:
    """Chunks are made of the stored text and its headings, not of the file: nothing is parsed again."""
    original = parser.parse

    def parse(source, *, given_up):  # type: ignore[no-untyped-def]
        from dataclasses import replace

        parsed = original(source, given_up=given_up)
        return replace(parsed, headings=(Heading(1, "Timetable", parsed.text.index("Sentence number 20")),))

    parser.parse = parse  # type: ignore[method-assign]
    ingest(service, {"a.txt": LONG.encode()})
    count = len(parser.parsed)
    finished(service, reindex(service, chunk_tokens=40))
    assert len(parser.parsed) == count
    hits = search(service, "Sentence number 31", mode="lexical")
    assert hits[0].heading == "Timetable"


def test_settings_are_applied_with_the_swap(service: Service) -> None:
    """Language and priors change when the generation goes live."""
    ingest(service, FILES)
    finished(service, reindex(service, language="en", source_priors={"*": 0.9}))
    assert default(service).language == "en"
    assert dict(default(service).source_priors) == {"*": 0.9}


def test_documents_that_arrive_meanwhile_land_in_both(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Added, replaced and deleted while the new generation is being built and just before the swap."""
    ingest(service, FILES)
    at_work, go_on = threading.Event(), threading.Event()
    original = ReindexHandler._take_over

    def take_over(self: ReindexHandler, *arguments: object) -> None:
        at_work.set()
        assert go_on.wait(20)
        original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ReindexHandler, "_take_over", take_over)
    job_id = reindex(service, chunk_tokens=40)
    assert at_work.wait(20)
    ingest(service, {"new.txt": b"Unmistakable arrival.", "1.txt": b"Replaced meanwhile by zebra."})
    delete(service, "2.txt")
    assert search(service, "unmistakable arrival")[0].document_id == "new.txt"
    go_on.set()
    assert finished(service, job_id).state == "succeeded"
    check_whole(service)
    assert search(service, "unmistakable arrival")[0].document_id == "new.txt"
    assert search(service, "zebra", mode="lexical")[0].document_id == "1.txt"
    assert "2.txt" not in {hit.document_id for hit in search(service, "ferry 2", top_k=50)}
    ingest(service, {"later.txt": b"Later yet."})
    check_whole(service)


def test_an_ingest_under_way_during_the_swap_commits_to_the_new_generation(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its document was chunked for the old one; the commit notices, and chunks it again."""
    ingest(service, FILES)
    old = default(service).live_generation
    embedding, go_on = threading.Event(), threading.Event()
    original = ModelRuntime.embed

    def embed(self: ModelRuntime, encoder, texts, **named):  # type: ignore[no-untyped-def]
        if any("straggler" in text for text in texts) and not go_on.is_set():
            embedding.set()
            assert go_on.wait(20)
        return original(self, encoder, texts, **named)

    monkeypatch.setattr(ModelRuntime, "embed", embed)
    submission = submit(service, {"s.txt": f"A straggler. {LONG}".encode()})
    assert embedding.wait(20)
    assert finished(service, reindex(service, chunk_tokens=40)).state == "succeeded"
    go_on.set()
    assert finished(service, submission.job_id).state == "succeeded"
    chunks, documents = schema.chunks, schema.documents
    query = select(chunks.c.generation_pk).join(documents, documents.c.live_version_pk == chunks.c.version_pk)
    with service.catalogue.read() as connection:
        found = set(connection.execute(query.where(documents.c.document_id == "s.txt")).scalars())
    assert found == {default(service).live_generation.pk}
    assert old.pk not in found
    check_whole(service)
    assert search(service, "straggler", mode="lexical")[0].document_id == "s.txt"


def test_the_swap_comes_although_uploads_never_stop(service: Service) -> None:
    """Commits wait for the last step of the re-index; every document that was accepted is found afterwards."""
    ingest(service, FILES)
    stop = threading.Event()
    jobs: list[str] = []

    def keep_uploading() -> None:
        while not stop.is_set():
            jobs.append(submit(service, {f"u{len(jobs)}.txt": f"Upload{len(jobs)} of many.".encode()}).job_id)
            wait_for(lambda: service.jobs.get(jobs[-1]).state == "succeeded")

    uploads = threading.Thread(target=keep_uploading)
    uploads.start()
    assert finished(service, reindex(service, chunk_tokens=40)).state == "succeeded"
    stop.set()
    uploads.join()
    check_whole(service)
    for number in range(len(jobs)):
        assert search(service, f"upload{number}", mode="lexical")[0].document_id == f"u{number}.txt"


def test_rolling_back_is_immediate_while_nothing_is_missing(service: Service) -> None:
    """And forward again; the collection answers from the generation that is live."""
    ingest(service, FILES)
    old = default(service).live_generation
    finished(service, reindex(service, chunk_tokens=40))
    generation, job_id = service.generations.activate(default(service), old.generation)
    assert (generation.state, job_id) == ("live", None)
    assert default(service).live_generation.pk == old.pk
    assert states(service) == ["live", "retired"]
    check_whole(service)
    assert service.generations.activate(default(service), old.generation)[1] is None


def test_rolling_back_makes_up_what_came_since(service: Service) -> None:
    """A document that arrived after the swap is embedded for the old generation first; then it is live again."""
    ingest(service, FILES)
    old = default(service).live_generation
    finished(service, reindex(service, chunk_tokens=40))
    ingest(service, {"new.txt": b"Unmistakable arrival."})
    generation, job_id = service.generations.activate(default(service), old.generation)
    assert job_id is not None
    service.runner.notify()
    assert finished(service, job_id).state == "succeeded"
    assert default(service).live_generation.pk == generation.pk == old.pk
    assert states(service) == ["live", "retired"]
    check_whole(service)
    assert search(service, "unmistakable arrival")[0].document_id == "new.txt"


def test_only_so_many_generations_are_kept(service: Service) -> None:
    """One, by default: chunks, vectors and folder of the one before it are gone, and it cannot be activated."""
    ingest(service, FILES)
    first = default(service).live_generation
    for tokens in (40, 50):
        finished(service, reindex(service, chunk_tokens=tokens))
    assert states(service) == ["pruned", "retired", "live"]
    assert [count > 0 for count in chunk_counts(service)] == [False, True, True]
    assert not (service.settings.data_dir / "indexes" / str(first.pk)).exists()
    with pytest.raises(Conflict, match="is pruned"):
        service.generations.activate(default(service), first.generation)
    with pytest.raises(NotFound):
        service.generations.activate(default(service), "unknown")


def test_one_reindex_at_a_time(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is refused until the first has ended."""
    ingest(service, FILES)
    go_on = threading.Event()
    original = Indexes.advance
    monkeypatch.setattr(Indexes, "advance", lambda *arguments: (go_on.wait(20), original(*arguments))[1])
    job_id = reindex(service, chunk_tokens=40)
    with pytest.raises(Conflict, match="being re-indexed"):
        reindex(service, chunk_tokens=50)
    go_on.set()
    finished(service, job_id)


def test_a_cancelled_reindex_leaves_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The live generation goes on; the chunks of the other are gone, and another re-index may begin."""
    ingest(service, FILES)
    live = default(service).live_generation
    built, go_on = threading.Event(), threading.Event()
    original = Indexes.advance

    def advance(self: Indexes, *arguments: object) -> None:
        original(self, *arguments)  # type: ignore[arg-type]
        built.set()
        assert go_on.wait(20)

    with monkeypatch.context() as patched:
        patched.setattr(Indexes, "advance", advance)
        patched.setattr("retrieve.reindex._FEW", -1)  # never done: another round, which sees the cancellation
        job_id = reindex(service, chunk_tokens=40)
        assert built.wait(20)
        service.jobs.cancel(job_id)
        ingest(service, {"more.txt": b"So that there is another round."})
        go_on.set()
        wait_for(lambda: service.jobs.get(job_id).state == "cancelled")
    assert default(service).live_generation.pk == live.pk
    assert states(service) == ["live", "abandoned"]
    assert chunk_counts(service)[1] == 0
    assert finished(service, reindex(service, chunk_tokens=40)).state == "succeeded"
    check_whole(service)


def test_a_stopped_service_goes_on_with_the_reindex(
    settings: Settings, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was built before the stop is not built again."""
    monkeypatch.setattr("ingest.reindexing._GROUP_VERSIONS", 1)
    ingest(service, FILES)
    data_dir = settings.data_dir
    embedded: list[int] = []
    original = ModelRuntime.embed

    def embed(self: ModelRuntime, encoder, texts, **named):  # type: ignore[no-untyped-def]
        embedded.append(len(texts))
        if len(embedded) == 3:
            raise Unavailable("the service is shutting down")
        return original(self, encoder, texts, **named)

    with monkeypatch.context() as patched:
        patched.setattr(ModelRuntime, "embed", embed)
        job_id = reindex(service, chunk_tokens=40)
        assert finished(service, job_id).state == "failed"
    done = chunk_counts(service)[1]
    assert done > 0
    assert service.settings.data_dir == data_dir
    service.jobs.retry(job_id)
    service.runner.notify()
    wait_for(lambda: service.jobs.get(job_id).state == "succeeded")
    assert states(service) == ["retired", "live"]
    check_whole(service)


class Gate:
    """Lets pass what it is told to."""

    def __init__(self) -> None:
        self.verdict = GateVerdict(False, "fewer correct answers")
        self.judged: list[tuple[str, str, str]] = []

    def require(self, question_set: str) -> None:
        if question_set != "questions":
            raise NotFound(f"no question set {question_set}")

    def judge(
        self, collection: Collection, generation: Generation, question_set: str, context: JobContext
    ) -> GateVerdict:
        context.check()
        self.judged.append((collection.live_generation.generation, generation.generation, question_set))
        return self.verdict


@pytest.fixture
def gated(settings: Settings) -> Iterator[tuple[Service, Gate]]:
    """A service with a gate."""
    gate = Gate()
    load = lambda name, revision: HashingEncoder(name, revision)  # noqa: E731
    with open_service(settings, parser=TextParser(), load=load, gate=gate) as opened:
        yield opened, gate


def test_the_gate_decides(gated: tuple[Service, Gate]) -> None:
    """Red: the job fails, the live generation stays, the other may be activated all the same. Green: it goes live."""
    service, gate = gated
    ingest(service, FILES)
    live = default(service).live_generation
    with pytest.raises(NotFound):
        reindex(service, gate="unknown")
    job: Job = finished(service, reindex(service, gate="questions", chunk_tokens=40))
    assert (job.state, job.error_code) == ("failed", "gate_failed")
    assert "fewer correct answers" in str(job.error_message)
    assert states(service) == ["live", "rejected"]
    rejected = service.generations.list(default(service))[1]
    assert gate.judged == [(live.generation, rejected.generation, "questions")]
    assert service.generations.activate(default(service), rejected.generation)[1] is None
    assert states(service) == ["retired", "live"]
    gate.verdict = GateVerdict(True, "no worse")
    assert finished(service, reindex(service, gate="questions", chunk_tokens=50)).state == "succeeded"
    assert states(service) == ["pruned", "retired", "live"]


def test_a_gate_that_cannot_be_run_is_refused(service: Service) -> None:
    """Never silently ignored."""
    ungated = Generations(service.catalogue, service.indexes)
    live = default(service).live_generation
    with pytest.raises(Conflict, match="none to run"):
        ungated.reindex(default(service), live.spec, CollectionSettings(), gate="questions")


def test_an_empty_collection_is_reindexed(service: Service) -> None:
    """There is nothing to build, and the next document lands in the new generation."""
    assert finished(service, reindex(service, chunk_tokens=40)).state == "succeeded"
    ingest(service, FILES)
    assert default(service).live_generation.spec.chunk_tokens == 40
    check_whole(service)
