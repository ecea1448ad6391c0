"""Systems to be told apart by the gate: the sound one, and one for each planted regression.

Each is a copy of one data directory under other settings, with its files edited or with a part of the code replaced,
as a bad change or a fault would.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np

from api.app import create_app
from api.bootstrap import DEFAULT_COLLECTION, Service, load_encoder, open_service
from api.cli.in_process import InProcessTransport
from api.client import Client, UploadFile
from api.readers import load_reader
from api.settings import Settings
from eval.bench.gate_questions import PRIORS, GateQuestions, swapped_facts, write_corpus
from eval.bench.stored_readings import ShuffledRelevance, StoredReadings
from eval.passage_index import Passage
from generate import citations
from ingest.caches import forget_texts
from ingest.collections import CollectionSettings
from ingest.errors import Unavailable
from ingest.models import Encoder, FloatArray, PassageReader, TextKind
from ingest.models.encoder import PreparedText
from ingest.sentences import Span
from retrieve import analysis

_SYSTEM: Mapping[str, Any] = {
    "generator": "reader",
    "reranker_model": "embedded",
    "rerank_candidates": 10,
}
"""The embedded reader and reranker; ten passages are read instead of twenty."""

SOUND, ANOTHER_START = "baseline", "another start"
_SETTLED_POLL_S = 0.5


class RotatedQueries:
    """An embedder whose queries are turned by a fixed rotation: the index was built with another one."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.name, self.revision = encoder.name, encoder.revision
        self.dimensions, self.languages = encoder.dimensions, encoder.languages
        self.judged_languages = encoder.judged_languages
        generator = np.random.default_rng(0)
        self._turn = np.linalg.qr(generator.normal(size=(self.dimensions, self.dimensions)))[0].astype(np.float32)

    def least_cosine(self, query: str) -> float:
        return self._encoder.least_cosine(query)

    def prepare(self, texts: Sequence[str], kind: TextKind) -> list[PreparedText]:
        return self._encoder.prepare(texts, kind)

    def encode(self, texts: Sequence[str], kind: TextKind, *, fast: bool) -> FloatArray:
        return self.forward(self.prepare(texts, kind), kind, fast=fast)

    def forward(self, prepared: Sequence[PreparedText], kind: TextKind, *, fast: bool) -> FloatArray:
        vectors = self._encoder.forward(prepared, kind, fast=fast)
        return np.asarray(vectors @ self._turn, dtype=np.float32) if kind == "query" else vectors

    def token_spans(self, texts: Sequence[str]) -> list[list[Span]]:
        return self._encoder.token_spans(texts)


@dataclass(frozen=True, slots=True)
class Variant:
    """What makes a system another one: settings; an edit of its closed data directory; code replaced while it runs;
    models wrapped; a change made through its own interface once it is open; and whether its asks fail.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    edit: Callable[[Path, GateQuestions], None] | None = None
    patched: Callable[[], AbstractContextManager[Any]] = nullcontext
    encoder: Callable[[Encoder], Encoder] = lambda encoder: encoder
    reader: Callable[[PassageReader], PassageReader] = lambda reader: reader
    change: Callable[[Service, GateQuestions], None] | None = None
    fails: bool = False


def variants() -> dict[str, Variant]:
    """All systems by name: the sound one, the same with its indexes built anew, and the broken ones."""
    return {
        SOUND: Variant(),
        ANOTHER_START: Variant(edit=lambda data, _: _drop_indexes(data)),
        "5 % of chunks dropped": Variant(edit=lambda data, _: drop_chunks(data, _random_chunks(data, 0.05))),
        "gold chunks dropped": Variant(edit=lambda data, part: drop_chunks(data, chunks_of(data, _gold(part)))),
        "top_k 2": Variant(settings={"ask_top_k": 2}),
        "stale index": Variant(edit=lambda data, _: drop_chunks(data, _newest_chunks(data, 0.2))),
        "other embedder": Variant(encoder=RotatedQueries),
        "shuffled reranker": Variant(reader=ShuffledRelevance),
        "citations off by one": Variant(patched=_citations_off_by_one),
        "answer always": Variant(settings={"answer_threshold": 0.0}),
        "refuse always": Variant(settings={"answer_threshold": 1.0}),
        "tiny chunks": Variant(change=_rechunk),
        "facts swapped": Variant(change=lambda service, part: upload(service, swapped_facts(part))),
        "credibility inverted": Variant(change=_invert_credibility),
        "numbers not indexed": Variant(edit=lambda data, _: _drop_indexes(data), patched=_numbers_lost),
        "analyser off": Variant(patched=lambda: _words_become(lambda word: tuple(analysis._word_terms(word)))),
        "asks failing": Variant(fails=True),
    }


class Models:
    """The packaged encoder and reader, loaded once for all systems; each passage is read once (`readings`)."""

    def __init__(self, readings: Path, *, anew_share: float = 0.0) -> None:
        settings = Settings(**_SYSTEM)
        self.encoder = load_encoder(settings)(settings.embedding_model, settings.embedding_revision)
        self.reader = StoredReadings(load_reader(settings)(self.encoder), readings, anew_share=anew_share)


def folder_of(work: Path, part: GateQuestions, models: Models) -> Path:
    """In `work`, for what is observed of the sound system: by its fingerprint, and the number of questions."""
    with TemporaryDirectory() as empty, running(Path(empty), Variant(), part, models, in_place=True) as service:
        generation = service.collections.get(DEFAULT_COLLECTION).live_generation
        return work / f"{service.answerer.fingerprint(generation)}-{len(part.questions)}"


@contextmanager
def running(
    data: Path, variant: Variant, part: GateQuestions, models: Models, *, in_place: bool = False
) -> Iterator[Service]:
    """The variant on a copy of the data directory (`in_place`: on itself), settled."""
    with TemporaryDirectory() as folder:
        own = data if in_place else Path(folder) / "data"
        if not in_place:
            shutil.copytree(data, own)
        if variant.edit is not None:
            variant.edit(own, part)
        settings = Settings(data_dir=own, **{**_SYSTEM, **variant.settings})
        encoder, reader = variant.encoder(models.encoder), variant.reader(models.reader)
        with (
            _nothing_remembered(),
            variant.patched(),
            open_service(settings, load=lambda name, revision: encoder, read=lambda lender: reader) as service,
        ):
            if variant.change is not None:
                variant.change(service, part)
            _settle(service)
            yield service


@contextmanager
def _nothing_remembered() -> Iterator[None]:
    """What one system worked out of words is not what another one would."""
    forget_texts()
    yield
    forget_texts()


def build(data: Path, part: GateQuestions, models: Models) -> None:
    """The data directory of the sound system; one that was not finished is begun anew."""
    unfinished = data.with_name("unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    with running(unfinished, Variant(), part, models, in_place=True) as service:
        service.put_collection(DEFAULT_COLLECTION, CollectionSettings(source_priors=PRIORS))
        upload(service, part.passages)
        _settle(service)
    unfinished.rename(data)


def upload(service: Service, passages: Sequence[Passage]) -> None:
    """Through the HTTP interface; raises `AssertionError` unless all are ingested."""
    with TemporaryDirectory() as folder, _client(service) as client:
        path = Path(folder) / "corpus.jsonl"
        write_corpus(path, passages)
        _finish(client, client.upload([UploadFile(path, "corpus.jsonl")])["job_id"])


@contextmanager
def _client(service: Service) -> Iterator[Client]:
    app = create_app(service)
    lifespan = app.router.lifespan_context(app)
    with InProcessTransport(app, lifespan) as transport, Client(transport=transport) as client:
        yield client


def _finish(client: Client, job_id: str) -> None:
    job = client.wait_for_job(job_id)
    assert job["state"] == "succeeded", job


def _settle(service: Service) -> None:
    """Wait until indexes and credibility are up to date: systems are compared in the state in which they stay."""
    while True:
        with service.catalogue.read() as connection:
            due = connection.exec_driver_sql("SELECT count(*) FROM documents WHERE credibility_due > 0").scalar_one()
        if not due and _indexed(service):
            return
        time.sleep(_SETTLED_POLL_S)


def _indexed(service: Service) -> bool:
    try:
        service.indexes.ping()
    except Unavailable:
        return False
    return True


def _drop_indexes(data: Path) -> None:
    shutil.rmtree(data / "indexes")


def drop_chunks(data: Path, keys: Sequence[int]) -> None:
    """The chunks are missing where the indexes are built from; the documents are all there."""
    with _catalogue(data) as connection:
        connection.executemany("DELETE FROM chunks WHERE pk = ?", [(key,) for key in keys])
    _drop_indexes(data)


def _random_chunks(data: Path, share: float) -> list[int]:
    keys = _keys(data, "SELECT pk FROM chunks ORDER BY pk")
    return random.Random(11).sample(keys, round(share * len(keys)))  # noqa: S311 - not a secret


def _newest_chunks(data: Path, share: float) -> list[int]:
    """Those of the documents that came last."""
    documents = _keys(data, "SELECT pk FROM documents WHERE document_id NOT LIKE 'counterfeit/%' ORDER BY pk")
    first = documents[-round(share * len(documents))]
    return _keys(
        data,
        "SELECT chunks.pk FROM chunks JOIN documents ON documents.live_version_pk = chunks.version_pk "
        "WHERE documents.pk >= ? AND document_id NOT LIKE 'counterfeit/%'",
        first,
    )


def _gold(part: GateQuestions) -> list[str]:
    return sorted({question.cluster_id for question in part.questions if question.answerable})


def chunks_of(data: Path, document_ids: Sequence[str]) -> list[int]:
    """Keys of the documents' live chunks."""
    query = (
        "SELECT chunks.pk FROM chunks JOIN documents ON documents.live_version_pk = chunks.version_pk "
        "WHERE document_id = ?"
    )
    return [key for document_id in document_ids for key in _keys(data, query, document_id)]


def _keys(data: Path, query: str, *values: object) -> list[int]:
    with _catalogue(data) as connection:
        return [row[0] for row in connection.execute(query, values)]


@contextmanager
def _catalogue(data: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(data / "catalogue.sqlite")
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def _rechunk(service: Service, part: GateQuestions) -> None:
    wanted = CollectionSettings(chunk_tokens=32, overlap_tokens=0)
    job_id = service.reindex_collection(service.collections.get(DEFAULT_COLLECTION), wanted, gate=None, key_id=None)
    with _client(service) as client:
        _finish(client, job_id)


def _invert_credibility(service: Service, part: GateQuestions) -> None:
    inverted = {pattern: 1 - prior for pattern, prior in PRIORS.items()}
    service.put_collection(DEFAULT_COLLECTION, CollectionSettings(source_priors=inverted))


def _citations_off_by_one() -> AbstractContextManager[Any]:
    whole = citations._citation

    def shifted(*arguments: Any) -> Any:
        citation = whole(*arguments)
        return replace(citation, char_start=citation.char_start + 1, char_end=citation.char_end + 1)

    return patch.object(citations, "_citation", shifted)


def _numbers_lost() -> AbstractContextManager[Any]:
    whole = analysis._stems
    return _words_become(lambda word: tuple(t for t in whole(word) if not any(sign.isdigit() for sign in t)))


def _words_become(terms: Callable[[str], tuple[str, ...]]) -> AbstractContextManager[Any]:
    """Index terms of a word otherwise, also of words that are remembered."""
    return patch.multiple(analysis, _stems=terms, _known_stems=terms)
