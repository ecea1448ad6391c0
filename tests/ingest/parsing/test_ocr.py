from __future__ import annotations

import shutil
from pathlib import Path

import pypdfium2 as pdfium
import pytest

from ingest.parsing import ocr
from ingest.parsing.media_types import PDF
from tests.ingest.parsing.conftest import ParseBytes
from tests.ingest.parsing.samples import PAGE_OF_PICTURE, make_pdf, text_page

needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")


@needs_tesseract
def test_a_picture_of_words_is_read(parse_bytes: ParseBytes, tmp_path: Path) -> None:
    """A page drawn by PDFium, embedded as a picture, comes back as words."""
    (tmp_path / "words.pdf").write_bytes(make_pdf([text_page("The invoice was paid in March")]))
    bitmap = pdfium.PdfDocument(tmp_path / "words.pdf")[0].render(scale=3, grayscale=True)
    rows = (bytes(bitmap.buffer)[y * bitmap.stride :][: bitmap.width] for y in range(bitmap.height))
    scan = make_pdf([PAGE_OF_PICTURE], picture=(bitmap.width, bitmap.height, b"".join(rows)))
    document = parse_bytes(scan, PDF)
    assert "invoice was paid" in document.text
    assert document.quality == ocr.OCR_QUALITY


def test_a_program_that_fails_gives_no_text(tmp_path: Path) -> None:
    """Its exit status counts, not what it printed."""
    program = tmp_path / "tesseract"
    program.write_text("#!/bin/sh\ncat > /dev/null\necho nonsense\nexit 3\n")
    program.chmod(0o755)
    assert ocr.recognise(ocr.GreyImage(1, 1, b"\xff"), str(program)) == ""


def test_the_program_gets_a_picture_on_its_standard_input(tmp_path: Path) -> None:
    """And its languages are those installed; blanks between ideographs are closed."""
    program = tmp_path / "tesseract"
    program.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --list-langs ]; then printf "List of languages:\\nchi_sim\\neng\\nosd\\n"; exit; fi\n'
        f'echo "$@" $OMP_THREAD_LIMIT > {tmp_path}/arguments\n'
        f'cat > {tmp_path}/picture\nprintf "中 文 ok\\n\\f"\n'
    )
    program.chmod(0o755)
    assert ocr.recognise(ocr.GreyImage(2, 1, b"ab"), str(program)) == "中文 ok"
    assert (tmp_path / "picture").read_bytes() == b"P5 2 1 255\nab"
    assert (tmp_path / "arguments").read_text().strip() == "- - -l eng+chi_sim --psm 1 --dpi 300 1"


def test_a_page_costs_bounded_processor_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise that would keep the program at work is given up; how long other work keeps it from the processor is not
    counted.
    """
    monkeypatch.setattr(ocr, "PAGE_PROCESSOR_S", 1)
    program = tmp_path / "tesseract"
    program.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --list-langs ]; then printf "List\\neng\\n"; exit; fi\n'
        f"cat > /dev/null\nif [ -e {tmp_path}/busy ]; then while :; do :; done; fi\nsleep 1.5\nprintf words\n"
    )
    program.chmod(0o755)
    assert ocr.recognise(ocr.GreyImage(1, 1, b"\xff"), str(program)) == "words"
    (tmp_path / "busy").touch()
    assert ocr.recognise(ocr.GreyImage(1, 1, b"\xff"), str(program)) == ""
