"""Failures as training examples for `citewell train`: asks of train questions that went wrong, and users' judgements.

Negatives are passages that the collection's own retrieval put before the reader, of documents that are not gold and
without a right answer in them. Nothing passes the leak wall.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from eval.drafting.from_feedback import Judgement
from eval.drafting.leak_wall import TRAIN_POOL, LeakWall
from eval.finetune.examples import Example
from eval.measures import contains_answer, quote_stands
from eval.question_sets import EvaluationQuestion
from eval.rows import EvaluationRow
from ingest.chunking import contextual_text
from ingest.errors import CitewellError
from retrieve import Hit

_NEGATIVES = 3
Candidates = Callable[[str], Sequence[Hit]]
"""The passages of a stored answer by its id, best first; raises `CitewellError` when it is gone."""


def training_examples(
    rows: Iterable[tuple[EvaluationRow, EvaluationQuestion]],
    judgements: Iterable[Judgement],
    wall: LeakWall,
    candidates: Candidates,
) -> Iterator[Example]:
    """Each question once; what has no passage that answers it is left out, for there is nothing to learn from it."""
    seen: set[str] = set()
    for example in (*_of_rows(rows, candidates), *_of_judgements(judgements, candidates)):
        if example.question not in seen and wall.lets_through(example.question):
            seen.add(example.question)
            yield example


def _of_rows(rows: Iterable[tuple[EvaluationRow, EvaluationQuestion]], candidates: Candidates) -> Iterator[Example]:
    for row, question in rows:
        if question.pool == TRAIN_POOL and row.success is False and row.answer_id is not None:
            gold = frozenset(one.document_id for group in question.evidence_groups for one in group)
            quotes = [one.quote for group in question.evidence_groups for one in group if one.quote]
            hits = _hits(candidates, row.answer_id)
            right = [hit for hit in hits if hit.document_id in gold and _holds(hit, quotes, question.answers)]
            yield from _example("failures", row.question, question.answers, hits, right, gold, question.answerable)


def _of_judgements(judgements: Iterable[Judgement], candidates: Candidates) -> Iterator[Example]:
    for one in judgements:
        answerable = one.verdict != "should_refuse"
        if answerable and one.expected is None:
            continue
        answers = (one.expected,) if answerable and one.expected else ()
        hits = _hits(candidates, one.answer.answer.answer_id)
        right = [hit for hit in hits if contains_answer(hit.text, answers)]
        yield from _example("feedback", one.question, answers, hits, right, frozenset(), answerable)


def _example(
    source: str,
    question: str,
    answers: Sequence[str],
    hits: Sequence[Hit],
    right: Sequence[Hit],
    gold: frozenset[str],
    answerable: bool,
) -> Iterator[Example]:
    """Nothing where no passage answers an answerable question, or where none was found at all."""
    if not answerable and hits:
        yield Example(source, question, False, (_text(hits[0]),), None)
    elif answerable and right:
        wrong = [hit for hit in hits if hit.document_id not in gold and not contains_answer(hit.text, answers)]
        passages = tuple(_text(hit) for hit in (right[0], *wrong[:_NEGATIVES]))
        yield Example(source, question, True, passages, _span(passages[0], answers))


def _hits(candidates: Candidates, answer_id: str) -> Sequence[Hit]:
    try:
        return candidates(answer_id)
    except CitewellError:
        return ()


def _holds(hit: Hit, quotes: Sequence[str], answers: Sequence[str]) -> bool:
    """Whether the gold passage is what answers: it has a gold quote, or where none is known an answer."""
    return any(quote_stands(quote, hit.text) for quote in quotes) if quotes else contains_answer(hit.text, answers)


def _span(passage: str, answers: Sequence[str]) -> tuple[int, int] | None:
    lowered = passage.lower()
    for answer in answers:
        start = lowered.find(answer.lower())
        if start >= 0 and len(lowered) == len(passage):
            return start, start + len(answer)
    return None


def _text(hit: Hit) -> str:
    return contextual_text(hit.title, hit.heading, hit.text)
