"""Answers past their time are deleted while the service runs."""

from __future__ import annotations

import time

import pytest

from api.bootstrap import Service
from generate.answer import Question
from generate.retention import AnswerKeeper
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
