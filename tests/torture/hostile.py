"""Files built to break an ingester, in a size that the limits of a test refuse or in full."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.ingest.parsing.samples import (
    make_docx,
    make_epub,
    make_pptx,
    make_zip,
    paragraph,
    relationships,
)


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the files are: just over the limits of the service that they are sent to, or much larger."""

    unfolded_bytes: int
    pages: int
    nesting: int
    line_bytes: int
    attachments: int


SMALL = Scale(unfolded_bytes=3 << 20, pages=200, nesting=20_000, line_bytes=1_500_000, attachments=60)
FULL = Scale(unfolded_bytes=4 << 30, pages=50_000, nesting=1_000_000, line_bytes=1_000_000_000, attachments=1_200)

_ENTITIES = "".join(f'<!ENTITY {chr(98 + n)} "{("&" + chr(97 + n) + ";") * 10}">' for n in range(9))
_LAUGHS = f'<!DOCTYPE x [<!ENTITY a "lol">{_ENTITIES}]>'


def zip_bomb(scale: Scale) -> bytes:
    """A Word file with a part that is all zeros."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", "<document/>")
        with archive.open("word/media/zeros", "w", force_zip64=True) as part:
            for _ in range(scale.unfolded_bytes >> 20):
                part.write(bytes(1 << 20))
    return buffer.getvalue()


def nested_archive(scale: Scale) -> bytes:
    """Archives in an archive, the outermost one with the name of a document."""
    inner = b"ferry"
    for _ in range(20):
        inner = make_zip({"word/document.xml": inner})
    return inner


def entity_bomb(scale: Scale) -> bytes:
    """A billion laughs in the main part of a Word file."""
    return make_docx("", {"word/document.xml": f"{_LAUGHS}<document>&j;</document>"})


def page_bomb(scale: Scale) -> bytes:
    """A sound PDF with more pages than anybody reads."""
    kids = " ".join(f"{3 + number} 0 R" for number in range(scale.pages))
    bodies = [b"<</Type/Catalog/Pages 2 0 R>>", f"<</Type/Pages/Count {scale.pages}/Kids[{kids}]>>".encode()]
    bodies += [b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"] * scale.pages
    buffer, offsets = io.BytesIO(), []
    buffer.write(b"%PDF-1.4\n")
    for number, body in enumerate(bodies, start=1):
        offsets.append(buffer.tell())
        buffer.write(b"%d 0 obj\n%b\nendobj\n" % (number, body))
    start = buffer.tell()
    lines = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    buffer.write(b"xref\n0 %d\n0000000000 65535 f \n%b" % (len(bodies) + 1, lines))
    buffer.write(b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(bodies) + 1, start))
    return buffer.getvalue()


def endless_nesting(scale: Scale) -> bytes:
    """Open elements without an end; the text inside of them is sound."""
    return b"<div>" * scale.nesting + b"deep water" + b"<table><tr><td>" * (scale.nesting // 10)


def one_line(scale: Scale) -> bytes:
    """A text without a single line break."""
    return b"ferry " * (scale.line_bytes // 6)


def nested_mails(scale: Scale) -> bytes:
    """A mail in a mail, fifty deep."""
    body = b"From: a@example.org\r\nSubject: innermost\r\n\r\nthe innermost mail\r\n"
    for number in range(50):
        head = b"From: a@example.org\r\nSubject: level %d\r\nMIME-Version: 1.0\r\n" % number
        head += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (number, number)
        body = head + b"Content-Type: message/rfc822\r\n\r\n" + body + b"\r\n--b%d--\r\n" % number
    return body


def many_attachments(scale: Scale) -> bytes:
    """A mail with more attachments than anybody opens."""
    head = b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    part = b"--b\r\nContent-Disposition: attachment; filename=n%d.txt\r\n\r\nnote\r\n"
    return head + b"".join(part % number for number in range(scale.attachments)) + b"--b--\r\n"


def polyglot(scale: Scale) -> bytes:
    """The beginning of a zip file, a PDF and a web page at once, and noise."""
    return b"PK\x03\x04%PDF-1.4 <!doctype html><html>" + os.urandom(4_000)


def climbing_names(scale: Scale) -> bytes:
    """A Word file with parts that want to be written elsewhere; nothing is ever unpacked to disk."""
    return make_docx(paragraph("harmless ferry"), {"../../../../tmp/climbed": b"x", "/etc/climbed": b"x"})


def climbing_attachment(scale: Scale) -> bytes:
    """A mail whose attachment has a path and a NUL in its name."""
    head = b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    name = b"Content-Disposition: attachment; filename*=utf-8''..%2F..%2Fetc%2Fcron%00.d%2Fclimbed.txt\r\n\r\n"
    return head + name + b"harmless note\r\n--b--\r\n"


FILES: Mapping[str, tuple[Callable[[Scale], bytes], str]] = {
    "bomb.docx": (zip_bomb, "too_large"),
    "nested.docx": (nested_archive, "broken_document"),
    "laughs.docx": (entity_bomb, "broken_document"),
    "pages.pdf": (page_bomb, "too_large"),
    "nesting.html": (endless_nesting, "ready"),
    "line.txt": (one_line, "too_large"),
    "mails.eml": (nested_mails, "ready"),
    "attachments.eml": (many_attachments, "too_large"),
    "polyglot.docx": (polyglot, "broken_document"),
    "wrong.docx": (page_bomb, "too_large"),
    "climbing.docx": (climbing_names, "ready"),
    "climbing.eml": (climbing_attachment, "ready"),
}
"""For each file what becomes of it within the limits: its status, or the code of its error."""


def referring(address: str) -> dict[str, bytes]:
    """Documents of many kinds that refer to `address` for pictures, templates, styles, entities and actions."""
    markup = f'<link rel=stylesheet href="{address}/a"><img src="{address}/b">ferry<iframe src="{address}/c"></iframe>'
    dtd = f'<!DOCTYPE html SYSTEM "{address}/d.dtd" [<!ENTITY x SYSTEM "{address}/e">]>'
    external = relationships(("attachedTemplate", f"{address}/t.dotm"), ("image", f"{address}/i.png"))
    mail = f"From: a@example.org\nSubject: s\nContent-Type: text/html\n\n{markup}"
    rtf = f'{{\\rtf1 ferry {{\\field{{\\*\\fldinst INCLUDEPICTURE "{address}/r" \\\\d}}}}}}'
    manifest = "application/vnd.oasis.opendocument.text"
    content = f'<office:document-content xmlns:office="o" xmlns:text="t" xmlns:xlink="x"><office:body><office:text>\
<text:p>ferry</text:p><image xlink:href="{address}/o"/></office:text></office:body></office:document-content>'
    return {
        "a.html": f"{dtd}{markup}&x;".encode(),
        "a.eml": mail.encode(),
        "a.docx": make_docx(paragraph("ferry"), {"word/_rels/settings.xml.rels": external}),
        "a.pptx": make_pptx([""], {"ppt/slides/_rels/slide1.xml.rels": external}),
        "a.epub": make_epub(f'<p>ferry</p><img src="{address}/f"/>'),
        "a.rtf": rtf.encode(),
        "a.odt": make_zip({"mimetype": manifest, "content.xml": content}, compressed=False),
        "a.md": f"ferry ![picture]({address}/m)".encode(),
    }
