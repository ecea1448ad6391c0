"""The composition root: builds every part from the settings and hands them down; all begin with `open_service`."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from api.judge import second_opinions
from api.language_model import LanguageModel, language_model
from api.readers import (
    JUDGING_WEIGHTS,
    LoadReader,
    assessor,
    embedded_generator,
    judging_revision,
    load_reader,
    reranker,
    wants_reader,
)
from api.settings import SHIPPED_DATA, Settings
from eval.baselines import Baselines
from eval.calibration import CalibrationHandler
from eval.evaluation_job import EvaluationHandler, EvaluationParts
from eval.evaluations import Evaluations, redact_evaluations
from eval.promotion import PromotionGate
from eval.question_store import QuestionSets
from generate.answer_cache import AnswerCache
from generate.answerer import Answerer
from generate.answers import Answers, redact_answers
from generate.assessment import AssessmentWeights, SentenceAssessor
from generate.citations import CitationChecker
from generate.conflicts import ConflictFinder
from generate.conversations import Conversations
from generate.follow_ups import FollowUpRewriter
from generate.llm import check_templates
from generate.pipeline import Pipeline
from generate.policy import Certificates, RefusalPolicy
from generate.redaction import Redaction
from generate.replay import Replayer
from generate.retention import AnswerKeeper
from generate.settings import LANGUAGE_MODELS
from generate.support import EntailmentSupport, SupportWeights
from ingest.blobs import BlobStore
from ingest.caches import forget_texts
from ingest.catalogue import Catalogue
from ingest.collections import Collection, Collections, CollectionSettings
from ingest.deletion import Deletion, Evictor, PurgeHandler
from ingest.documents import Documents, Passwords, new_id
from ingest.errors import InvalidInput
from ingest.generations import GenerationSpec
from ingest.history import HistoryHandler, HistoryKeeper
from ingest.jobs import JobHandler, JobRunner, Jobs
from ingest.memory import MemoryKeeper
from ingest.models import Encoder, ModelRuntime, PassageReader, Priority, device_of, load_embedder
from ingest.models.by_script import parts_of
from ingest.models.e5_encoder import NAME as E5_NAME
from ingest.models.e5_weights import weights_file
from ingest.originals import remove_all_unneeded
from ingest.owner import DataDirectory, Ownership
from ingest.parsing import ParseLimits, ParserPool
from ingest.pipeline import DocumentParser, IngestHandler
from ingest.reindexing import CommitLocks, GenerationBuilder
from retrieve import (
    ANALYSER,
    CredibilityKeeper,
    FusionTable,
    GateCheck,
    Generations,
    Indexes,
    ReindexHandler,
    Searcher,
)

DEFAULT_COLLECTION = "default"
_JOB_WORKERS = 2


LoadEncoder = Callable[[str, str | None], Encoder]


class Encoders:
    """The embedding models of the generations in use, each loaded once by `load` (name, revision)."""

    def __init__(self, settings: Settings, load: LoadEncoder) -> None:
        self._load = load
        self._loading = threading.Lock()
        self.default = load(settings.embedding_model, settings.embedding_revision)
        self._loaded = {encoder.name: encoder for encoder in (self.default, *parts_of(self.default))}

    def named(self, name: str) -> Encoder:
        """Raises `Unavailable` when the model cannot be loaded."""
        with self._loading:
            if name not in self._loaded:
                self._loaded[name] = self._load(name, None)
            return self._loaded[name]

    def of(self, spec: GenerationSpec) -> Encoder:
        """The encoder that a generation was built with."""
        return self.named(spec.embedder)

    def multilingual(self) -> Encoder | None:
        """The packaged multilingual model, in whatever way collections are embedded; None where it is not installed."""
        return self.named(E5_NAME) if weights_file() else None


def load_encoder(settings: Settings) -> LoadEncoder:
    """Loads embedding models on the device, and in the format, that the settings name."""
    return lambda name, revision: load_embedder(
        name,
        revision=revision,
        device=settings.device,
        dtype=settings.dtype,
        languages=settings.embedding_languages,
    )


@dataclass(frozen=True, slots=True)
class Service:
    """Every part of a running service. Opened by `open_service`, which also closes them."""

    settings: Settings
    ownership: Ownership
    catalogue: Catalogue
    blobs: BlobStore
    collections: Collections
    documents: Documents
    deletion: Deletion
    jobs: Jobs
    runner: JobRunner
    history: HistoryKeeper
    credibility: CredibilityKeeper
    runtime: ModelRuntime
    encoders: Encoders
    indexes: Indexes
    searcher: Searcher
    generations: Generations
    answers: Answers
    answerer: Answerer
    conversations: Conversations
    replayer: Replayer
    language_model: LanguageModel | None
    evaluation: EvaluationParts

    def put_collection(self, name: str, wanted: CollectionSettings) -> tuple[Collection, bool]:
        """Create or change a collection; what is left out is the service's default. Errors as `Collections.put`, and
        `InvalidInput` (`invalid_template`).
        """
        check_templates(wanted.templates or {})
        return self.collections.put(name, wanted, self._spec(wanted))

    def reindex_collection(
        self, collection: Collection, wanted: CollectionSettings, *, gate: str | None, key_id: str | None
    ) -> str:
        """Queue a re-index; what is left out stays as it is. Returns the job's id. Errors as `Generations.reindex`."""
        present = collection.live_generation.spec
        full = replace(
            wanted,
            embedding_model=wanted.embedding_model or present.embedder,
            chunk_tokens=wanted.chunk_tokens or present.chunk_tokens,
            overlap_tokens=_kept_overlap(wanted, present),
        )
        job_id = self.generations.reindex(collection, self._spec(full), wanted, gate=gate, key_id=key_id)
        self.runner.notify()
        return job_id

    def _spec(self, wanted: CollectionSettings) -> GenerationSpec:
        settings = self.settings
        encoder = self.encoders.named(wanted.embedding_model) if wanted.embedding_model else self.encoders.default
        tokens = settings.chunk_tokens if wanted.chunk_tokens is None else wanted.chunk_tokens
        overlap = wanted.overlap_tokens
        if overlap is None:
            overlap = min(settings.overlap_tokens, tokens // 4)
        if not 0 <= overlap <= tokens // 2:
            raise InvalidInput(
                f"overlap_tokens is {overlap}; it must be at most half of chunk_tokens ({tokens})",
                code="invalid_chunking",
            )
        return GenerationSpec(
            embedder=encoder.name,
            embedder_revision=encoder.revision,
            dimensions=encoder.dimensions,
            chunk_tokens=tokens,
            overlap_tokens=overlap,
            analyser=ANALYSER,
            index_kind=f"{settings.vector_engine}+{settings.lexical_engine}",
        )


def _kept_overlap(wanted: CollectionSettings, present: GenerationSpec) -> int | None:
    """The present overlap, unless another is wanted, or chunks of another size: then the default for that size."""
    if wanted.overlap_tokens is not None or wanted.chunk_tokens not in (None, present.chunk_tokens):
        return wanted.overlap_tokens
    return present.overlap_tokens


@contextmanager
def open_service(
    settings: Settings,
    *,
    parser: DocumentParser | None = None,
    load: LoadEncoder | None = None,
    read: LoadReader | None = None,
    gate: GateCheck | None = None,
) -> Iterator[Service]:
    """Take the data directory, build every part, recover what a killed process left, and start working.

    `gate` judges re-indexes that name a question set, in place of the evaluation's own gate.
    Raises `Conflict` (`data_directory_in_use`) when another process owns the directory. On exit everything is closed in
    reverse order; work under way is put back into the queue.
    """
    with ExitStack() as stack:
        ownership = stack.enter_context(DataDirectory(settings.data_dir).own())
        catalogue = Catalogue(settings.data_dir / "catalogue.sqlite")
        stack.callback(catalogue.close)
        blobs = BlobStore(settings.data_dir / "blobs")
        blobs.discard_incoming()
        remove_all_unneeded(catalogue, blobs)
        runtime = ModelRuntime(query_queue_max=settings.model_queue_max, device=device_of(settings.device))
        stack.callback(runtime.close)
        encoders = Encoders(settings, load or load_encoder(settings))
        reader = (read or load_reader(settings))(encoders.default) if wants_reader(settings) else None
        indexes = Indexes(catalogue, settings, settings.data_dir / "indexes")
        indexes.start()
        stack.callback(indexes.close)
        if parser is None:
            pool = ParserPool(settings.parse_workers, _parse_limits(settings))
            stack.callback(pool.close)
            parser = pool
        searcher = Searcher(
            catalogue=catalogue,
            indexes=indexes,
            runtime=runtime,
            encoder_for=encoders.of,
            reranker=reranker(settings, runtime, reader),
            settings=settings,
            fusion_table=FusionTable.load([SHIPPED_DATA / "models" / "fusion.json", settings.data_dir / "fusion.json"]),
        )
        cache = _answer_cache(settings, catalogue)
        evictors: list[Evictor] = [searcher.evict, forget_texts, *([cache.evict] if cache else [])]
        passwords = Passwords()
        locks = CommitLocks()
        jobs = Jobs(catalogue, passwords)
        jobs.recover()
        handlers: dict[str, JobHandler] = {
            "ingest": IngestHandler(
                catalogue=catalogue,
                blobs=blobs,
                parser=parser,
                runtime=runtime,
                encoder_for=encoders.of,
                progress=indexes,
                passwords=passwords,
                settings=settings,
                locks=locks,
            ),
            "purge": PurgeHandler(
                catalogue=catalogue,
                blobs=blobs,
                progress=indexes,
                forget=indexes.drop,
                redactors=[redact_answers, redact_evaluations],
                evictors=evictors,
            ),
            "history": HistoryHandler(catalogue=catalogue, blobs=blobs, progress=indexes),
        }
        runner = JobRunner(
            jobs,
            handlers,
            workers=_JOB_WORKERS,
            lease_s=settings.job_lease_s,
            owner=f"{socket.gethostname()}:{os.getpid()}",
        )
        credibility = CredibilityKeeper(
            catalogue,
            indexes,
            half_life_days=settings.freshness_half_life_days,
            statements=settings.corroboration_statements,
        )
        history = HistoryKeeper(catalogue, runner, retention_days=settings.history_retention_days)
        redaction = Redaction(settings.redact_patterns)
        answers = Answers(catalogue, redaction)
        answer_keeper = AnswerKeeper(answers, retention_days=settings.answers_retention_days)
        conversations = Conversations(
            catalogue,
            ttl_s=settings.conversation_ttl_s,
            history_turns=settings.conversation_turns,
            history_chars=settings.conversation_chars,
        )
        model = language_model(settings)
        policy = RefusalPolicy(catalogue, settings.answer_threshold)
        answerer = _answerer(
            settings,
            catalogue,
            searcher,
            runtime,
            encoders,
            answers,
            conversations,
            model,
            reader,
            policy,
            cache,
        )
        replayer = Replayer(catalogue, answerer, redaction)
        evaluations = Evaluations(catalogue)
        evaluation = EvaluationParts(
            catalogue=catalogue,
            answerer=answerer,
            searcher=searcher,
            policy=policy,
            answers=answers,
            replayer=replayer,
            question_sets=QuestionSets(catalogue),
            evaluations=evaluations,
            baselines=Baselines(catalogue, evaluations),
            second_opinions=second_opinions(settings, catalogue, answers, replayer),
            embed=lambda texts, generation: runtime.embed(
                encoders.of(generation.spec), texts, kind="document", priority=Priority.BULK
            ),
            settings=settings,
            top_k=settings.ask_top_k,
            process=new_id("start"),
        )
        gate = gate or PromotionGate(evaluation)
        handlers["reindex"] = ReindexHandler(
            catalogue=catalogue,
            indexes=indexes,
            builder=GenerationBuilder(catalogue, runtime, encoders.of),
            locks=locks,
            generations_kept=settings.generations_kept,
            gate=gate,
        )
        handlers["evaluation"] = EvaluationHandler(evaluation)
        handlers["calibration"] = CalibrationHandler(evaluation, Certificates(catalogue))
        service = Service(
            settings=settings,
            ownership=ownership,
            catalogue=catalogue,
            blobs=blobs,
            collections=Collections(catalogue),
            documents=Documents(catalogue, blobs, passwords),
            deletion=Deletion(catalogue, evictors),
            jobs=jobs,
            runner=runner,
            history=history,
            credibility=credibility,
            runtime=runtime,
            encoders=encoders,
            indexes=indexes,
            searcher=searcher,
            generations=Generations(catalogue, indexes, gate),
            answers=answers,
            answerer=answerer,
            conversations=conversations,
            replayer=replayer,
            language_model=model,
            evaluation=evaluation,
        )
        service.put_collection(DEFAULT_COLLECTION, CollectionSettings())
        runner.start()
        stack.callback(runner.close)
        for keeper in (history, answer_keeper, credibility, MemoryKeeper()):
            keeper.start()
            stack.callback(keeper.close)
        yield service


def _answerer(
    settings: Settings,
    catalogue: Catalogue,
    searcher: Searcher,
    runtime: ModelRuntime,
    encoders: Encoders,
    answers: Answers,
    conversations: Conversations,
    model: LanguageModel | None,
    reader: PassageReader | None,
    policy: RefusalPolicy,
    cache: AnswerCache | None,
) -> Answerer:
    weights = AssessmentWeights.load(JUDGING_WEIGHTS["extractive"])
    support = EntailmentSupport(
        runtime,
        encoders.default,
        SupportWeights.load(JUDGING_WEIGHTS["support"]),
        timeout_s=settings.search_timeout_s,
    )
    sentences = SentenceAssessor(runtime, encoders.of, weights, timeout_s=settings.search_timeout_s)
    pipeline = Pipeline(
        searcher=searcher,
        assessor=assessor(settings, runtime, reader, encoders.multilingual(), sentences),
        generator=model.generator if model else embedded_generator(settings, reader),
        checker=CitationChecker(catalogue, support),
        decomposer=model.decomposer if model else None,
        conflicts=ConflictFinder(),
    )
    return Answerer(
        searcher=searcher,
        pipeline=pipeline,
        policy=policy,
        answers=answers,
        retrieve_settings=settings,
        settings=settings,
        judging=judging_revision(),
        rewriter=(model and model.rewriter) or FollowUpRewriter(),
        conversations=conversations,
        cache=cache,
        close=model.aclose if model else None,
    )


def _answer_cache(settings: Settings, catalogue: Catalogue) -> AnswerCache | None:
    """`off`: none; by default a language model's answers are shared while they are under way, and not remembered."""
    if settings.answer_cache == "off":
        return None
    forgets = settings.answer_cache == "auto" and settings.generator in LANGUAGE_MODELS
    entries = 0 if forgets else settings.answer_cache_entries
    return AnswerCache(catalogue, entries_max=entries, ttl_s=settings.answer_cache_ttl_s)


def _parse_limits(settings: Settings) -> ParseLimits:
    return replace(
        ParseLimits(),
        timeout_s=settings.parse_timeout_s,
        memory_bytes=settings.parse_memory_bytes,
        pages_max=settings.parse_pages_max,
        decompressed_bytes_max=settings.parse_decompressed_max_bytes,
        text_chars_max=settings.parse_text_max_chars,
        ocr_page_s=settings.ocr_page_timeout_s,
        ocr_pages_max=settings.ocr_pages_max,
        attachments_max=settings.attachments_max,
    )
