"""Every file of the shared collection of real documents does what its manifest expects."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pypdfium2
import pytest

from ingest.errors import ExtractionFailed
from ingest.parsing import HEAD_BYTES, ParsedDocument, ParserPool, SourceFile, detect_media_type
from tests.ingest.parsing.conftest import assert_consistent

ROOT = Path(__file__).parents[3]
FOLDERS = [ROOT.parent / "shared", Path(os.environ.get("CITEWELL_SHARED_DIR", "/nonexistent"))]
DOCUMENTS = next((folder / "datasets/documents" for folder in FOLDERS if (folder / "datasets").is_dir()), None)

pytestmark = pytest.mark.skipif(
    DOCUMENTS is None, reason="no shared documents: put them beside the repository or set CITEWELL_SHARED_DIR"
)


def outcome(pool: ParserPool, name: str, password: str | None = None) -> ParsedDocument | str:
    """The parsed document, or the code with which it failed."""
    assert DOCUMENTS is not None
    path = DOCUMENTS / name
    with path.open("rb") as file:
        media_type = detect_media_type(name, None, file.read(HEAD_BYTES))
    try:
        document = pool.parse(SourceFile(path, name, media_type, password))
    except ExtractionFailed as failed:
        return failed.code
    assert_consistent(document)
    return document


def problem(pool: ParserPool, entry: dict[str, Any]) -> str | None:
    """What is wrong with the outcome for one line of the manifest, or None."""
    got = outcome(pool, entry["file"])
    is_text = isinstance(got, ParsedDocument)
    expected = {
        "text": is_text,
        "ocr": is_text if shutil.which("tesseract") else got == "no_text_layer",
        "password": got == "password_required",
        "broken": is_text or got in ("broken_document", "password_required"),
        "empty": got == "empty_document",
    }[entry["expect"]]
    if expected and "password" in entry:
        got = outcome(pool, entry["file"], entry["password"])
        expected = isinstance(got, ParsedDocument)
    return None if expected else f"{entry['file']}: expected {entry['expect']}, got {got}"


def test_all_documents_do_what_their_manifest_expects(pool: ParserPool) -> None:
    """All differences are reported at once."""
    assert DOCUMENTS is not None
    entries = [json.loads(line) for line in (DOCUMENTS / "manifest.jsonl").read_text().splitlines()]
    with ThreadPoolExecutor(2) as threads:
        problems = list(threads.map(lambda entry: problem(pool, entry), entries))
    assert [one for one in problems if one] == []
    assert len(entries) == 59


@pytest.mark.parametrize(
    ("name", "quote"),
    [
        ("fake-html-cp1252.html", "L'été était très chaud cette année. J'ai acheté un café"),
        ("test_mskanji.csv", "名前: 三木英子; 年齢: 25"),
        ("fake-text-utf-16-le.txt", "Hamburgers are delicious"),
        ("vodafone.xlsx", "Topic: Mobile churn; Period: Nine quarters to 30 June 2023; Page: 11"),
        ("powerpoint_sample.pptx", "Some info:"),
        ("docx-tables.docx", "f g&t"),
        ("zh-standard-part1-notes.docx", "本标准来源于国家能源局2021年下达的能源行业核电标准制修订计划"),
        ("equations.docx", "this is an inline equation: A="),
        ("XiaoBiaoSong.pdf", "关于红军作战的原则"),
        ("code_and_formula.pdf", "nonumy eirmod tempor"),
        ("epub_purvis_poetry.epub", "shall chill him no more,\nHis woes and his sorrows, his pains"),
        ("mime-html-only.eml", "This is a text/html part."),
        ("zh-common-tasks.mdx", "复制即用的命令，涵盖最常运行的 difyctl 任务"),
    ],
)  # fmt: skip
def test_quotes_are_found_as_a_reader_would_write_them(pool: ParserPool, name: str, quote: str) -> None:
    """No escapes, no parted words, no lost signs."""
    document = outcome(pool, name)
    assert isinstance(document, ParsedDocument)
    assert quote in document.text


@pytest.mark.parametrize(
    ("name", "page", "quote"),
    [
        ("GeoTopo-komprimiert.pdf", 1, "Geometrie und Topologie"),
        ("multi-column-2p.pdf", 2, " "),
        ("with-attachment.pdf", 1, " "),
        ("powerpoint_sample.pptx", 1, " "),
    ],
)
def test_offsets_of_pages_and_headings_lead_to_their_text(pool: ParserPool, name: str, page: int, quote: str) -> None:
    """A page's slice holds what stands on it, and each heading's offset is where its line begins."""
    document = outcome(pool, name)
    assert isinstance(document, ParsedDocument)
    slices = {one.number: document.text[one.start : one.end] for one in document.pages}
    assert quote in slices[page]
    assert sum(map(len, slices.values())) == len(document.text)
    for heading in document.headings:
        assert " ".join(heading.title.split()) in " ".join(document.text[heading.start :][:400].split())


def test_pages_are_those_that_the_files_have(pool: ParserPool) -> None:
    """As many as another library saw, for every PDF that can be read; a page's characters are those on it."""
    assert DOCUMENTS is not None
    differing = []
    for line in (DOCUMENTS / "manifest.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if entry["expect"] != "text" or not entry["file"].endswith(".pdf"):
            continue
        document = outcome(pool, entry["file"])
        assert isinstance(document, ParsedDocument)
        if len(document.pages) != entry["observed"]["pages"]:
            differing.append(entry["file"])
        source = pypdfium2.PdfDocument(DOCUMENTS / entry["file"])
        for one in document.pages:
            own = Counter("".join(document.text[one.start : one.end].split()))
            native = Counter("".join(source[one.number - 1].get_textpage().get_text_bounded().split()))
            assert (own & native).total() >= 0.9 * own.total(), (entry["file"], one.number)
        source.close()
    assert differing == []


def test_no_readable_file_is_garbled(pool: ParserPool) -> None:
    """Hardly a replacement or private character; what is in Chinese, Japanese, Korean or Arabic stays in its script."""
    scripts = {
        "zh": "\u4e00-\u9fff",
        "ja": "\u3040-\u30ff\u4e00-\u9fff",
        "ko": "\uac00-\ud7a3",
        "ar": "\u0600-\u06ff\ufb50-\ufeff",
    }
    assert DOCUMENTS is not None
    for line in (DOCUMENTS / "manifest.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if entry["expect"] != "text":
            continue
        document = outcome(pool, entry["file"])
        assert isinstance(document, ParsedDocument)
        strange = sum(one == "\ufffd" or "\ue000" <= one <= "\uf8ff" for one in document.text)
        assert strange <= 0.01 * len(document.text), entry["file"]
        if entry["lang"] in scripts and "noembed" not in entry["file"]:
            letters = [one for one in document.text if one.isalpha()]
            own = re.findall(f"[{scripts[entry['lang']]}]", document.text)
            assert len(own) > 0.1 * len(letters), entry["file"]


def test_a_file_that_is_read_in_part_says_so(pool: ParserPool) -> None:
    """PDFium leaves most glyphs of this vertical Japanese out: its text is kept, its quality low."""
    document = outcome(pool, "jo.pdf")
    assert isinstance(document, ParsedDocument)
    assert document.quality < 0.6
    sound = outcome(pool, "XiaoBiaoSong.pdf")
    assert isinstance(sound, ParsedDocument)
    assert sound.quality == 1
