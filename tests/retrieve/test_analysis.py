"""The analyser: what becomes of words, compounds, Chinese and scripts without spaces."""

from __future__ import annotations

import logging
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieve import analysis
from retrieve.analysis import MAX_TERM_CHARS, analyse_document, analyse_query


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("... -- ' _", []),
        ("The cats were running", ["the", "cat", "were", "run"]),
        ("ＡＢＣ ﬁne", ["abc", "fine"]),
        ("Beyoncé naïve", ["beyonc", "naiv"]),
        ("Straße", ["strass"]),
        ("ISO-9001", ["iso9001", "iso", "9001"]),
        ("IL-6", ["il6", "il", "6"]),
        ("IL6", ["il6", "il", "6"]),
        ("v2.3.1", ["v2.3.1", "v2", "v", "2", "3", "1"]),
        ("well-known", ["wellknown", "well", "known"]),
        ("rrf_k", ["rrfk", "rrf", "k"]),
        ("jo.doe@example.org", ["jo.doe@example.org", "jo", "doe", "exampl", "org"]),
        ("U.S.A.", ["usa"]),
        ("the dog's, the dogs' and John’s", ["the", "dog", "the", "dog", "and", "john"]),
        ("don't", ["dont"]),
        ("O'Neill", ["neill", "oneil"]),
        ("l’amour", ["amour", "lamour"]),
        ("1,000,000 or 3,14", ["1000000", "or", "3", "14"]),
        ("C++ and C#", ["c++", "c", "and", "c#", "c"]),
        ("AT&T", ["at&t", "at", "t"]),
        ("in the 1980s", ["in", "the", "1980s", "1980", "s"]),
        ("Сегодня день", ["сегодня", "день"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("タワー", ["タワ", "ワー"]),
        ("안녕 나", ["안녕", "나"]),
        ("ประเทศ", ["ปร", "ระ", "ะเ", "เท", "ทศ"]),
    ],
)
def test_terms_of_scripts_with_and_without_spaces(text: str, terms: list[str]) -> None:
    """Compounds stand whole and in parts, accents and inflections are gone, unspaced scripts are bigrams."""
    assert analyse_document(text) == terms
    assert analyse_query(text) == terms


def test_chinese_yields_words_characters_and_bigrams() -> None:
    """The long word stands beside its dictionary words in a document, alone in a query."""
    rest = ["学", "术", "研", "究", "学术", "术研", "研究"]
    assert analyse_document("学术研究") == ["学术", "研究", "学术研究", *rest]
    assert analyse_query("学术研究") == ["学术研究", *rest]


def test_a_single_han_character_is_one_term() -> None:
    """No bigram can be made of it, and it is not repeated as a word."""
    assert analyse_document("龙") == ["龙"]


def test_traditional_and_simplified_chinese_have_the_same_terms() -> None:
    """A question in either script finds a text in the other."""
    assert analyse_document("漢語學術研究") == analyse_document("汉语学术研究")


def test_scripts_mixed_without_spaces_are_split() -> None:
    """Latin words inside Chinese or Japanese text are terms of their own."""
    assert analyse_query("用Docker吗") == ["用", "docker", "吗"]
    assert analyse_query("東京タワー") == ["东京", "东", "京", "东京", "タワ", "ワー"]


def test_long_terms_are_cut() -> None:
    """A blob of letters cannot fill the index with a term of its own length."""
    assert analyse_document("q" * 1000) == ["q" * MAX_TERM_CHARS]


@settings(deadline=None)
@given(st.text())
def test_terms_fit_every_engine(text: str) -> None:
    """Whatever the text: no empty term, no white space inside, none too long, the same again each time."""
    terms = analyse_document(text)
    assert all(term and not any(c.isspace() for c in term) and len(term) <= MAX_TERM_CHARS for term in terms)
    assert terms == analyse_document(text)


@settings(deadline=None)
@given(st.text(st.characters(max_codepoint=127)))
def test_plain_text_has_the_same_terms_beside_other_scripts(text: str) -> None:
    """ASCII text takes a shorter way to the same terms, also with words too long to be remembered."""
    for plain in (text, f"{text} {'a' * 2 * MAX_TERM_CHARS}"):
        assert analyse_document(f"{plain} день") == [*analyse_document(plain), "день"]


def test_jieba_neither_logs_nor_writes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A fresh dictionary load leaves the temporary folder, the log and stderr empty."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(analysis, "_CHINESE", analysis._Chinese())
    with caplog.at_level(logging.DEBUG):
        assert "研究" in analyse_query("研究")
    assert list(tmp_path.iterdir()) == []
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_threads_get_the_same_terms_from_a_first_use_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dictionary is loaded once however many threads need it at once."""
    monkeypatch.setattr(analysis, "_CHINESE", analysis._Chinese())
    text = "running 學術研究 in the laboratories"
    expected = analyse_document(text)
    with ThreadPoolExecutor(4) as pool:
        assert all(terms == expected for terms in pool.map(analyse_document, [text] * 200))
