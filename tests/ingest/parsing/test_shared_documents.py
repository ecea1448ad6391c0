"""Every file of the shared collection of real documents does what its manifest expects."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

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
