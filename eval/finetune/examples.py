"""Training examples: a question with a passage that answers it, if any, and hard negatives from our own retriever.

A negative is a chunk that retrieval ranks high, in which no gold answer stands, of another document or, where the place
of the evidence is known, from elsewhere: passages that answer the question without being its gold passage would teach
the opposite.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from eval.measures import contains_answer
from eval.passage_index import PassageIndex
from eval.public_sets import SetPart, SetQuestion
from ingest.chunking import contextual_text
from ingest.models import Encoder, ModelRuntime
from ingest.sentences import Span
from retrieve import Hit

MINED_FROM = 20
"""Negatives come from so many of the fused hits: what the reranker will see."""

_PROGRESS = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Example:
    """`passages[0]` answers the question if `answerable`; all others do not. Passages begin with their context (title).

    `answer` is the code-point span of the answer in `passages[0]`, None where it is not literal. For an unanswerable
    question `passages[0]` is the passage that it was written against.
    """

    source: str
    question: str
    answerable: bool
    passages: tuple[str, ...]
    answer: tuple[int, int] | None


def mine_examples(
    part: SetPart,
    encoder: Encoder,
    runtime: ModelRuntime,
    *,
    negatives: int,
    seed: int,
    same_group: bool = False,
) -> Iterator[Example]:
    """One example a question whose gold passage has a chunk; `same_group` takes negatives of the same article only
    (for sets whose questions make no sense outside of their story).
    """
    index = PassageIndex(part.passages, encoder, runtime)
    draw = random.Random(seed)  # noqa: S311 - not a secret
    for question in track(part.questions, f"mining {part.name}", console=_PROGRESS):
        home = question.gold[0] if question.gold else question.source
        hits = index.search(question.question, top_k=100 if same_group else MINED_FROM)
        chunk = _best_chunk(index.chunks_of(home), hits, question) if home else None
        if chunk is None:
            continue
        wrong = [
            hit
            for hit in hits
            if not _is_evidence(hit, home, question)
            and not contains_answer(hit.text, question.answers)
            and (not same_group or part.groups[hit.document_id] == part.groups[chunk.document_id])
        ][:MINED_FROM]
        chosen = draw.sample(wrong, min(negatives, len(wrong)))
        shift = len(_text(chunk)) - len(chunk.text)
        span = _answer_in(chunk, question)
        yield Example(
            part.name,
            question.question,
            question.answerable,
            tuple(_text(hit) for hit in (chunk, *chosen)),
            (span.start + shift, span.end + shift) if span else None,
        )


def write_examples(path: Path, examples: Iterable[Example]) -> int:
    """Writes gzip-compressed JSON lines; how many."""
    count = 0
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        for example in examples:
            lines.write(json.dumps(asdict(example), ensure_ascii=False) + "\n")
            count += 1
    return count


def read_examples(path: Path) -> list[Example]:
    """The reverse of `write_examples`."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        Example(
            row["source"],
            row["question"],
            row["answerable"],
            tuple(row["passages"]),
            tuple(row["answer"]) if row["answer"] else None,
        )
        for row in rows
    ]


def _text(hit: Hit) -> str:
    return contextual_text(hit.title, hit.heading, hit.text)


def _best_chunk(chunks: Sequence[Hit], hits: Sequence[Hit], question: SetQuestion) -> Hit | None:
    """Of the document's chunks the one with the answer in it, else the one that retrieval ranks highest, else the
    first; None without chunks.
    """
    places = {hit.chunk_id: hit.rank for hit in hits}
    nearest = min(chunks, key=lambda chunk: places.get(chunk.chunk_id, len(hits) + 1), default=None)
    return next((chunk for chunk in chunks if _answer_in(chunk, question)), nearest)


def _is_evidence(hit: Hit, home: str | None, question: SetQuestion) -> bool:
    """The chunk overlaps the evidence; where its place is not known, it is of the gold or the source document."""
    if question.evidence_spans:
        inside = any(hit.char_start < end and start < hit.char_end for start, end in question.evidence_spans)
        return inside and hit.document_id in question.gold
    return hit.document_id in question.gold or hit.document_id == home


def _answer_in(chunk: Hit, question: SetQuestion) -> Span | None:
    """Where the first answer stands in the chunk: at its recorded place, in the gold sentence, or anywhere."""
    if not question.answers:
        return None
    answer = question.answers[0]
    start = question.starts[0] - chunk.char_start if question.starts[0] >= 0 else -1
    if start < 0 and question.evidence and (sentence := chunk.text.find(question.evidence)) >= 0:
        start = chunk.text.find(answer, sentence)
    if start < 0 and question.starts[0] < 0:
        start = chunk.text.lower().find(answer.lower())
    end = start + len(answer)
    return Span(start, end) if start >= 0 and chunk.text[start:end].lower() == answer.lower() else None
