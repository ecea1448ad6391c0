"""Passages that contradict each other: found, settled by authority or date, or left open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from generate.answer import AnswerSpan
from generate.assessment import Assessment, Quote, ScoredSentence
from generate.conflicts import ConflictFinder, Findings
from ingest.credibility import Credibility
from tests.generate.test_assessment import hit


def statement(
    text: str, score: float, document: int, *, date: str | None = None, authority: float = 0.5, title: str = "t"
) -> ScoredSentence:
    passage = replace(
        hit(text, rank=document, version_pk=document), document_pk=document, document_id=f"d{document}",
        chunk_id=str(document), document_date=date, credibility=Credibility(source=authority), title=title,
    )  # fmt: skip
    return ScoredSentence(Quote(passage, 0, len(text)), score)


def find(question: str, *sentences: ScoredSentence) -> Findings:
    return ConflictFinder().find(question, Assessment(tuple(sentences), 0.9, {}))


OLD = statement("Standby pay is £80 per night.", 0.9, 1, date="2023-01-01")
NEW = statement("Standby pay is £95 per night.", 0.6, 2, date="2025-01-01")


def test_the_later_date_wins_and_comes_first() -> None:
    """The loser is taken out and shown; a sentence in between does not become the answer."""
    between = statement("Pay is a matter of talks.", 0.7, 3)
    found = find("How much is standby pay per night?", OLD, between, NEW)
    assert [one.quote.text for one in found.assessment.sentences] == [NEW.quote.text, between.quote.text]
    assert [(one.document_id, one.outranked_by) for one in found.conflicts] == [("d1", "date")]
    assert (found.settled, found.rivals) == (True, (OLD.quote,))


def test_authority_outranks_the_date() -> None:
    """By 0.15 or more."""
    signed = statement("Standby pay is £80 per night.", 0.9, 1, date="2023-01-01", authority=0.7)
    mail = statement("Standby pay is £95 per night.", 0.6, 2, date="2025-01-01", authority=0.3)
    found = find("How much is standby pay per night?", mail, signed)
    assert found.assessment.sentences[0].quote is signed.quote
    assert found.conflicts[0].outranked_by == "authority"


def test_without_date_and_rank_both_sides_are_shown() -> None:
    """Nothing settles it; the other side is the rival."""
    one, other = (replace(s, quote=replace(s.quote, hit=replace(s.quote.hit, document_date=None))) for s in (OLD, NEW))
    found = find("How much is standby pay per night?", one, other)
    assert not found.settled
    assert {conflict.document_id for conflict in found.conflicts} == {"d1", "d2"}
    assert found.rivals == (other.quote,)


@pytest.mark.parametrize(
    ("question", "one", "other"),
    [
        ("When is the tower commissioned?", "The tower opens on 9 January 2026.", "The arm opens on 2 March 2026."),
        ("How many sail?", "In 2023 we carried 612 passengers.", "In 2024 we carried 640 passengers."),
        ("How fast is MV Petrel?", "The ship MV Petrel makes 12 knots.", "The ship MV Fulmar makes 14 knots."),
        ("Who is master?", "Ada is master of the 2 ships.", "Bea is master of the 3 ships."),
    ],
)
def test_other_subjects_years_names_and_questions_are_no_conflicts(question: str, one: str, other: str) -> None:
    """Different figures alone do not contradict each other."""
    assert find(question, statement(one, 0.9, 1), statement(other, 0.4, 2)).conflicts == ()


def test_two_answers_to_one_question_contradict_each_other_in_other_words() -> None:
    """Both are taken for answers, in different works that speak of what is asked; not in parts of one work."""
    memo = statement("The winter timetable begins on 26 October 2025.", 0.9, 1, title="Memo")
    mail = statement("Of the winter timetable: it starts on Monday 3 November 2025.", 0.7, 2, title="Mail")
    assert len(find("When does the winter timetable start?", memo, mail).conflicts) == 2
    chapter = statement("Folk dances start on 3 November 2025 as ever, winter or not.", 0.7, 2, title="Memo")
    assert find("When does the winter timetable start?", memo, chapter).conflicts == ()


RULES = {
    2022: statement("A permit for the yard costs £30 a month.", 0.8, 1, date="2022-03-01", title="Parking rules 2022"),
    2024: statement("A permit for the yard costs £42 a month.", 0.02, 2, date="2024-03-01", title="Parking rules 2024"),
}


@pytest.mark.parametrize(
    "question",
    [
        "What would I pay for leaving my car here?",
        "car space charge",
        "Who may leave a car, and for what?",
        "How much will it be in 2026?",
    ],
)
def test_the_later_edition_wins_whatever_the_words_of_the_question(question: str) -> None:
    """The older one was found to answer it, and the newer says the same with another figure. It takes the older one's
    place: its score, and that of everything else that the older passage says.
    """
    beside = replace(RULES[2022], quote=replace(RULES[2022].quote, start=0, end=8), score=0.5)
    found = find(question, RULES[2022], beside, RULES[2024])
    assert [(one.quote.text, one.score) for one in found.assessment.sentences] == [(RULES[2024].quote.text, 0.8)]
    assert [(one.document_id, one.outranked_by) for one in found.conflicts] == [("d1", "date")]


@pytest.mark.parametrize("question", ["What did a permit cost in 2022?", "What did a permit cost in the old rules?"])
def test_an_edition_that_the_question_chose_stands(question: str) -> None:
    """However old it is."""
    found = find(question, RULES[2022], RULES[2024])
    assert (found.conflicts, found.assessment.sentences[0]) == ((), RULES[2022])


def undated(sentence: ScoredSentence, title: str) -> ScoredSentence:
    """Nothing but its title tells which edition it is of."""
    return replace(
        sentence, quote=replace(sentence.quote, hit=replace(sentence.quote.hit, document_date=None, title=title))
    )


def test_titles_settle_what_editions_without_dates_say() -> None:
    """A draft of later years does not count, either."""
    old, new = (undated(RULES[year], f"Parking rules {year}") for year in (2022, 2024))
    draft = undated(RULES[2024], "Parking rules 2026, draft")
    assert find("car space charge", old, new).assessment.sentences[0].quote is new.quote
    found = find("car space charge", draft, old)
    assert (found.assessment.sentences[0].quote, found.conflicts[0].outranked_by) == (old.quote, "authority")


def test_what_nothing_settles_is_held_against_the_side_that_is_left() -> None:
    """Not against a draft that a rule in force has outranked."""
    draft = undated(RULES[2024], "Parking rules 2026, draft")
    stranger = undated(statement("A permit for the yard costs £90 a month.", 0.3, 3), "Flyer")
    found = find("How much does a permit for the yard cost?", draft, stranger, RULES[2022])
    assert not found.settled
    assert {conflict.quote for conflict in found.conflicts} == {RULES[2022].quote.text, stranger.quote.text}


def test_the_day_in_a_title_is_a_date() -> None:
    """Of a document that has no other; notes of two days are no editions."""
    early, late = (undated(s, f"Notes of {day} 2024") for s, day in ((OLD, "30 April"), (NEW, "2 May")))
    found = find("How much is standby pay per night?", early, late)
    assert (found.settled, found.assessment.sentences[0].quote) == (True, late.quote)


def test_editions_that_nothing_settles_contradict_each_other_only_where_a_figure_is_asked_for() -> None:
    """Both are shown then; any other question is answered from the better one."""
    sides = undated(RULES[2022], "Parking rules"), undated(RULES[2024], "Parking rules (revised)")
    assert not find("How much does a permit for the yard cost?", *sides).settled
    assert find("car space charge", *sides).conflicts == ()


@pytest.mark.parametrize(
    "text",
    [
        "A permit for the meadow costs £42 a month.",
        "Visitors pay £42 a month.",
        "In 2019 a permit for the yard cost £12 a month.",
        "A permit for the yard costs £30 a month, and is blue.",
    ],
)
def test_what_another_edition_says_of_something_else_is_no_conflict(text: str) -> None:
    """Another thing than the one asked for, other words, a year of its own; or the same figure."""
    other = statement(text, 0.1, 2, date="2024-03-01", title="Parking rules 2024")
    assert find("Yard permit price", RULES[2022], other).conflicts == ()


def keeper(text: str, score: float, year: int) -> ScoredSentence:
    """A sentence of the parking rules of that year, its last word marked as the answer."""
    said = statement(text, score, year, date=f"{year}-03-01", title=f"Parking rules {year}")
    return replace(said, spans=(AnswerSpan(text.rindex(" ") + 1, len(text) - 1),))


def test_the_edition_in_force_answers_what_both_answer() -> None:
    """Names, which cannot be compared by rule; another answer of the older one is shown."""
    old, new = keeper("Ask for the key at Adler.", 0.9, 2022), keeper("The key is with Brandt.", 0.6, 2024)
    found = find("Who has the key?", old, new)
    assert [one.quote.text for one in found.assessment.sentences] == [new.quote.text]
    assert [(one.quote, one.outranked_by) for one in found.conflicts] == [(old.quote.text, "date")]


def test_the_edition_in_force_is_quoted_where_both_say_the_same() -> None:
    """That is no conflict."""
    old, new = keeper("Ask for the key at Adler.", 0.9, 2022), keeper("The key is with Adler.", 0.6, 2024)
    found = find("Who has the key?", old, new)
    assert (found.assessment.sentences[0].quote, found.conflicts) == (new.quote, ())


@pytest.mark.parametrize(("question", "score"), [("Who had the key in 2022?", 0.6), ("Who has the key?", 0.2)])
def test_another_edition_does_not_answer_in_its_place(question: str, score: float) -> None:
    """The question chose, or the other one hardly answers it."""
    old, new = keeper("Ask for the key at Adler.", 0.9, 2022), keeper("The key is with Brandt.", score, 2024)
    found = find(question, old, new)
    assert (found.assessment.sentences[0], found.conflicts) == (old, ())
