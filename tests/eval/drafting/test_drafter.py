"""Drafts from the documents of a whole service."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest

from api.bootstrap import Service
from eval.drafting import Drafter, JudgeWriter, RuleWriter
from eval.question_sets import EvaluationQuestion, QuestionSet, dump_question_set, parse_question_set
from retrieve import Access
from tests.ingestion import ingest, ingest_texts, upload

PLACES = {"Tolm": 1871, "Hask": 1902, "Morvie": 1788, "Sandray": 1934, "Ulbster": 1850, "Fenwick": 1811}
TEXTS = {
    f"{name}.txt": f"The lighthouse of {name} was built of stone in {year}. The tower of {name} has {year % 97} steps."
    for name, year in PLACES.items()
} | {"rules.txt": "The limit for boats of 12 metres is 34 knots."}


def drafts(service: Service, access: Access | None = None, **options: int) -> list[EvaluationQuestion]:
    drafter = Drafter(
        service.catalogue, service.searcher, service.collections.get("default"), access or Access.everything()
    )
    return list(drafter.drafts(RuleWriter(), **{"count": 100, "seed": 1, **options}))


def of_kind(found: list[EvaluationQuestion], kind: str) -> list[EvaluationQuestion]:
    return [one for one in found if f"ability:{kind}" in one.tags]


@pytest.fixture
def filled(service: Service) -> Service:
    ingest_texts(service, TEXTS)
    return service


def test_a_set_has_plain_questions_and_the_four_abilities(filled: Service) -> None:
    """It is a valid question set, pending review, the same for the same seed."""
    found = drafts(filled)
    parsed = parse_question_set(dump_question_set(QuestionSet(tuple(found))).splitlines())
    assert [one.id for one in parsed.questions] == [one.id for one in drafts(filled)]
    assert {one.meta["review"] for one in parsed.questions} == {"pending"}
    for kind in ("plain", "noise", "rejection", "gold-removed", "edited", "two-documents"):
        assert of_kind(found, kind), kind
    assert len(drafts(filled, count=4)) == 4


def test_gold_is_removed_by_filters_and_noise_keeps_it(filled: Service) -> None:
    """Asked through the same path, the gold document is out of reach, or among near misses."""
    found = drafts(filled)
    for one in of_kind(found, "gold-removed"):
        assert one.filter == {"document_id": {"$ne": one.cluster}}
        assert not one.answerable
    for one in of_kind(found, "rejection"):
        assert one.cluster not in one.filter["document_id"]["$in"]
    for one in of_kind(found, "noise"):
        assert one.answerable
        assert one.filter["document_id"]["$in"][0] == one.cluster
        assert len(one.filter["document_id"]["$in"]) > 1


def test_two_documents_and_edited_values(filled: Service) -> None:
    """Both golds are needed; an edited question differs from every plain one and has no answer."""
    found = drafts(filled)
    for one in of_kind(found, "two-documents"):
        assert len({gold.document_id for group in one.evidence_groups for gold in group}) == 2
        assert len(one.evidence_groups) == 2
    plain = {one.question for one in of_kind(found, "plain")}
    assert all(one.question not in plain and not one.answerable for one in of_kind(found, "edited"))


def test_only_what_access_may_see_is_drafted(service: Service) -> None:
    """A tagged document is not quoted to others."""
    ingest(service, [upload(service, "secret.txt", TEXTS["Tolm.txt"].encode(), access=["board"])])
    assert drafts(service, Access(frozenset(["staff"]))) == []
    assert drafts(service, Access(frozenset(["board"])))


class Replying:
    """A judge that always says the same; the real one passes tests/eval/judging and tests/vllm."""

    identity = "replying"

    def __init__(self, reply: Any) -> None:
        self._reply = reply

    async def complete(self, prompt: str, schema: Mapping[str, Any]) -> str:
        return self._reply if isinstance(self._reply, str) else json.dumps(self._reply)

    async def aclose(self) -> None:
        pass


QUOTE = "The lighthouse of Tolm was built of stone in 1871."


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        ({"question": "When was it built?", "answer": "1871", "quote": QUOTE}, True),
        ({"question": "When?", "answer": "1871", "quote": "Tolm dates from 1871."}, False),
        ({"question": "When?", "answer": "1872", "quote": QUOTE}, False),
        ({"question": "When?"}, False),
        ("[]", False),
        ("noise", False),
    ],
)
def test_what_a_model_writes_is_kept_only_if_it_stands(reply: Any, kept: bool) -> None:
    """The quote in the passage, the answer in the quote."""
    found = list(JudgeWriter(Replying(reply)).questions("Tolm", TEXTS["Tolm.txt"], random.Random(1)))  # noqa: S311 - not a secret
    assert bool(found) is kept
