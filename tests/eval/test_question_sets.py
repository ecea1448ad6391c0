"""Loading question sets."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from eval.question_sets import dump_question_set, load_question_set, parse_question_set, read_question_set
from ingest.errors import InvalidInput

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "eval" / "sample.jsonl"


def line(**fields: object) -> str:
    return json.dumps({"id": "q1", "question": "Who?", "answerable": False, **fields})


def test_the_sample_set_has_what_it_promises() -> None:
    """120 questions, 40 unanswerable (half near misses), three paraphrases each, gold evidence for the others."""
    questions = load_question_set(SAMPLE).questions
    unanswerable = [question for question in questions if not question.answerable]
    assert (len(questions), len(unanswerable)) == (120, 40)
    assert sum("near-miss" in question.tags for question in unanswerable) == 20
    assert {len(set(question.paraphrases)) for question in questions} == {3}
    assert all(question.evidence_groups for question in questions if question.answerable)


def test_the_sample_set_points_at_shipped_documents() -> None:
    """Every gold document exists."""
    documents = SAMPLE.parents[1] / "documents"
    golds = {gold for question in load_question_set(SAMPLE).questions for gold in question.gold_doc_ids}
    assert golds
    assert [gold for gold in sorted(golds) if not (documents / gold).is_file()] == []


def test_all_errors_are_told_at_once() -> None:
    """Line numbers and fields, not only the first one."""
    with pytest.raises(InvalidInput) as caught:
        parse_question_set([line(), line(id="q1"), '{"id": "q3"}', "no json", line(id="q5", answers=["x"])])
    fields = [problem.field for problem in caught.value.problems]
    assert fields == ["line 2.id", "line 3.question", "line 3.answerable", "line 4", "line 5"]


def test_an_empty_set_is_an_error() -> None:
    """Asking nothing proves nothing."""
    with pytest.raises(InvalidInput, match="no question"):
        parse_question_set(["", "  "])


def test_the_hash_names_the_content_not_the_spelling() -> None:
    """Field order, `lang` or `language`, and ignored `meta` make no other version; a changed answer does."""
    one = parse_question_set([line(lang="en")])
    two = parse_question_set(
        [json.dumps({"answerable": False, "language": "en", "question": "Who?", "id": "q1", "meta": {"a": 1}})]
    )
    other = parse_question_set([line(lang="zh")])
    assert one.sha256 == two.sha256
    assert one.sha256 != other.sha256


def test_gold_documents_are_shorthand_for_evidence() -> None:
    """`any`: one group with all documents; `all`: a group each."""
    either = parse_question_set([line(answerable=True, gold_doc_ids=["a", "b"])]).questions[0]
    both = parse_question_set([line(answerable=True, gold_doc_ids=["a", "b"], gold_mode="all")]).questions[0]
    assert [len(group) for group in either.evidence_groups] == [2]
    assert [len(group) for group in both.evidence_groups] == [1, 1]


def test_wrong_gold_and_wrong_filters_are_told() -> None:
    """An empty span, an empty group, an unknown filter field, a blank paraphrase."""
    wrong = [
        line(answerable=True, gold_evidence=[[{"document_id": "a", "char_start": 5, "char_end": 5}]]),
        line(id="q2", answerable=True, gold_evidence=[[]]),
        line(id="q3", filter={"colour": "red"}),
        line(id="q4", paraphrases=[" "]),
        '{"id": "q5", "question": "Who?", "answerable": false, "meta": {"a": NaN}}',
    ]
    with pytest.raises(InvalidInput) as caught:
        parse_question_set(wrong)
    messages = [problem.message for problem in caught.value.problems]
    told = ("char_end", "group", "colour", "blank", "NaN")
    assert [word in message for word, message in zip(told, messages, strict=True)] == [True] * 5


def test_bytes_are_read_whole_or_refused() -> None:
    """Gzipped or not; damaged, endless or not UTF-8 with a reason."""
    body = (line() + "\n").encode()
    assert read_question_set(body).sha256 == read_question_set(gzip.compress(body)).sha256
    for data, reason in (
        (gzip.compress(body)[:-12] + b"x" * 12, "damaged"),
        (gzip.compress(b"\n" * (65 << 20)), "more than"),
        (b"\n\xff", "line 2"),
    ):
        with pytest.raises(InvalidInput, match=reason):
            read_question_set(data)


def test_a_set_is_written_as_it_is_read() -> None:
    """Through JSON lines and back, with the same hash."""
    questions = load_question_set(SAMPLE)
    assert parse_question_set(dump_question_set(questions).splitlines()) == questions


def test_a_question_is_stale_when_a_needed_group_is_gone() -> None:
    """One alternative that is left is enough; an unanswerable question is never stale."""
    either = parse_question_set([line(answerable=True, gold_doc_ids=["a", "b"])]).questions[0]
    assert not either.is_stale(frozenset({"b"}))
    assert either.is_stale(frozenset({"c"}))
    assert not parse_question_set([line()]).questions[0].is_stale(frozenset())


def test_clusters_default_to_the_gold_document() -> None:
    """And to the question itself where there is none."""
    sets = [line(), line(id="q2", answerable=True, gold_doc_ids=["a"]), line(id="q3", cluster="c")]
    assert [question.cluster_id for question in parse_question_set(sets).questions] == ["q1", "a", "c"]
