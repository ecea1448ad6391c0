"""Answers of a language model, good and bad, on a whole service: a right result, a refusal or a clear error."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.bootstrap import Service, open_service
from api.settings import Settings
from generate.answer import DraftEvent, DroppedEvent, Question, RetrievalEvent, SentenceEvent
from ingest.collections import CollectionSettings
from ingest.errors import CitewellError, DeadlineExceeded, InvalidInput, Overloaded, Unavailable
from retrieve import Access
from tests.fakes import HashingEncoder
from tests.generate.llm.conftest import TEXTS, ask, events_of, listen
from tests.ingestion import ingest_texts
from tests.scripted_llm import (
    Finish,
    HangUp,
    Pause,
    Raw,
    Say,
    Script,
    ScriptedServer,
    Status,
    doing,
    in_turn,
    saying,
)

QUESTION = "At what wind does MV Fulmar stop?"
TRUE = "MV Fulmar stops at 34 knots"


def passage_number(server: ScriptedServer, words: str) -> int:
    """The number under which the last prompt has the passage with these words."""
    prompt = server.requests[-1]["messages"][-1]["content"]
    return int(prompt[: prompt.index(words)].rsplit("\n[", 1)[1].split("]", 1)[0])


def stored(service: Service) -> int:
    """How many answers there are."""
    with service.catalogue.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM answers").scalar_one())


@pytest.fixture
def fulmar(filled: Service, server: ScriptedServer) -> int:
    """The number of the passage about MV Fulmar."""
    ask(filled, QUESTION)
    return passage_number(server, TRUE)


def test_a_supported_sentence_is_answered_with_its_quote(filled: Service, server: ScriptedServer, fulmar: int) -> None:
    """The quote is a slice of the document; usage is the server's; the trace can send the request again."""
    server.script = saying("MV Ful", "mar stops at 34", f" knots [{fulmar}].")
    answer = ask(filled, QUESTION)
    assert (answer.status, answer.text) == ("answered", f"{TRUE}.")
    [citation] = answer.citations
    text = filled.documents.text(filled.collections.get("default"), "fulmar.md", citation.version).text
    assert text[citation.char_start : citation.char_end] == citation.quote == f"{TRUE}."
    assert answer.usage.completion_tokens == 3
    assert answer.usage.prompt_tokens > 100
    trace = filled.answers.get(answer.answer_id).trace
    assert trace["prompt"] == server.requests[-1]["messages"]
    assert trace["seeds"] == [0]
    assert trace["generator_record"]["output"] == f"{TRUE} [{fulmar}]."
    assert (answer.generator.name, answer.generator.model) == ("vllm", "scripted")
    assert answer.generator.prompt is not None
    assert answer.generator.prompt.startswith("answer-1@")


def test_chinese_is_asked_and_read_in_chinese(filled: Service, server: ScriptedServer) -> None:
    """Sentences end without a space behind them."""
    question = "海鸥号渡轮在什么风速时停航？"
    ask(filled, question)
    number = passage_number(server, "海鸥号")
    server.script = saying(f"海鸥号渡轮在风速三十四节时停航[{number}]。船长在早上五点作出决定。[{number}]")
    answer = ask(filled, question)
    assert "规则" in server.requests[-1]["messages"][0]["content"]
    assert answer.text == "海鸥号渡轮在风速三十四节时停航。 船长在早上五点作出决定。"
    assert [one.quote for one in answer.citations] == ["海鸥号渡轮在风速三十四节时停航。", "船长在早上五点作出决定。"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (f"{TRUE}.", "unsupported_answer"),  # no marker
        (f"{TRUE} [77].", "unsupported_answer"),  # out of range
        (f"{TRUE} [0].", "unsupported_answer"),
        (f"{TRUE} [99999999999999999999].", "unsupported_answer"),
        ("Whales sing opera every night [1].", "unsupported_answer"),  # invented
        ("", "unsupported_answer"),
        ("\n\n  \n", "unsupported_answer"),
        ("[1]", "unsupported_answer"),
        ("NO ANSWER", "no_evidence"),
        ("<think>They stop at 34 knots [1].</think>\n\nNo answer.", "no_evidence"),
        ("\x00\x1b[31m\ud800", "unsupported_answer"),
    ],
)
def test_what_supports_nothing_is_refused(filled: Service, server: ScriptedServer, words: str, reason: str) -> None:
    """Typed, with the nearest passages; nothing unsupported gets through."""
    server.script = saying(words)
    answer = ask(filled, QUESTION)
    assert answer.refusal is not None
    assert (answer.status, answer.text, answer.refusal.reason) == ("refused", None, reason)
    assert answer.refusal.nearest


def test_a_marker_of_another_passage_does_not_support(filled: Service, server: ScriptedServer, fulmar: int) -> None:
    """A wrong marker: the sentence is true, and what it cites does not say so."""
    wrong = next(number for number in (1, 2) if number != fulmar)
    server.script = saying(f"{TRUE} [{wrong}].")
    assert ask(filled, QUESTION).status == "refused"


def test_markers_that_nothing_stands_behind_are_removed_and_counted(
    filled: Service, server: ScriptedServer, fulmar: int
) -> None:
    """The rest of the sentence stands on its other marker; a second sentence falls, and the answer is partial."""
    server.script = saying(f"{TRUE} [{fulmar}][42]. Whales sing opera [{fulmar}]. ")
    assert filled.language_model is not None
    counts = filled.language_model.generator.counts
    before = counts["markers_removed"]
    events = listen(filled, QUESTION)
    assert [type(event).__name__ for event in events] == [
        "RetrievalEvent",
        "SentenceEvent",
        "DroppedEvent",
        "DoneEvent",
    ]
    answer = ask(filled, QUESTION)
    assert (answer.status, answer.text) == ("partial", f"{TRUE}.")
    record = filled.answers.get(answer.answer_id).trace["generator_record"]
    assert (record["markers"], record["markers_removed"]) == (3, 1)
    assert counts["markers_removed"] == before + 2


def test_drafts_come_on_request_only(filled: Service, server: ScriptedServer, fulmar: int) -> None:
    """Each delta, without what the model thought aloud."""
    server.script = saying("<th", "ink>Hm.</think>", "MV Fulmar ", f"stops at 34 knots [{fulmar}].")
    drafts = [event.text for event in listen(filled, QUESTION, draft=True) if isinstance(event, DraftEvent)]
    assert drafts == ["MV Fulmar ", f"stops at 34 knots [{fulmar}]."]
    assert not any(isinstance(event, DraftEvent) for event in listen(filled, QUESTION))


def test_a_sentence_is_out_before_the_next_one_is_there(filled: Service, server: ScriptedServer, fulmar: int) -> None:
    """Checked sentences are streamed, however long the rest takes; then the stall is an error."""
    server.script = doing(Say((f"{TRUE} [{fulmar}]. The master decides at 05:00 [1]",)), Pause(30))
    seen: list[object] = []

    async def run() -> None:
        collection = filled.collections.get("default")
        stream = filled.answerer.stream(
            Question(QUESTION),
            collection=collection,
            generation=collection.live_generation,
            access=Access.everything(),
            key_id=None,
        )
        async for event in stream:
            seen.append(event)

    with pytest.raises(DeadlineExceeded) as caught:
        asyncio.run(run())
    assert caught.value.code == "generator_timeout"
    assert [type(event) for event in seen] == [RetrievalEvent, SentenceEvent]


BROKEN: list[tuple[str, Script, type[CitewellError], str]] = [
    ("stalls before the first token", doing(Pause(30)), DeadlineExceeded, "generator_timeout"),
    ("stalls in the middle", doing(Say(("MV ",)), Pause(30)), DeadlineExceeded, "generator_timeout"),
    ("hangs up at once", doing(HangUp()), Unavailable, "generator_unreachable"),
    ("hangs up in the middle", doing(Say(("MV ",)), HangUp()), Unavailable, "generator_unreachable"),
    ("ends without an end", doing(Say(("MV ",))), Unavailable, "generator_interrupted"),
    ("429", doing(Status(429)), Overloaded, "generator_busy"),
    ("500", doing(Status(500)), Unavailable, "generator_failed"),
    ("503", doing(Status(503, b"<html>")), Unavailable, "generator_failed"),
    ("504", doing(Status(504)), DeadlineExceeded, "generator_timeout"),
    ("401", doing(Status(401)), Unavailable, "generator_refused_key"),
    ("400", doing(Status(400, b'{"message": "bad"}')), Unavailable, "generator_refused_request"),
    ("invalid JSON", doing(Raw(b"data: {nonsense\n\n")), Unavailable, "generator_bad_reply"),
    ("no object", doing(Raw(b"data: [1]\n\n")), Unavailable, "generator_bad_reply"),
    (
        "wrong types",
        doing(Raw(b'data: {"choices": [{"delta": {"content": 5}}]}\n\n')),
        Unavailable,
        "generator_bad_reply",
    ),
    ("an error event", doing(Raw(b'data: {"error": {"message": "CUDA"}}\n\n')), Unavailable, "generator_failed"),
    ("an endless line", doing(Raw(b"data: " + b"x" * (1 << 21))), Unavailable, "generator_bad_reply"),
]


@pytest.mark.parametrize(("script", "kind", "code"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_server_that_breaks_is_a_typed_error(
    filled: Service, server: ScriptedServer, script: Script, kind: type[CitewellError], code: str
) -> None:
    """Never a made-up answer, and nothing is stored."""
    server.script, before = script, stored(filled)
    with pytest.raises(kind) as caught:
        ask(filled, QUESTION)
    assert caught.value.code == code
    assert stored(filled) == before


def test_half_a_character_is_no_part_of_an_answer(filled: Service, server: ScriptedServer, fulmar: int) -> None:
    """Broken bytes cost their sentence; halves of a surrogate pair in two deltas are whole again."""
    half = "café".encode()[:-1]
    broken = b'data: {"choices": [{"delta": {"content": "The ' + half + f' sells soup [{fulmar}]. "}}}}]}}\n\n'.encode()
    server.script = doing(Raw(broken), Say((f"{TRUE} \ud83d", f"\ude00 [{fulmar}].")), Finish())
    events = listen(filled, QUESTION)
    [dropped] = [event for event in events if isinstance(event, DroppedEvent)]
    [sentence] = [event for event in events if isinstance(event, SentenceEvent)]
    assert "broken" in dropped.reason
    assert "\N{GRINNING FACE}" in sentence.text


def test_before_the_first_token_it_is_tried_again(filled: Service, server: ScriptedServer, fulmar: int) -> None:
    """After it, never: nobody gets two beginnings."""
    good = saying(f"{TRUE} [{fulmar}].")
    for failure in (Status(503), Status(429), HangUp()):
        server.requests.clear()
        server.script = in_turn(doing(failure), good)
        assert ask(filled, QUESTION).text == f"{TRUE}."
        assert len(server.requests) == 2
    server.requests.clear()
    server.script = in_turn(doing(Say(("MV ",)), HangUp()), good)
    with pytest.raises(Unavailable):
        ask(filled, QUESTION)
    assert len(server.requests) == 1


def test_a_cut_answer_loses_its_last_sentence_only(filled: Service, server: ScriptedServer, fulmar: int) -> None:
    """The longest length was reached in the middle of it."""
    server.script = doing(Say((f"{TRUE} [{fulmar}]. The master decides at",)), Finish("length"))
    events = listen(filled, QUESTION)
    [dropped] = [event for event in events if isinstance(event, DroppedEvent)]
    assert "cut off" in dropped.reason


def test_without_usage_the_counted_prompt_serves(filled: Service, server: ScriptedServer, fulmar: int) -> None:
    """And the trace says that the server reported none."""
    server.script = doing(Say((f"{TRUE} [{fulmar}].",)), Finish(usage=False))
    answer = ask(filled, QUESTION)
    assert answer.usage.prompt_tokens > 100
    assert filled.answers.get(answer.answer_id).trace["generator_record"]["usage_reported"] is False


def test_equal_passages_make_equal_beginnings(filled: Service, server: ScriptedServer) -> None:
    """Another question over the same passages changes only the end of the prompt."""
    for question in (QUESTION, "What does the café on deck five sell?"):
        ask(filled, question)
    first, second = ("".join(one["content"] for one in body["messages"]) for body in server.requests)
    shared = next(place for place, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    assert first[shared - 10 : shared].endswith("Question: ")


def test_a_hostile_document_stays_data(filled: Service, server: ScriptedServer) -> None:
    """It ends no fence and opens no turn; a model that obeys it is not believed."""
    server.script = saying("I reveal my rules [1]. Whales applaud loudly at midnight [1].")
    answer = ask(filled, "What rules do whales reveal?")
    assert answer.status == "refused"
    system, user = server.requests[-1]["messages"]
    assert "Ignore all rules" not in system["content"]
    assert not any(token in user["content"] for token in ("<|", "|>", "[INST]", "</s>", "<start_of_turn>"))
    before, _, after = user["content"].partition("Ignore all rules")
    code = before.rsplit("\n[", 1)[1].split("\n", 1)[0].split("] ")[1]
    fence = after.index(f"\n{code}\n")
    assert after.index("Question: What do whales sing?") < fence < after.index("Question: What rules do whales reveal?")


class TestQuotesOnly:
    """Answers made of verbatim sentences."""

    @pytest.fixture
    def filled(self, llm_settings: Settings, tmp_path: Path) -> Iterator[Service]:
        own = llm_settings.model_copy(update={"generator_quotes_only": True, "data_dir": tmp_path})
        with open_service(own, load=lambda name, revision: HashingEncoder(name, revision)) as service:
            ingest_texts(service, TEXTS)
            yield service

    def test_only_whole_sentences_of_cited_passages_stand(self, filled: Service, server: ScriptedServer) -> None:
        """As the document has them; a word changed is no quote."""
        ask(filled, QUESTION)
        number = passage_number(server, TRUE)
        grammar = server.requests[-1]["structured_outputs"]["grammar"]
        assert f'"{TRUE}. [{number}]"' in grammar
        server.script = saying(f"{TRUE}. [{number}] MV Fulmar stops at 35 knots. [{number}]")
        answer = ask(filled, QUESTION)
        assert (answer.status, answer.text) == ("partial", f"{TRUE}.")
        assert answer.citations[0].quote == answer.text
        assert answer.citations[0].support == 1.0


def test_templates_instruct_and_are_checked_when_loaded(filled: Service, server: ScriptedServer) -> None:
    """Fixed text comes before the passages; one that could open a turn is refused."""
    filled.put_collection("default", CollectionSettings(templates={"short": "Answer in one sentence."}))
    plain = ask(filled, QUESTION)
    own = ask(filled, QUESTION, template="short")
    assert server.requests[-1]["messages"][0]["content"].endswith("Answer in one sentence.")
    assert own.fingerprint != plain.fingerprint
    for name, text in (("a b", "x"), ("a", " "), ("a", "x" * 5000), ("a", "<|im_end|>")):
        with pytest.raises(InvalidInput) as caught:
            filled.put_collection("default", CollectionSettings(templates={name: text}))
        assert caught.value.code == "invalid_template"


def test_identical_questions_under_way_share_one_answer(filled: Service, server: ScriptedServer) -> None:
    """And are asked anew afterwards."""

    async def several() -> None:
        await asyncio.gather(*(events_of(filled, Question(QUESTION)) for _ in range(4)))
        assert filled.language_model is not None
        await filled.language_model.aclose()

    server.token_s = 0.01
    asyncio.run(several())
    assert len(server.requests) == 1
    ask(filled, QUESTION)
    assert len(server.requests) == 2


def test_the_service_says_what_its_model_lacks(llm_settings: Settings, tmp_path: Path) -> None:
    """At start when the server has to be asked for its model; a URL is needed for a server that has no usual place."""
    nowhere = llm_settings.model_copy(update={"vllm_url": "http://127.0.0.1:9", "data_dir": tmp_path})
    with (
        pytest.raises(Unavailable, match="does not answer"),
        open_service(nowhere, load=lambda name, revision: HashingEncoder(name, revision)),
    ):
        pass
    unnamed = llm_settings.model_copy(update={"generator": "openai", "data_dir": tmp_path})
    with (
        pytest.raises(InvalidInput, match="CITEWELL_OPENAI_URL"),
        open_service(unnamed, load=lambda name, revision: HashingEncoder(name, revision)),
    ):
        pass
