"""How well the embedded reranker and reader do: reranked against fused on each set, and answers from gold passages.

Ranking: the best 20 fused chunks of a question are read; a document counts at its best chunk's place, and where the
set marks evidence in long documents, each chunk with some of it is what should be found. Reader: the
gold paragraph is given (for an unanswerable question the one it was written against), to the model alone and to all
that judges an answer in the service; F1 and exact match as in SQuAD 2.0, where an empty answer is right for an
unanswerable question, and for it only.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from eval.measures import exact_match, ndcg_at, reciprocal_rank, token_f1
from eval.passage_index import Passage, PassageIndex
from eval.public_sets import Part, SetPart, SetQuestion, load_judgements, load_part
from generate.reading import ReadingAssessor
from ingest.chunking import contextual_text
from ingest.generations import GenerationSpec
from ingest.models import Encoder, ModelRuntime, PassageReader
from retrieve import Hit
from retrieve.analysis import ANALYSER
from retrieve.fusion import embedder_fits
from retrieve.merging import merge_neighbours

DEPTH = 20
RANKING_SETS = (
    "qed_nq_dev",
    "msmarco_sample",
    "hotpotqa_mini",
    "cranfield",
    "squad2_dev_a",
    "drcd_dev",
    "cmrc2018_trial",
    "bipar_valid_en",
    "chunking_eval",
)
_READ_AT_ONCE = 64
_RESAMPLES = 5_000
_SPEC = GenerationSpec("all-MiniLM-L6-v2", "", 384, 200, 40, ANALYSER, "")
_PROGRESS = Console(stderr=True)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RankingCase:
    """A question with its fused candidates, best first: document (of a long one: chunk), text as the reranker reads it,
    fused score.
    """

    question: str
    relevant: frozenset[str]
    documents: tuple[str, ...]
    passages: tuple[str, ...]
    fused: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Mean of a measure before and after, and the paired bootstrap interval (95 %) of their difference."""

    name: str
    measure: str
    questions: int
    fused: float
    reranked: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class GoldAnswer:
    """The answer that would be given to a question on its gold paragraph, how sure of it (greater is surer), and the
    right ones (none if unanswerable).
    """

    answer: str
    golds: tuple[str, ...]
    score: float


@dataclass(frozen=True, slots=True)
class ReaderScore:
    """Percent, over `questions`: F1 and exact match over all, answerable and unanswerable."""

    questions: int
    f1: float
    exact: float
    f1_answerable: float
    exact_answerable: float
    unanswerable: float


Blend = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""Relevances and fused scores of one question's candidates to their final scores."""


def ranking_cases(
    data: Path, name: str, encoder: Encoder, runtime: ModelRuntime, *, part: Part = "report", questions: int, seed: int
) -> list[RankingCase]:
    """Fused candidates of at most `questions` (0: all) answerable questions of the part, over its own passages."""
    found = load_part(data / name, part)
    judged = load_judgements(data / name) if (data / name / "qrels.tsv").is_file() else {}
    index = PassageIndex(found.passages, encoder, runtime)
    asked = _sample([question for question in found.questions if question.answerable], questions, seed)
    cases = []
    for question in track(asked, f"search {name}", console=_PROGRESS):
        hits = index.search(question.question, top_k=DEPTH)
        cases.append(
            RankingCase(
                question.question,
                _with_evidence(hits, question) or judged.get(question.id, frozenset(question.gold)),
                tuple(_place(hit) if question.evidence_spans else hit.document_id for hit in hits),
                tuple(contextual_text(hit.title, hit.heading, hit.text) for hit in hits),
                tuple(hit.score for hit in hits),
            )
        )
    return cases


def relevances(cases: Sequence[RankingCase], reader: PassageReader, runtime: ModelRuntime) -> list[NDArray[np.float64]]:
    """The relevance logits of each case's candidates; empty where the reader does not know the question's script."""
    return [
        np.array([reading.relevance for reading in runtime.read(reader, [(case.question, p) for p in case.passages])])
        if embedder_fits(case.question, languages=reader.languages)
        else np.zeros(0)
        for case in track(cases, "rerank", console=_PROGRESS)
    ]


def compare(name: str, cases: Sequence[RankingCase], scores: Sequence[NDArray[np.float64]], blend: Blend) -> Comparison:
    """Fused against reranked: nDCG@10 on `cranfield`, else MRR@10; unread questions keep the fused order."""
    graded = name == "cranfield"
    before = np.array([_score(case, np.array(case.fused), graded) for case in cases])
    after = np.array(
        [
            _score(case, blend(relevance, np.array(case.fused)) if len(relevance) else np.array(case.fused), graded)
            for case, relevance in zip(cases, scores, strict=True)
        ]
    )
    low, high = _interval(after - before)
    measure = "nDCG@10" if graded else "MRR@10"
    return Comparison(name, measure, len(cases), float(before.mean()), float(after.mean()), low, high)


def gold_readings(
    part: SetPart, reader: PassageReader, runtime: ModelRuntime, *, questions: int, seed: int
) -> list[GoldAnswer]:
    """The model alone: its best span in the gold paragraph under its title, scored by the log-odds of the span less
    the logit that there is no answer.
    """
    asked = _with_home(part, questions, seed)
    rows = []
    for begin in track(range(0, len(asked), _READ_AT_ONCE), "read", console=_PROGRESS):
        batch = asked[begin : begin + _READ_AT_ONCE]
        texts = [contextual_text(home.title, None, home.text) for _, home in batch]
        pairs = [(question.question, text) for (question, _), text in zip(batch, texts, strict=True)]
        for (question, _), text, reading in zip(batch, texts, runtime.read(reader, pairs), strict=True):
            span = reading.spans[0] if reading.spans else None
            answer = text[span.start : span.end] if span else ""
            score = (span.score if span else -100.0) - reading.no_answer
            rows.append(GoldAnswer(answer, question.answers, score))
    return rows


def gold_answers(
    part: SetPart,
    encoder: Encoder,
    assessor: ReadingAssessor,
    runtime: ModelRuntime,
    *,
    questions: int,
    seed: int,
) -> list[GoldAnswer]:
    """All that judges an answer in the service, over a collection of the gold paragraph alone: the span that it would
    mark, scored by the confidence.
    """
    asked = _with_home(part, questions, seed)
    indexes = {home.document_id: PassageIndex([home], encoder, runtime) for _, home in asked}
    rows = []
    for question, home in track(asked, "answer", console=_PROGRESS):
        hits = merge_neighbours(indexes[home.document_id].search(question.question, top_k=DEPTH))
        found = assessor.assess(question.question, hits, _SPEC)
        best = found.sentences[0] if found.sentences else None
        marked = best.spans[0] if best and best.spans else None
        answer = best.quote.text[marked.start : marked.end] if best and marked else ""
        rows.append(GoldAnswer(answer, question.answers, found.confidence))
    return rows


def reader_score(rows: Sequence[GoldAnswer], threshold: float) -> ReaderScore:
    """F1 and exact match where answers with a score above the threshold are given."""
    f1: dict[bool, list[float]] = {True: [], False: []}
    exact: dict[bool, list[float]] = {True: [], False: []}
    for row in rows:
        answer = row.answer if row.score > threshold else ""
        f1[bool(row.golds)].append(token_f1(answer, row.golds))
        exact[bool(row.golds)].append(exact_match(answer, row.golds) if row.golds else float(not answer))
    both = [*f1[True], *f1[False]]
    return ReaderScore(
        len(both),
        _percent(both),
        _percent([*exact[True], *exact[False]]),
        _percent(f1[True]),
        _percent(exact[True]),
        _percent(f1[False]),
    )


def best_threshold(rows: Sequence[GoldAnswer]) -> float:
    """Of 49 quantiles of the scores the one with the best F1."""
    tried = np.quantile([row.score for row in rows], np.linspace(0.02, 0.98, 49))
    return float(max(tried, key=lambda threshold: reader_score(rows, threshold).f1))


def _with_home(part: SetPart, questions: int, seed: int) -> list[tuple[SetQuestion, Passage]]:
    """At most so many questions, each with its gold paragraph, or the one that it was written against."""
    passages = {passage.document_id: passage for passage in part.passages}
    homes = [
        (q, passages.get(q.gold[0] if q.gold else q.source or "")) for q in _sample(part.questions, questions, seed)
    ]
    return [(question, home) for question, home in homes if home is not None]


def _place(hit: Hit) -> str:
    return f"{hit.document_id}:{hit.char_start}"


def _with_evidence(hits: Sequence[Hit], question: SetQuestion) -> frozenset[str]:
    """The chunks among `hits` that share characters with evidence of the question."""
    return frozenset(
        _place(hit)
        for hit in hits
        for start, end in question.evidence_spans
        if hit.document_id in question.gold and hit.char_start < end and start < hit.char_start + len(hit.text)
    )


def _score(case: RankingCase, scores: NDArray[np.float64], graded: bool) -> float:
    ranked = list(dict.fromkeys(case.documents[i] for i in np.argsort(-scores, kind="stable")))
    if graded:
        return ndcg_at(ranked, dict.fromkeys(case.relevant, 1.0), 10) or 0.0
    return reciprocal_rank(ranked, case.relevant, 10)


def _interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    draw = np.random.default_rng(7)
    means = [draw.choice(differences, len(differences)).mean() for _ in range(_RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _percent(values: Sequence[float]) -> float:
    return 100 * sum(values) / len(values) if values else 0.0


def _sample(items: Sequence[_T], count: int, seed: int) -> list[_T]:
    if not count or count >= len(items):
        return list(items)
    return random.Random(seed).sample(list(items), count)  # noqa: S311 - not a secret
