"""Mining: what becomes a negative, where the answer stands, and which part a question belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from eval.finetune.examples import Example, mine_examples, read_examples, write_examples
from eval.passage_index import Passage
from eval.public_sets import SetPart, SetQuestion, load_part
from ingest.models import ModelRuntime
from tests.fakes import HashingEncoder

PASSAGES = (
    Passage("a", "Ferries", "The ferry to Skarva leaves at nine. It carries forty cars."),
    Passage("b", "Timetable", "The ferry to Skarva leaves at nine on Sundays too."),
    Passage("c", "Fares", "The ferry to Skarva costs twelve crowns."),
    Passage("d", "Other story", "The ferry to nowhere leaves when it likes."),
)


def question(identifier: str, text: str, *answers: str, gold: str | None, source: str | None = None) -> SetQuestion:
    """A question about the ferries."""
    golds = (gold,) if gold else ()
    return SetQuestion(identifier, text, answers, bool(golds), golds, source, (-1,) * len(answers), None)


def part(*questions: SetQuestion) -> SetPart:
    """The passages with these questions; the last passage belongs to another story."""
    return SetPart("ferries", PASSAGES, questions, {"a": "s", "b": "s", "c": "s", "d": "t"})


@pytest.fixture
def runtime() -> Iterator[ModelRuntime]:
    """A running runtime."""
    opened = ModelRuntime()
    yield opened
    opened.close()


def mined(runtime: ModelRuntime, *questions: SetQuestion, same_group: bool = False) -> list[Example]:
    """Examples with up to three negatives."""
    return list(mine_examples(part(*questions), HashingEncoder(), runtime, negatives=3, seed=1, same_group=same_group))


def test_a_passage_that_answers_too_is_no_negative(runtime: ModelRuntime) -> None:
    """Teaching that it is wrong would teach the opposite of what is wanted."""
    example = mined(runtime, question("1", "When does the ferry to Skarva leave?", "nine", gold="a"))[0]
    assert {passage.split("\n")[0] for passage in example.passages[1:]} == {"Fares", "Other story"}


def test_the_answer_is_found_in_the_passage_with_its_title(runtime: ModelRuntime) -> None:
    """The span is that of the text as the model reads it."""
    example = mined(runtime, question("1", "When does the ferry leave?", "Nine", gold="a"))[0]
    assert example.answer is not None
    assert example.passages[0][slice(*example.answer)] == "nine"
    assert example.passages[0].startswith("Ferries\n")


def test_an_unanswerable_question_comes_with_its_own_passage(runtime: ModelRuntime) -> None:
    """The hardest case of all stands first."""
    example = mined(runtime, question("1", "When does the ferry sink?", gold=None, source="c"))[0]
    assert not example.answerable
    assert example.answer is None
    assert example.passages[0].startswith("Fares")


FILLER = " ".join(f"The ferry to Skarva has deck {number} painted white." for number in range(60))
HANDBOOK = Passage("h", "Handbook", f"{FILLER} The ferry to Skarva leaves at nine. {FILLER} Its fare is twelve crowns.")


def handbook(*questions: SetQuestion) -> SetPart:
    """A document of several chunks, alone."""
    return SetPart("handbook", (HANDBOOK,), questions, {"h": "h"})


def test_other_chunks_of_a_long_document_are_negatives_where_the_evidence_has_a_place(runtime: ModelRuntime) -> None:
    """Those that a service would find beside it; none that overlaps the evidence or says the answer."""
    start = HANDBOOK.text.index("The ferry to Skarva leaves")
    asked = SetQuestion(
        "1", "When does the ferry leave?", ("nine",), True, ("h",), None, (-1,), None, ((start, start + 36),)
    )
    placed, unplaced = (
        next(mine_examples(handbook(one), HashingEncoder(), runtime, negatives=3, seed=1))
        for one in (asked, replace(asked, evidence_spans=()))
    )
    assert "leaves at nine" in placed.passages[0]
    assert placed.passages[1:]
    assert not any("leaves at nine" in passage for passage in placed.passages[1:])
    assert len(unplaced.passages) == 1


def test_an_unanswerable_question_comes_with_the_chunk_that_retrieval_finds(runtime: ModelRuntime) -> None:
    """Not with the beginning of a long document."""
    asked = question("1", "Which fare in crowns do children have?", gold=None, source="h")
    example = next(mine_examples(handbook(asked), HashingEncoder(), runtime, negatives=0, seed=1))
    assert "twelve crowns" in example.passages[0]


def test_negatives_of_a_story_stay_in_it(runtime: ModelRuntime) -> None:
    """Questions about a story make no sense outside of it."""
    example = mined(runtime, question("1", "When does the ferry leave?", "nine", gold="a"), same_group=True)[0]
    assert [passage.split("\n")[0] for passage in example.passages[1:]] == ["Fares"]


def test_examples_survive_the_disk(tmp_path: Path) -> None:
    """As they were."""
    examples = [
        Example("s", "wér?", True, ("a\n港口", "b"), (2, 4)),
        Example("s", "q", False, ("a",), None),
    ]
    assert write_examples(tmp_path / "e.jsonl.gz", examples) == 2
    assert read_examples(tmp_path / "e.jsonl.gz") == examples


@pytest.mark.parametrize("name", ["squad2_dev_a", "qed_nq_train", "fairytaleqa_train", "drcd_dev", "cmrc2018_trial"])
def test_parts_of_a_set_share_no_passage_and_no_question(shared: Path, name: str) -> None:
    """What is reported was never trained on."""
    parts = [load_part(shared / "datasets" / name, part) for part in ("train", "choose", "calibrate", "report")]
    passages = [passage.document_id for part in parts for passage in part.passages]
    questions = [question.id for part in parts for question in part.questions]
    assert len(passages) == len(set(passages))
    assert len(questions) == len(set(questions))
    assert len(parts[0].passages) > len(parts[1].passages) > 0


def test_sets_for_reporting_have_nothing_to_train_on(shared: Path) -> None:
    """Nor to choose by."""
    folder = shared / "datasets" / "msmarco_sample"
    assert not load_part(folder, "train").passages
    assert not load_part(folder, "choose").questions
    assert len(load_part(folder, "report").questions) == 1000
