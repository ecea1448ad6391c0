"""Stored answers given again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.bootstrap import Service, open_service
from api.settings import Settings
from generate.answer import Answer, Question
from generate.replay import Replay, Stage
from ingest.errors import Conflict, Gone
from ingest.history import HistoryKeeper
from retrieve import Access
from tests.fakes import HashingEncoder
from tests.ingestion import ingest, ingest_texts, upload

TEXTS = {
    "fulmar.md": "# Fulmar\n\nMV Fulmar stops at 34 knots. The master decides at 05:00.\n",
    "food.md": "# Food\n\nThe café on deck five sells soup and bread. It closes at nine.\n",
}
STAGES: list[Stage] = ["question", "candidates", "generation"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data", chunk_tokens=60, overlap_tokens=12, answer_threshold=0.0, redact_patterns=("café",)
    )


@pytest.fixture
def filled(settings: Settings) -> Iterator[Service]:
    with open_service(settings, load=lambda name, revision: HashingEncoder(name, revision)) as service:
        ingest_texts(service, TEXTS)
        yield service


def ask(service: Service, text: str, access: Access | None = None) -> Answer:
    collection = service.collections.get("default")
    return asyncio.run(
        service.answerer.ask(
            Question(text),
            collection=collection,
            generation=collection.live_generation,
            access=access or Access.everything(),
            key_id=None,
        )
    )


def replay(service: Service, answer: Answer, start: Stage) -> Replay:
    stored = service.answers.get(answer.answer_id)
    return asyncio.run(service.replayer.replay(stored, start, access=Access.everything()))


@pytest.mark.parametrize("question", ["At what wind does MV Fulmar stop?", "What does deck five sell?", "Zebra?"])
def test_the_same_answer_comes_from_every_stage(filled: Service, question: str) -> None:
    """Also where stored text was masked, and for refusals."""
    answer = ask(filled, question)
    for start in STAGES:
        again = replay(filled, answer, start)
        assert again.same, (start, again.differences)
        assert again.answer.text == answer.text


def test_after_a_replacement_the_old_version_still_speaks(filled: Service) -> None:
    """From the candidates the answer is as it was; from the question the new text shows, and the differences say so."""
    answer = ask(filled, "At what wind does MV Fulmar stop?")
    ingest_texts(filled, {"fulmar.md": TEXTS["fulmar.md"].replace("34", "36")})
    assert replay(filled, answer, "candidates").same
    assert replay(filled, answer, "generation").same
    anew = replay(filled, answer, "question")
    assert not anew.same
    assert {"answer", "candidates", "snapshot_seq"} <= {one.field for one in anew.differences}
    assert "36" in (anew.answer.text or "")


def test_an_expired_version_cannot_be_replayed(filled: Service) -> None:
    """Its text is gone, so neither candidates nor citations can be checked; the question can still be asked anew."""
    answer = ask(filled, "At what wind does MV Fulmar stop?")
    ingest_texts(filled, {"fulmar.md": TEXTS["fulmar.md"].replace("34", "36")})
    assert HistoryKeeper(filled.catalogue, filled.runner, retention_days=0).queue_due() == 1
    collection = filled.collections.get("default")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            filled.documents.text(collection, "fulmar.md", 1)
        except Gone:
            break
        time.sleep(0.01)
    for start in ("candidates", "generation"):
        with pytest.raises(Gone):
            replay(filled, answer, start)
    assert "36" in (replay(filled, answer, "question").answer.text or "")


def test_after_a_deletion_there_is_nothing_to_replay(filled: Service) -> None:
    """At once, not only after the purge."""
    answer = ask(filled, "At what wind does MV Fulmar stop?")
    filled.deletion.delete_documents(filled.collections.get("default"), ["fulmar.md"], key_id=None)
    with pytest.raises(Gone):
        filled.answers.get(answer.answer_id)


def test_what_was_masked_is_not_in_the_store(filled: Service) -> None:
    """Neither in the question nor in the trace; the caller got it unmasked."""
    answer = ask(filled, "What does the café sell?")
    assert "café" in (answer.text or "")
    stored = filled.answers.get(answer.answer_id)
    assert "café" not in str(stored.trace)
    assert "café" not in str(stored.answer)
    assert stored.answer.question == "What does the ████ sell?"
    assert replay(filled, answer, "generation").same
    with pytest.raises(Conflict, match="masked"):
        replay(filled, answer, "question")


def test_an_overseer_replays_with_the_rights_of_the_one_who_asked(filled: Service) -> None:
    """A document that the asker could not see does not enter the replay."""
    collection = filled.collections.get("default")
    answer = ask(filled, "At what wind does MV Fulmar stop?", Access(frozenset({"public"})))
    secret = "# Fulmar\n\nMV Fulmar stops at 20 knots at night.\n"
    ingest(filled, [upload(filled, "secret.md", secret.encode(), access=("board",))])
    assert filled.documents.get(collection, "secret.md").access == ("board",)
    again = replay(filled, answer, "question")
    assert again.same, again.differences
    assert "20 knots" not in str(again)


def test_a_replay_names_what_an_answer_depends_on_and_is_another_one_now(filled: Service) -> None:
    """Credibility that was worked out since explains a difference, and counts as none."""
    filled.credibility.settle()
    assert filled.credibility.waiting() == 0
    answer = ask(filled, "At what wind does MV Fulmar stop?")
    assert "credibility" not in {one.field for one in replay(filled, answer, "question").differences}
    ingest_texts(filled, {"news.md": "# News\n\nMV Fulmar stops at 34 knots. The master decides at 05:00.\n"})
    filled.credibility.settle()
    [found] = [one for one in replay(filled, answer, "question").differences if one.field == "credibility"]
    assert found.counted is False
    assert set(found.before) == set(found.after) == {"fulmar.md"}
    assert found.before != found.after
