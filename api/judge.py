"""The judge that the settings name, and what it is given to judge."""

from __future__ import annotations

from collections.abc import Sequence

from api.settings import Settings
from eval.judging import Scores, SecondOpinions, ServerJudge
from eval.judging.ragas_metrics import is_installed
from eval.rows import EvaluationRow
from generate.answers import Answers
from generate.llm import ChatClient, Deadlines
from generate.llm.client import first_model
from generate.replay import Replayer
from ingest.catalogue import Catalogue
from ingest.errors import InvalidInput, NotFound


def second_opinions(settings: Settings, catalogue: Catalogue, answers: Answers, replayer: Replayer) -> SecondOpinions:
    """Raises `InvalidInput` (`ragas_missing`) where a judge is set but ragas is not installed, and `Unavailable` when
    the server of the judge has to be asked for its model and does not answer.
    """

    def passages(row: EvaluationRow) -> Sequence[str]:
        if row.answer_id is None:
            raise NotFound("a row without an answer has no passages", code="answer_not_found")
        return [hit.text for hit in replayer.candidates(answers.get(row.answer_id))]

    return SecondOpinions(Scores(catalogue), passages, settings, _judge(settings))


def _judge(settings: Settings) -> ServerJudge | None:
    url = settings.judge_url
    if url is None or settings.ragas == "off":
        return None
    if not is_installed():
        raise InvalidInput(
            "CITEWELL_JUDGE_URL is set, but judging needs ragas: pip install 'citewell[ragas]', or unset it",
            code="ragas_missing",
        )
    key = settings.judge_api_key.get_secret_value() if settings.judge_api_key else None
    wait = settings.judge_timeout_s
    model = settings.judge_model or first_model(url, key, timeout_s=settings.generator_connect_timeout_s)
    deadlines = Deadlines(settings.generator_connect_timeout_s, wait, wait, wait)
    client = ChatClient(url, model, key=key, deadlines=deadlines, connections_max=settings.judge_concurrency)
    return ServerJudge(client, max_tokens=settings.judge_max_tokens)
