"""What counts as found when rankings are compared: whole documents, and the chunks of long ones that hold evidence."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np

from eval.bench.reading import compare, ranking_cases
from ingest.models import ModelRuntime
from tests.fakes import HashingEncoder

FILLER = "The keeper of the harbour writes the weather of every day into a large book with a brown cover. " * 40
EVIDENCE = "The ferry to Skarva leaves at nine."


def write_set(folder: Path, question: dict[str, object]) -> None:
    """One long document with the evidence in its middle, and one question about it."""
    folder.mkdir()
    text = f"{FILLER}{EVIDENCE} {FILLER}"
    for name, row in (
        ("corpus", {"id": "long", "title": "", "text": text, "meta": {}}),
        (
            "questions",
            {"id": "q", "question": "When does the ferry leave?", "answers": [], "answerable": True, **question},
        ),
    ):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")


def test_of_a_long_document_only_chunks_with_evidence_are_right(tmp_path: Path) -> None:
    """The document as such is always found: there is only one."""
    span = {"start": len(FILLER), "end": len(FILLER) + len(EVIDENCE)}
    write_set(tmp_path / "long", {"gold_doc_ids": ["long"], "meta": {"spans": [span]}})
    runtime = ModelRuntime()
    (case,) = ranking_cases(tmp_path, "long", HashingEncoder(), runtime, questions=0, seed=1)
    runtime.close()
    assert len(set(case.documents)) == len(case.documents) > 2
    assert {EVIDENCE in case.passages[case.documents.index(place)] for place in case.relevant} == {True}
    wrong = next(i for i, place in enumerate(case.documents) if place not in case.relevant)
    at_the_end = np.array([float(i == wrong) for i in range(len(case.documents))])
    assert compare("long", [case], [at_the_end], lambda relevance, fused: relevance).reranked < 1.0


def test_a_set_without_spans_counts_documents(tmp_path: Path) -> None:
    """Any chunk of the gold document will do."""
    write_set(tmp_path / "long", {"gold_doc_ids": ["long"]})
    runtime = ModelRuntime()
    (case,) = ranking_cases(tmp_path, "long", HashingEncoder(), runtime, questions=0, seed=1)
    runtime.close()
    assert case.relevant == {"long"} == set(case.documents)
