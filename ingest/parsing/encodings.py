"""Turns the bytes of a text file into text: byte order mark, then what was declared, then UTF-8, then
detection.

A wrong guess makes a document unfindable without any error, so each step only accepts what decodes.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from charset_normalizer import from_bytes

SAMPLE_BYTES = 200_000
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# what web pages and mails mean when they say the name on the left (WHATWG Encoding Standard, section 4.2)
_WIDER = {
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
}
_LONE_HIGH_BYTE = re.compile(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])")
_HIGH_BYTE = re.compile(rb"[\x80-\xff]")


@dataclass(frozen=True, slots=True)
class DecodedText:
    """Text, the codec that gave it, and the share of its characters in [0, 1] that could not be decoded."""

    text: str
    encoding: str
    damaged: float


def decode(data: bytes, declared: str | None = None) -> DecodedText:
    """Decode a whole file. `declared` is the charset that its header or markup names; unknown names are
    ignored.

    Never raises: bytes that fit nowhere become U+FFFD and count as damaged.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decoded(data, encoding)
    for candidate in (_known(declared), "utf-8"):
        if candidate is not None and _decodes(data, candidate):
            return _decoded(data, candidate)
    return _decoded(data, _guess(data))


def utf16_without_mark(data: bytes) -> str | None:
    """`utf-16-le` or `utf-16-be` where every second byte of Latin text is zero, else None."""
    sample = data[:4096]
    if len(sample) < 2:
        return None
    even, odd = sample[::2].count(0) / len(sample[::2]), sample[1::2].count(0) / len(sample[1::2])
    if odd > 0.3 and even < 0.1:
        return "utf-16-le"
    if even > 0.3 and odd < 0.1:
        return "utf-16-be"
    return None


def _known(name: str | None) -> str | None:
    if not name:
        return None
    try:
        canonical = codecs.lookup(name.strip().strip("\"'")).name
        "".encode(canonical)  # codecs such as base64 are known but do not make text
    except (LookupError, ValueError):
        return None
    return _WIDER.get(canonical, canonical)


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        text = data.decode(encoding)
    except UnicodeError:
        return False
    return "\0" not in text


def _decoded(data: bytes, encoding: str) -> DecodedText:
    text = data.decode(encoding, errors="replace")
    return DecodedText(text, encoding, text.count("\ufffd") / max(1, len(text)))


def _guess(data: bytes) -> str:
    if (utf16 := utf16_without_mark(data)) is not None:
        return utf16
    if _nearly_utf8(data):
        return "utf-8"
    return _legacy(data)


def _nearly_utf8(data: bytes) -> bool:
    """UTF-8 with a few damaged places is still UTF-8: fewer than one in twenty of its non-ASCII characters is
    lost.
    """
    text = data.decode("utf-8", errors="replace")
    foreign = sum(character > "\x7f" for character in text)
    return text.count("\ufffd") * 20 < foreign


def _legacy(data: bytes) -> str:
    """The likeliest national encoding.

    Detectors confuse the Latin code pages (the German of cp1252 also decodes as cp1250) and the two Cyrillic
    ones (which swap upper and lower case), so two rules come first: a text whose only non-ASCII bytes stand
    alone is cp1252 if that is possible, and among candidates the one that gives mostly lower case wins.
    """
    sample = data[: data.rfind(b"\n", 0, SAMPLE_BYTES) + 1] if len(data) > SAMPLE_BYTES else data
    found = [match.encoding for match in from_bytes(sample or data[:SAMPLE_BYTES])]
    candidates = [name for name in found if not name.startswith("utf_")] or found  # UTF-16 fits nearly any bytes
    high, lone = len(_HIGH_BYTE.findall(sample)), len(_LONE_HIGH_BYTE.findall(sample))
    if lone > 0.8 * high and ("cp1252" in candidates or high < 0.02 * len(sample)):
        return "cp1252"
    if not candidates:
        return "cp1252"
    return max(candidates, key=lambda encoding: round(_lowercase_share(sample, encoding), 1))


def _lowercase_share(sample: bytes, encoding: str) -> float:
    letters = [c for c in sample[:20_000].decode(encoding, errors="ignore") if c.isalpha()]
    return sum(not c.isupper() for c in letters) / max(1, len(letters))
