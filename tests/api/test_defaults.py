"""What a newcomer gets: the packaged models, as the settings have them when nobody sets anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.bootstrap import open_service
from api.samples import submit_samples
from api.settings import Settings
from generate.answer import Question
from retrieve import Access
from tests.ingestion import wait_for_job


async def test_the_first_question_of_the_readme_is_read_and_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded model reranks and reads; the answer is the procedure in force, the near miss is refused. Of two
    editions of a policy the later one is quoted, though the older one has more of the question.
    """
    for name in ("CITEWELL_GENERATOR", "CITEWELL_RERANKER_MODEL"):
        monkeypatch.delenv(name, raising=False)
    with open_service(Settings(data_dir=tmp_path / "data")) as service:
        job = submit_samples(service)
        assert job is not None
        assert wait_for_job(service, job).state == "succeeded"
        collection = service.collections.get("default")
        answers = [
            await service.answerer.ask(
                Question(text),
                collection=collection,
                generation=collection.live_generation,
                access=Access.everything(),
                key_id=None,
            )
            for text in (
                "At what mean wind is MV Fulmar stopped?",
                "At what wind is MV Skarva Dawn stopped?",
                "private car mileage rate",
            )
        ]
    assert [answer.generator.name for answer in answers] == ["reader"] * 3
    assert answers[0].text is not None
    assert "34 knots" in answers[0].text
    assert answers[1].status == "refused"
    assert "45 pence" in (answers[2].text or "")
    assert [conflict.document_id for conflict in answers[2].conflicts] == ["policies/travel-expenses-2023.md"]
