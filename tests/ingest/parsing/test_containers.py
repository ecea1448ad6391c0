from __future__ import annotations

import struct
from pathlib import Path

import pytest

from ingest.errors import ExtractionFailed
from ingest.parsing import ParseLimits, SourceFile
from ingest.parsing.containers import ENTRIES_MAX, ZipContainer
from ingest.parsing.media_types import DOCX, XLSX
from tests.ingest.parsing.conftest import ParseBytes
from tests.ingest.parsing.samples import make_docx, make_xlsx, make_zip, paragraph

MEBI = 1 << 20


def lie_about_size(archive: bytes, size: int) -> bytes:
    """Overwrite the declared size of the last member, in its local header and in the directory."""
    out = bytearray(archive)
    for signature, field in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", out, archive.rindex(signature) + field, size)
    return bytes(out)


def claim_encryption(archive: bytes) -> bytes:
    """Set the flag bit of encrypted members in the directory."""
    out = bytearray(archive)
    out[out.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(out)


def code_of(data: bytes, path: Path, limit: int) -> str:
    """The code with which reading all of an archive fails, or an empty string."""
    path.write_bytes(data)
    try:
        with ZipContainer(SourceFile(path, "f", DOCX), ParseLimits(decompressed_bytes_max=limit)) as container:
            container.check_contents()
    except ExtractionFailed as failed:
        return failed.code
    return ""


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (make_zip({"a": b"0" * MEBI}), ""),
        (make_zip({"a": b"0" * MEBI, "b": b"0"}), "too_large"),
        (lie_about_size(make_zip({"a": b"0" * 2 * MEBI}), 10), "broken_document"),
        (make_zip({str(n): b"" for n in range(ENTRIES_MAX + 1)}), "too_large"),
        (claim_encryption(make_zip({"a": b"text"})), "password_required"),
    ],
)  # fmt: skip
def test_archives_are_read_within_limits(tmp_path: Path, data: bytes, code: str) -> None:
    """Bombs, lies about sizes, floods of members and encryption end in a clear error."""
    assert code_of(data, tmp_path / "f", MEBI) == code


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (make_docx(paragraph("x" * 5 * MEBI)), DOCX),
        (make_xlsx({"S": [["x" * 5 * MEBI]]}), XLSX),
    ],
)
def test_a_bomb_in_an_office_file_is_refused(parse_bytes: ParseBytes, data: bytes, media_type: str) -> None:
    """Both for our own readers and for the library's."""
    with pytest.raises(ExtractionFailed, match="unpacks to more than") as failed:
        parse_bytes(data, media_type, decompressed_bytes_max=MEBI)
    assert failed.value.code == "too_large"
