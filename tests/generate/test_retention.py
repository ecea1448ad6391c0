"""Answers past their time are deleted while the service runs; what was deleted is remembered nowhere."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator

import pytest

from api.bootstrap import Service
from generate.answer import Question
from generate.retention import AnswerKeeper
from ingest import caches
from ingest.errors import NotFound
from tests.generate.test_answerer import events, final
from tests.ingestion import ingest_texts


def test_an_answer_is_kept_for_its_time_and_no_longer(service: Service) -> None:
    """With its trace; what is younger stays."""
    ingest_texts(service, {"fulmar.md": "# Fulmar\n\nMV Fulmar stops at 34 knots. The master decides at 05:00.\n"})
    answer_id = final(events(service, Question("When does MV Fulmar stop?"))).answer_id
    assert AnswerKeeper(service.answers, retention_days=1).forget_due() == 0
    assert service.answers.get(answer_id).answer.answer_id == answer_id
    keeper = AnswerKeeper(service.answers, retention_days=0)
    keeper.start()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            service.answers.get(answer_id)
        except NotFound:
            break
        time.sleep(0.02)
    keeper.close()
    with pytest.raises(NotFound):
        service.answers.get(answer_id)


def remembered_texts() -> Iterator[str]:
    """Strings among the keys and values of all functions that remember words of documents."""
    holders = [memory.__self__ for memory in caches._TEXT_MEMORIES]  # type: ignore[attr-defined]
    seen: set[int] = set()
    while holders:
        holder = holders.pop()
        if id(holder) not in seen and not isinstance(holder, type):
            seen.add(id(holder))
            inside = [one for one in gc.get_referents(holder) if not callable(one)]
            yield from (one for one in inside if isinstance(one, str))
            holders += inside


def test_the_words_of_a_deleted_document_are_in_no_memory(service: Service) -> None:
    """Nor what was worked out from it: sentences, terms, claims. Another document is answered from as before."""
    ingest_texts(
        service, {"a.md": "# Fulmar\n\nMV Fulmar stops at 34 knots.\n", "b.md": "# Tolm\n\nTolm is painted red.\n"}
    )
    final(events(service, Question("When does MV Fulmar stop?")))
    assert any("34 knots" in text for text in remembered_texts())
    service.deletion.delete_documents(service.collections.get("default"), ["a.md"], key_id=None)
    assert not any("knots" in text for text in remembered_texts())
    assert "red" in (final(events(service, Question("How is Tolm painted?"))).text or "")
