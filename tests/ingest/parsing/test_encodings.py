from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.parsing.encodings import decode

GERMAN = 'Die schöne Frau hat Kaffee gekauft. Der Preis betrug 15,50 € für alle, sagte Jürgen: "Köstlich!" '
CHINESE = "这是一个中文文档，用于测试编码检测。请确认设置是否正确。"
JAPANESE = "これは日本語の文章です。設定を確認してください。髙橋"
RUSSIAN = "Это документ на русском языке для проверки кодировки. "
CZECH = "Příliš žluťoučký kůň úpěl ďábelské ódy. "


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "utf-8"),
        (GERMAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
        (GERMAN, "utf-16-le"),
        (GERMAN, "utf-16-be"),
        (GERMAN, "utf-32"),
        (GERMAN, "cp1252"),
        (CZECH, "cp1250"),
        (RUSSIAN, "cp1251"),
        (CHINESE, "gb18030"),
        (CHINESE, "utf-16-le"),
        (JAPANESE, "cp932"),
    ],
)
@pytest.mark.parametrize("repeats", [1, 20])
def test_detection_gives_the_text_back(text: str, encoding: str, repeats: int) -> None:
    """Short and long texts in the usual encodings."""
    decoded = decode((text * repeats).encode(encoding))
    assert decoded.text == text * repeats
    assert decoded.damaged == 0


def test_a_declared_charset_is_believed_where_it_fits() -> None:
    """Bytes that fit several encodings follow the declaration."""
    assert decode("Ärger".encode("iso-8859-2"), "iso-8859-2").text == "Ärger"
    assert decode("naïve “quote”".encode("cp1252"), "latin-1").text == "naïve “quote”"


@pytest.mark.parametrize("declared", ["no-such-charset", "base64", "utf-8", "", "ascii\0"])
def test_a_wrong_declaration_does_no_harm(declared: str) -> None:
    """Unknown, binary and impossible charsets are ignored."""
    assert decode(JAPANESE.encode("cp932") * 5, declared).text == JAPANESE * 5


def test_utf8_with_a_broken_place_stays_utf8() -> None:
    """One lost character does not turn the rest into another alphabet."""
    decoded = decode(CHINESE.encode() * 10 + b"\xe4\xb8" + CHINESE.encode())
    assert decoded.encoding == "utf-8"
    assert 0 < decoded.damaged < 0.01


@given(st.binary(max_size=300))
def test_decoding_never_raises(data: bytes) -> None:
    """Any bytes give some text."""
    assert isinstance(decode(data).text, str)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff")))
def test_utf8_is_exact(text: str) -> None:
    """What is UTF-8 is decoded as UTF-8."""
    assert decode(text.encode()).text == text
