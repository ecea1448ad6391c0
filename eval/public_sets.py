"""The public question sets in the shared format, cut into the parts that every published figure names.

Parts: `train`, `choose`, `calibrate`, `report`. SQuAD is split by article, in file order; `qed_nq_train` and
`fairytaleqa_train` by article, 90 % train and the rest choose; the Chinese sets by paragraph, half train, a quarter
choose, a quarter report; every other set is for reporting only.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from eval.passage_index import Passage

Part = Literal["train", "choose", "calibrate", "report"]

_SQUAD_ARTICLES: Mapping[Part, range] = {
    "train": range(8),
    "choose": range(8, 10),
    "calibrate": range(10, 13),
    "report": range(13, 18),
}


@dataclass(frozen=True, slots=True)
class SetQuestion:
    """`answers` are alternatives; `gold` are document ids; `source` is the passage that it was written against.

    `starts` are code points of the answers in the first gold document, -1 where not literal or not known;
    `evidence` is the gold sentence, where the set has one; `evidence_spans` the code points of the gold document that
    hold the evidence, in sets of long documents.
    """

    id: str
    question: str
    answers: tuple[str, ...]
    answerable: bool
    gold: tuple[str, ...]
    source: str | None
    starts: tuple[int, ...]
    evidence: str | None
    evidence_spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class SetPart:
    """The passages of a part with the questions asked of them; `groups` maps a document id to its article."""

    name: str
    passages: tuple[Passage, ...]
    questions: tuple[SetQuestion, ...]
    groups: Mapping[str, str]


def load_part(folder: Path, part: Part, *, questions: str = "questions") -> SetPart:
    """One part of the set in `folder`; `questions` names the file of questions. Empty if the set has no such part."""
    corpus = list(_lines(folder / "corpus.jsonl.gz"))
    groups = {line["id"]: line["meta"].get("article", line["id"]) for line in corpus}
    chosen = _chosen(folder.name, corpus, part)
    asked = [_question(line) for line in _lines(folder / f"{questions}.jsonl.gz")]
    return SetPart(
        folder.name,
        tuple(Passage(line["id"], line["title"] or "", line["text"]) for line in corpus if line["id"] in chosen),
        tuple(question for question in asked if home_of(question) in chosen),
        {document_id: group for document_id, group in groups.items() if document_id in chosen},
    )


def load_judgements(folder: Path) -> dict[str, frozenset[str]]:
    """Relevant document ids by question id, of a set with `qrels.tsv`."""
    relevant: dict[str, set[str]] = {}
    for line in (folder / "qrels.tsv").read_text().splitlines()[1:]:
        question, document, score = line.split("\t")
        if int(score) > 0:
            relevant.setdefault(question, set()).add(document)
    return {question: frozenset(documents) for question, documents in relevant.items()}


def _chosen(name: str, corpus: list[dict[str, Any]], part: Part) -> frozenset[str]:
    ids = [line["id"] for line in corpus]
    articles = list(dict.fromkeys(line["meta"].get("article", "") for line in corpus))
    if name == "squad2_dev_a":
        wanted = {articles[i] for i in _SQUAD_ARTICLES[part]}
    elif name in ("qed_nq_train", "fairytaleqa_train"):
        cut = len(articles) * 9 // 10
        wanted = set({"train": articles[:cut], "choose": articles[cut:]}.get(part, []))
    elif name in ("drcd_dev", "cmrc2018_trial"):
        half, quarter = len(ids) // 2, len(ids) // 4
        bounds = {"train": (0, half), "choose": (half, half + quarter), "report": (half + quarter, len(ids))}
        return frozenset(ids[slice(*bounds.get(part, (0, 0)))])
    else:
        return frozenset(ids if part == "report" else [])
    return frozenset(line["id"] for line in corpus if line["meta"]["article"] in wanted)


def _question(line: Mapping[str, Any]) -> SetQuestion:
    meta = line.get("meta", {})
    return SetQuestion(
        line["id"],
        line["question"],
        tuple(line["answers"]),
        line["answerable"],
        tuple(line["gold_doc_ids"]),
        meta.get("source_doc_id"),
        tuple(meta.get("answer_start", [-1] * len(line["answers"]))),
        meta.get("evidence_sentence"),
        tuple((span["start"], span["end"]) for span in meta.get("spans", ())),
    )


def home_of(question: SetQuestion) -> str | None:
    """The document that the question is about, also where it does not answer; None where that is not known."""
    return question.gold[0] if question.gold else question.source


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)
