"""Questions of our own over public documents, asked as people ask who have not read them (`data/questions`).

Public question sets are written by people who look at the passage and repeat its words. These ask in other words, for
steps, reasons and permissions too, over product documentation, encyclopedia paragraphs, news and mixed files. Only the
questions are ours: the documents are those of the public sets, evidence is given by its offsets.
"""

from __future__ import annotations

import gzip
import json
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.passage_index import Passage
from eval.public_sets import Part, SetPart, SetQuestion, load_part
from ingest.errors import ExtractionFailed
from ingest.parsing import ParsedDocument, ParseLimits, SourceFile
from ingest.parsing.media_types import MARKDOWN, detect_media_type
from ingest.parsing.registry import parser_for

QUESTIONS = Path(__file__).parents[1] / "data" / "questions"
_HEAD_BYTES = 8192
_SEED = 7


@dataclass(frozen=True, slots=True)
class WrittenSet:
    """A file of `data/questions` (its name without the suffix), and what its questions are asked of; `others` limits
    the documents that no question is about (0: all are there).
    """

    name: str
    documents: Callable[[Path], tuple[Passage, ...]]
    others: int = 0


def load_written(written: WrittenSet, data: Path) -> SetPart:
    """The questions with all documents of their collection; `data` is the folder of the public sets. The documents are
    one group: a small collection may be any of them.
    """
    every = {document.document_id: document for document in written.documents(data)}
    with (QUESTIONS / f"{written.name}.jsonl").open(encoding="utf-8") as lines:
        questions = tuple(_question(json.loads(line), every) for line in lines)
    homes = {home for question in questions for home in (*question.gold, question.source) if home}
    others = [name for name in every if name not in homes]
    if written.others:
        others = random.Random(_SEED).sample(others, written.others)  # noqa: S311 - not a secret
    kept = homes | set(others)
    documents = tuple(document for name, document in every.items() if name in kept)
    return SetPart(written.name, documents, questions, dict.fromkeys(kept, written.name))


def manuals(data: Path, *, language: str = "en") -> tuple[Passage, ...]:
    """76 pages of product documentation in Markdown."""
    pages = [line for line in _lines(data / "dify_docs_a" / "corpus.jsonl.gz") if line["meta"]["lang"] == language]
    with tempfile.TemporaryDirectory() as folder:
        return tuple(_page(Path(folder), line) for line in pages)


def manuals_zh(data: Path) -> tuple[Passage, ...]:
    """The same pages in Chinese."""
    return manuals(data, language="zh")


def files(data: Path) -> tuple[Passage, ...]:
    """What can be extracted of the real files in `documents/`; the id is the file's name."""
    return tuple(_files(data / "documents"))


def news(data: Path) -> tuple[Passage, ...]:
    """Chinese news without titles."""
    return tuple(Passage(line["id"], "", line["text"]) for line in _lines(data / "crud_news_zh_a" / "corpus.jsonl.gz"))


def paragraphs(name: str, part: Part) -> Callable[[Path], tuple[Passage, ...]]:
    """The paragraphs of a part of a public set."""
    return lambda data: load_part(data / name, part).passages


MANUALS_TRAIN = WrittenSet("manuals-train", manuals)
MANUALS_CHOOSE = WrittenSet("manuals-choose", manuals)
ENCYCLOPEDIA_TRAIN = WrittenSet("encyclopedia-train", paragraphs("qed_nq_train", "train"))
ENCYCLOPEDIA_CHOOSE = WrittenSet("encyclopedia-choose", paragraphs("qed_nq_train", "choose"))
ARTICLES_TRAIN = WrittenSet("articles-train", paragraphs("squad2_dev_a", "train"))
FILES_REPORT = WrittenSet("files-report", files)
NEWS_REPORT = WrittenSet("news-report", news, others=500)
FILES_ZH_REPORT = WrittenSet("files-zh-report", files)
MANUALS_ZH_TRAIN = WrittenSet("manuals-zh-train", manuals_zh)
MANUALS_ZH_CHOOSE = WrittenSet("manuals-zh-choose", manuals_zh)
DRCD_TRAIN = WrittenSet("drcd-train", paragraphs("drcd_dev", "train"))
CMRC_TRAIN = WrittenSet("cmrc-train", paragraphs("cmrc2018_trial", "train"))
"""What is trained or fitted on stands in documents whose licence allows shipping derived weights (CC BY, CC BY-SA)."""


def _page(folder: Path, line: Mapping[str, Any]) -> Passage:
    path = folder / "page.md"
    path.write_text(line["text"], encoding="utf-8")
    return _passage(line["id"], parser_for(MARKDOWN).parse(SourceFile(path, path.name, MARKDOWN), ParseLimits()))


def _files(folder: Path) -> Iterator[Passage]:
    for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        about = json.loads(line)
        if about["expect"] != "text":
            continue
        path = folder / about["file"]
        media_type = detect_media_type(path.name, None, path.read_bytes()[:_HEAD_BYTES])
        try:
            parsed = parser_for(media_type).parse(SourceFile(path, path.name, media_type), ParseLimits())
        except ExtractionFailed:
            continue
        yield _passage(path.name, parsed)


def _passage(document_id: str, parsed: ParsedDocument) -> Passage:
    return Passage(document_id, parsed.title or "", parsed.text, parsed.headings)


def _question(line: Mapping[str, Any], documents: Mapping[str, Passage]) -> SetQuestion:
    """Training files give the answer by its place; in the others that of the first answer is the first in the
    evidence.
    """
    gold, meta, answers = tuple(line.get("gold_doc_ids", ())), line.get("meta", {}), tuple(line["answers"])
    spans = tuple((one["char_start"], one["char_end"]) for group in line.get("gold_evidence", ()) for one in group)
    starts = [-1] * len(answers)
    if gold and "answer" in meta:
        answers, starts = (documents[gold[0]].text[slice(*meta["answer"])],), [meta["answer"][0]]
    elif gold:
        start, end = spans[0]
        place = documents[gold[0]].text[start:end].lower().find(answers[0].lower())
        starts[0] = start + place if place >= 0 else -1
    return SetQuestion(
        line["id"],
        line["question"],
        answers,
        line["answerable"],
        gold,
        meta.get("source_doc_id"),
        tuple(starts),
        None,
        spans,
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)
