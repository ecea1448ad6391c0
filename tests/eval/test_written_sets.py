"""Our own questions fit the documents that they are asked of, and no part knows what another one was taught."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval import written_sets
from eval.question_sets import load_question_set
from eval.written_sets import WrittenSet, load_written

SETS = [value for value in vars(written_sets).values() if isinstance(value, WrittenSet)]


def test_every_file_of_questions_has_its_set() -> None:
    """None lies about unused, and each can be run as a question set."""
    paths = list(written_sets.QUESTIONS.glob("*.jsonl"))
    assert {path.stem for path in paths} == {written.name for written in SETS}
    assert all(load_question_set(path).questions for path in paths)


@pytest.mark.parametrize("written", SETS, ids=lambda written: written.name)
def test_evidence_holds_the_first_answer(shared: Path, written: WrittenSet) -> None:
    """Within its document, as the parsers extract it today; what has no answer names the passage next to it."""
    part = load_written(written, shared / "datasets")
    texts = {passage.document_id: passage.text for passage in part.passages}
    assert len(part.questions) >= 60
    for question in part.questions:
        if not question.answerable:
            assert question.source in texts, question.id
            continue
        (start, end), answer = question.evidence_spans[0], question.answers[0]
        assert texts[question.gold[0]][question.starts[0] :].lower().startswith(answer.lower()), question.id
        assert start <= question.starts[0] < question.starts[0] + len(answer) <= end, question.id


def test_parts_share_no_paragraph_and_no_page(shared: Path) -> None:
    """What is fitted or reported was asked about documents of which nothing was trained on."""
    parts = [load_written(written, shared / "datasets") for written in SETS]
    asked = {p.name: {h for q in p.questions for h in (*q.gold, q.source) if h} for p in parts}
    for kind in ("manuals", "encyclopedia", "news"):
        names = [name for name in asked if name.startswith(kind)]
        for index, name in enumerate(names):
            for other in names[index + 1 :]:
                assert not asked[name] & asked[other], (name, other)
