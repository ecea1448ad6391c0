"""Public question sets as retrieval tasks: passages, questions, and which passages are relevant to each.

The split is one for everything: what is fitted uses `fitting_sets`, what is published uses `report_sets`, and no
question is in both. Passages of the other parts stay in a collection as distractors.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

FAIRYTALE_QUESTIONS = 1500
"""Of 8,548; more would only repeat the same stories."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A document of a set."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class RetrievalQuestion:
    """What is asked, and the grade of each relevant passage (passages not named are not relevant)."""

    id: str
    text: str
    relevant: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RetrievalSet:
    """A collection with its questions; `measure` is the one that sums it up, in the notation of ir-measures."""

    name: str
    passages: tuple[Passage, ...]
    questions: tuple[RetrievalQuestion, ...]
    measure: str = "RR@10"

    def sample(self, questions: int, *, seed: int) -> RetrievalSet:
        """At most so many questions, drawn without repeats, in the order of the set."""
        if questions >= len(self.questions):
            return self
        rows = sorted(random.Random(seed).sample(range(len(self.questions)), questions))  # noqa: S311 - not a secret
        return replace(self, questions=tuple(self.questions[row] for row in rows))


def report_sets(data: Path) -> list[RetrievalSet]:
    """The sets that figures are published on. Nothing is ever fitted on their questions."""
    return [
        _whole(data, "qed_nq_dev"),
        _whole(data, "msmarco_sample"),
        _whole(data, "hotpotqa_mini"),
        _cranfield(data),
        _squad(data, "squad2_dev_a", range(13, 18)),
        _quarters(data, "drcd_dev", 0.75, 1.0),
        _quarters(data, "cmrc2018_trial", 0.75, 1.0),
    ]


def fitting_sets(data: Path) -> list[RetrievalSet]:
    """The sets, of five domains, on which weights may be fitted."""
    qed = _part_by_article(data, "qed_nq_train", 0.0, 0.9)
    tales = _part_by_article(data, "fairytaleqa_train", 0.0, 0.9)
    titles = {passage.id: passage.title for passage in tales.passages}
    asked = tales.sample(FAIRYTALE_QUESTIONS, seed=1).questions
    named = tuple(replace(q, text=f"{q.text} {titles[next(iter(q.relevant))]}") for q in asked)
    return [
        _squad(data, "squad2_dev_a", range(10)),
        qed,
        replace(tales, questions=named),
        _quarters(data, "drcd_dev", 0.0, 0.75),
        _quarters(data, "cmrc2018_trial", 0.0, 0.75),
    ]


def disfluent_set(data: Path, *, report: bool) -> RetrievalSet:
    """SQuAD questions as a person stumbles through them: the articles for building, or those for reporting."""
    articles = range(13, 18) if report else range(10)
    return replace(
        _squad(data, "squad2_dev_a", articles, file="questions_disfluent.jsonl.gz"), name="squad2_dev_a disfluent"
    )


def _whole(data: Path, name: str) -> RetrievalSet:
    return _set(data, name, lambda _line: True)


def _squad(data: Path, name: str, articles: Sequence[int], *, file: str = "questions.jsonl.gz") -> RetrievalSet:
    order: dict[str, int] = {}
    for line in _lines(data / name / "corpus.jsonl.gz"):
        order.setdefault(line["meta"]["article"], len(order))
    return _set(data, name, lambda line: order[line["meta"]["article"]] in articles, file=file)


def _quarters(data: Path, name: str, begin: float, end: float) -> RetrievalSet:
    """Questions on the paragraphs from this share of the file to that."""
    ids = [line["id"] for line in _lines(data / name / "corpus.jsonl.gz")]
    chosen = frozenset(ids[int(begin * len(ids)) : int(end * len(ids))])
    return _set(data, name, lambda line: line["id"] in chosen)


def _part_by_article(data: Path, name: str, begin: float, end: float) -> RetrievalSet:
    """Questions on the articles (stories) from this share of the file to that."""
    corpus = list(_lines(data / name / "corpus.jsonl.gz"))
    articles = list(dict.fromkeys(_article(line) for line in corpus))
    chosen = frozenset(articles[int(begin * len(articles)) : int(end * len(articles))])
    return _set(data, name, lambda line: _article(line) in chosen)


def _article(line: Mapping[str, Any]) -> str:
    meta = line["meta"]
    return str(meta.get("article") or meta.get("story") or line["title"])


def _set(
    data: Path, name: str, in_part: Callable[[Mapping[str, Any]], bool], *, file: str = "questions.jsonl.gz"
) -> RetrievalSet:
    corpus = list(_lines(data / name / "corpus.jsonl.gz"))
    part = {line["id"] for line in corpus if in_part(line)}
    questions = tuple(
        RetrievalQuestion(line["id"], line["question"], dict.fromkeys(line["gold_doc_ids"], 1))
        for line in _lines(data / name / file)
        if line["gold_doc_ids"] and line["gold_doc_ids"][0] in part
    )
    return RetrievalSet(name, tuple(_passage(line) for line in corpus), questions)


def _cranfield(data: Path) -> RetrievalSet:
    folder = data / "cranfield"
    relevant: dict[str, dict[str, int]] = {}
    for row in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, passage, grade = row.split("\t")
        if int(grade) > 0:
            relevant.setdefault(query, {})[passage] = int(grade)
    questions = tuple(
        RetrievalQuestion(line["id"], line["question"], relevant[line["id"]])
        for line in _lines(folder / "questions.jsonl.gz")
        if line["id"] in relevant
    )
    passages = tuple(_passage(line) for line in _lines(folder / "corpus.jsonl.gz"))
    return RetrievalSet("cranfield", passages, questions, measure="nDCG@10")


def _passage(line: Mapping[str, Any]) -> Passage:
    return Passage(line["id"], line["title"] or "", line["text"])


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)
