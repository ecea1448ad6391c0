"""Failures as training examples, and the wall that keeps evaluation out of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eval.drafting import LeakWall
from eval.drafting.failures import training_examples
from eval.question_sets import EvaluationQuestion
from ingest.errors import NotFound
from retrieve import Hit
from tests.eval.made_rows import REFUSED, WRONG, row
from tests.hits import hit_of

GOLD = hit_of("tolm.txt", "The lighthouse of Tolm was built in 1871.")
OTHER = hit_of("hask.txt", "The lighthouse of Hask is white.")
SAME = hit_of("again.txt", "Tolm has had its light since 1871.")


def question(name: str = "q", **fields: Any) -> EvaluationQuestion:
    values = {
        "question": "When was the lighthouse of Tolm built?", "answerable": True, "answers": ["1871"],
        "gold_doc_ids": ["tolm.txt"], "pool": "train",
    }  # fmt: skip
    return EvaluationQuestion(id=name, **{**values, **fields})


def failed(**fields: Any) -> Any:
    asked = question().question
    return row(**{"question": asked, "answer_id": "a", **WRONG, **fields})


def found(hits: Sequence[Hit]) -> Any:
    return lambda answer_id: hits


def test_a_failed_train_question_gives_an_example_with_hard_negatives() -> None:
    """Positive: the gold passage; negatives: what stood beside it, but nothing that holds the answer too."""
    (example,) = training_examples([(failed(), question())], [], LeakWall([]), found([OTHER, SAME, GOLD]))
    assert example.passages[0].endswith(GOLD.text)
    assert [passage.endswith(OTHER.text) for passage in example.passages[1:]] == [True]
    assert example.answer is not None
    assert example.passages[0][slice(*example.answer)] == "1871"


def test_questions_of_other_pools_and_successes_are_no_examples() -> None:
    """Nor failures without the gold passage, or whose answer was deleted."""
    wall, hits = LeakWall([]), found([GOLD])
    for pool in (None, "calibrate", "gate"):
        assert not list(training_examples([(failed(), question(pool=pool))], [], wall, hits))
    assert not list(training_examples([(failed(success=True), question())], [], wall, hits))
    assert not list(training_examples([(failed(), question())], [], wall, found([OTHER])))

    def gone(answer_id: str) -> Sequence[Hit]:
        raise NotFound("gone", code="answer_not_found")

    assert not list(training_examples([(failed(), question())], [], wall, gone))


def test_an_unanswerable_question_teaches_to_refuse() -> None:
    """The passage that misled stands alone."""
    asked = question(answerable=False, answers=[], gold_doc_ids=[])
    (example,) = training_examples([(failed(answerable=False), asked)], [], LeakWall([]), found([OTHER]))
    assert (example.answerable, len(example.passages), example.answer) == (False, 1, None)
    refused = failed(**{**REFUSED, "answer_id": "a"})
    assert list(training_examples([(refused, question())], [], LeakWall([]), found([GOLD])))


def test_the_wall_stops_whatever_resembles_a_protected_phrasing() -> None:
    """Word for word, in other case and order, or with a word more; paraphrases too; train questions protect nothing."""
    protected = question(pool="calibrate", paraphrases=["Tolm's light: since which year does it shine"])
    wall = LeakWall([protected])
    assert not wall.lets_through("when was THE lighthouse of Tolm built")
    assert not wall.lets_through("When exactly was the lighthouse of Tolm built?")
    assert not wall.lets_through("since which year does Tolm's light shine")
    assert wall.lets_through("Who keeps the lighthouse of Hask?")
    assert LeakWall([question()]).lets_through(question().question)
    assert not list(training_examples([(failed(), question())], [], wall, found([GOLD])))
