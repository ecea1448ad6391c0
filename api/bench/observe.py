"""Observes a system over the gate's questions, and asks live what is played elsewhere."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console
from rich.progress import track

from api.bench.variants import ANOTHER_START, SOUND, Models, build, running, variants
from api.bootstrap import DEFAULT_COLLECTION, Service
from eval.bench.gate_play import ERRORS, LIVE_NIGHT, TEMPERATURE, draw_seed, expected, fails, level
from eval.bench.gate_questions import GateQuestions
from eval.bench.observed import Observed, System
from eval.bench.sampling import Pick, SampledSpans, seeded_pick
from eval.question_sets import EvaluationQuestion
from eval.replays import StoredReplays
from eval.rows import EvaluationRow
from eval.runs import Ask, Setting, ask_once, run_asks
from generate.answerer import Answerer
from generate.assessment import Assessment
from generate.redaction import Redaction
from generate.replay import Replayer
from ingest.caches import LruCache
from ingest.errors import DeadlineExceeded
from ingest.generations import GenerationSpec
from retrieve import Access, Hit

_PROGRESS = Console(stderr=True)
_LIVE_SHARE = 0.1
_CONCURRENCY = 2


def observe(name: str, part: GateQuestions, work: Path, models: Models) -> System:
    """The system's rows, its replays of what the baseline answered, and live asks of a tenth of the questions.

    `work` holds the data directory of the sound system, which is built where it is not there.
    """
    variant, data, baseline = variants()[name], work / "data", work / "baseline.json"
    if not data.exists():
        build(data, part, models)
    with running(data, variant, part, models, in_place=not baseline.exists()) as service:
        plain = _plain(service, part.questions)
        observed = {}
        for question in track(part.questions, name, console=_PROGRESS):
            with _judging_once(service):
                logits, drawn = _drawn(service, question)
            failed = _failed(service, question) if variant.fails else None
            observed[question.id] = Observed(plain[question.id], logits, drawn, failed)
        sound = System.load(baseline).observed if name not in (SOUND, ANOTHER_START) else {}
        replays = dict(_replays(service, [one for key, one in sound.items() if _harmed(one, observed[key])]))
        live = _live(service, part, models, name, fail=variant.fails)
    return System(name, observed, replays, live)


def _live(service: Service, part: GateQuestions, models: Models, name: str, *, fail: bool) -> tuple[EvaluationRow, ...]:
    """Rows of asks with the generator that draws, searched anew; in the sound system every passage is read anew too."""
    asked = random.Random(name).sample(part.questions, round(_LIVE_SHARE * len(part.questions)))  # noqa: S311
    rows: list[EvaluationRow] = []
    models.reader.anew = name in (SOUND, ANOTHER_START)
    with patch.object(service.searcher, "_rankings", LruCache(0)):
        for question in track(asked, f"{name}, live", console=_PROGRESS):
            if fail and fails(ERRORS, LIVE_NIGHT, question.id, 0):
                rows.append(_failed(service, question))
            else:
                pick = seeded_pick(TEMPERATURE, draw_seed(LIVE_NIGHT, question.id, 0))
                rows.append(_ask(service, question, SampledSpans(pick), 0))
    models.reader.anew = False
    return tuple(rows)


@contextmanager
def _judging_once(service: Service) -> Iterator[None]:
    """Evidence that was judged is not judged again: the asks of one question differ in what is drawn only."""
    whole = service.answerer.pipeline._assessor.assess
    known: dict[tuple[object, ...], Assessment] = {}

    def assess(question: str, hits: Sequence[Hit], spec: GenerationSpec, **rest: Any) -> Assessment:
        key = question, tuple(hit.chunk_id for hit in hits), tuple(rest.get("without", ()))
        if key not in known:
            known[key] = whole(question, hits, spec, **rest)
        return known[key]

    with patch.object(service.answerer.pipeline._assessor, "assess", assess):
        yield


def _plain(service: Service, questions: Sequence[EvaluationQuestion]) -> dict[str, EvaluationRow]:
    """Rows of the embedded generator, asked as a run asks: several at a time."""
    rows: dict[str, EvaluationRow] = {}

    async def keep(row: EvaluationRow) -> None:
        rows[row.question_id] = row

    asks = [Ask(question, 0, question.question, 0) for question in questions]
    setting = _setting(service)
    asyncio.run(run_asks(asks, answerer=service.answerer, setting=setting, concurrency=_CONCURRENCY, on_row=keep))
    return rows


def _drawn(service: Service, question: EvaluationQuestion) -> tuple[tuple[float, ...], tuple[EvaluationRow, ...]]:
    """The logits that the generator draws by, and the row that comes of each choice; one row where nothing is drawn."""
    rows: list[EvaluationRow] = []
    places = 1
    logits: tuple[float, ...] = ()
    while len(rows) < places:
        generator = SampledSpans(_place(len(rows)))
        rows.append(_ask(service, question, generator, len(rows)))
        logits = generator.logits
        places = max(len(logits), 1)
    return logits, tuple(rows)


def _place(number: int) -> Pick:
    """The span at this place, or the last one where there are fewer."""
    return lambda logits: min(number, len(logits) - 1)


def _ask(service: Service, question: EvaluationQuestion, generator: SampledSpans, replicate: int) -> EvaluationRow:
    answerer = service.answerer.with_generator(generator)
    ask = Ask(question, 0, question.question, replicate)
    return asyncio.run(ask_once(ask, answerer=answerer, setting=_setting(service)))


def _failed(service: Service, question: EvaluationQuestion) -> EvaluationRow:
    """The row of an ask whose search was too slow."""
    late = DeadlineExceeded("the search took too long")
    with patch.object(type(service.searcher), "search", side_effect=late):
        return _ask(service, question, SampledSpans(_place(0)), 0)


def _replays(
    service: Service, sound: Sequence[Observed]
) -> Iterator[tuple[str, tuple[bool | None, bool | None, bool | None]]]:
    """Of the baseline's successful answers: whether today's parts give them again (see `StoredReplays`)."""
    for one in track(sound, "replays", console=_PROGRESS):
        chosen = [(one.plain, service.answerer), *_choices(service, one)]
        for row, answerer in chosen:
            if row.success and row.answer_id is not None:
                replays = _stored_replays(service, answerer)
                yield row.answer_id, (
                    replays.from_candidates(row), replays.from_generation(row), replays.quotes_stand(row),
                )  # fmt: skip


def _harmed(sound: Observed, now: Observed) -> bool:
    """Whether a success of the sound system is less likely now, with either generator."""
    return any(_success(now, temperature) < _success(sound, temperature) for temperature in (0.0, TEMPERATURE))


def _success(one: Observed, temperature: float) -> float:
    return level([expected(one, "task_success", temperature, ERRORS)])


def _choices(service: Service, one: Observed) -> Iterator[tuple[EvaluationRow, Answerer]]:
    """Each drawn row with the generator that draws the same again."""
    for place, row in enumerate(one.drawn):
        yield row, service.answerer.with_generator(SampledSpans(_place(place)))


def _stored_replays(service: Service, answerer: Answerer) -> StoredReplays:
    replayer = Replayer(service.catalogue, answerer, Redaction(()))
    collection = service.collections.get(DEFAULT_COLLECTION)
    return StoredReplays(service.catalogue, collection.pk, service.answers, replayer, Access.everything())


def _setting(service: Service) -> Setting:
    collection = service.collections.get(DEFAULT_COLLECTION)
    settings = service.settings
    return Setting(
        collection, collection.live_generation, Access.everything(), None, settings.ask_top_k,
        settings.answer_threshold, "observed",
    )  # fmt: skip
