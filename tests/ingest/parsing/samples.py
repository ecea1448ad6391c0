"""Makes small files of every kind for the tests, byte by byte, so that no test needs an office suite."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
from collections.abc import Mapping, Sequence

PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
SLIDE = "http://schemas.openxmlformats.org/presentationml/2006/main"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
CHART = "http://schemas.openxmlformats.org/drawingml/2006/chart"
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"

Members = Mapping[str, str | bytes]


def make_zip(members: Members, *, compressed: bool = True) -> bytes:
    """A zip archive with these members in this order."""
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def relationships(*targets: tuple[str, str]) -> str:
    """A relationship part: (last word of the type, target) become rId1, rId2, ..."""
    lines = "".join(
        f'<Relationship Id="rId{number}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, start=1)
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{lines}</Relationships>'


def content_types(**overrides: str) -> str:
    """The `[Content_Types].xml` part; keys are part names with `__` for `/`."""
    lines = "".join(
        f'<Override PartName="/{name.replace("__", "/")}.xml" ContentType="{kind}"/>'
        for name, kind in overrides.items()
    )
    return (
        f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{lines}</Types>'
    )


CORE_PROPERTIES = (
    '<cp:coreProperties xmlns:cp="x" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:dcterms="http://purl.org/dc/terms/"><dc:title>{title}</dc:title>'
    "<dcterms:modified>{modified}</dcterms:modified></cp:coreProperties>"
)


def paragraph(text: str, *, style: str = "", numbering: tuple[int, int] | None = None) -> str:
    """A Word paragraph; `text` is XML-escaped already."""
    properties = f'<w:pStyle w:val="{style}"/>' if style else ""
    if numbering is not None:
        list_id, depth = numbering
        properties += f'<w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{list_id}"/></w:numPr>'
    return f'<w:p><w:pPr>{properties}</w:pPr><w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


STYLES = f"""<w:styles xmlns:w="{WORD}">
<w:style w:styleId="H1"><w:name w:val="heading 1"/></w:style>
<w:style w:styleId="H2"><w:name w:val="heading 2"/></w:style>
<w:style w:styleId="Mine"><w:name w:val="My section"/><w:basedOn w:val="H2"/></w:style>
</w:styles>"""


def make_docx(body: str, extra: Members | None = None) -> bytes:
    """A Word document around the given body XML."""
    members: dict[str, str | bytes] = {
        "[Content_Types].xml": content_types(),
        "_rels/.rels": relationships(("officeDocument", "word/document.xml")),
        "word/document.xml": f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>',
        "word/_rels/document.xml.rels": relationships(
            ("styles", "styles.xml"), ("numbering", "numbering.xml"), ("footnotes", "footnotes.xml")
        ),
        "word/styles.xml": STYLES,
    }
    return make_zip(members | dict(extra or {}))


def make_pptx(slides: Sequence[str], extra: Members | None = None) -> bytes:
    """A presentation; each slide is the XML of its shape tree."""
    ids = "".join(f'<p:sldId id="{300 + n}" r:id="rId{n}"/>' for n in range(1, len(slides) + 1))
    members: dict[str, str | bytes] = {
        "[Content_Types].xml": content_types(),
        "_rels/.rels": relationships(("officeDocument", "ppt/presentation.xml")),
        "ppt/presentation.xml": f'<p:presentation xmlns:p="{SLIDE}" xmlns:r="{OFFICE}"><p:sldIdLst>{ids}'
        "</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": relationships(
            *(("slide", f"slides/slide{n}.xml") for n in range(1, len(slides) + 1))
        ),
    }
    for number, tree in enumerate(slides, start=1):
        members[f"ppt/slides/slide{number}.xml"] = (
            f'<p:sld xmlns:p="{SLIDE}" xmlns:a="{DRAWING}"><p:cSld><p:spTree>{tree}</p:spTree></p:cSld></p:sld>'
        )
    return make_zip(members | dict(extra or {}))


def shape(*paragraphs: Sequence[str], kind: str = "body") -> str:
    """A slide's shape with paragraphs of runs."""
    text = "".join("<a:p>" + "".join(f"<a:r><a:t>{run}</a:t></a:r>" for run in runs) + "</a:p>" for runs in paragraphs)
    return f'<p:sp><p:nvSpPr><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr><p:txBody>{text}</p:txBody></p:sp>'


def make_xlsx(sheets: Mapping[str, Sequence[Sequence[str | float]]]) -> bytes:
    """A workbook; text must be XML-escaped already."""
    names = list(sheets)
    main = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    members: dict[str, str | bytes] = {
        "[Content_Types].xml": content_types(
            xl__workbook=f"{main}.sheet.main+xml",
            **{f"xl__worksheets__sheet{n}": f"{main}.worksheet+xml" for n in range(1, len(names) + 1)},
        ),
        "_rels/.rels": relationships(("officeDocument", "xl/workbook.xml")),
        "xl/_rels/workbook.xml.rels": relationships(
            *(("worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(names) + 1))
        ),
        "xl/workbook.xml": f'<workbook xmlns="{SHEET}" xmlns:r="{OFFICE}"><sheets>'
        + "".join(f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>' for n, name in enumerate(names, start=1))
        + "</sheets></workbook>",
    }
    for number, rows in enumerate(sheets.values(), start=1):
        data = "".join(
            f'<row r="{y}">' + "".join(_cell(x, y, value) for x, value in enumerate(row)) + "</row>"
            for y, row in enumerate(rows, start=1)
        )
        members[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{SHEET}"><sheetData>{data}</sheetData></worksheet>'
        )
    return make_zip(members)


def _cell(x: int, y: int, value: str | float) -> str:
    place = f"{chr(ord('A') + x)}{y}"
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>' if value else ""
    return f'<c r="{place}"><v>{value}</v></c>'


def make_odt(body: str, *, manifest: str = "") -> bytes:
    """A text document in OpenDocument format."""
    names = "urn:oasis:names:tc:opendocument:xmlns"
    return make_zip(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "META-INF/manifest.xml": f'<manifest:manifest xmlns:manifest="{names}:manifest:1.0">{manifest}'
            "</manifest:manifest>",
            "content.xml": f'<office:document-content xmlns:office="{names}:office:1.0" '
            f'xmlns:text="{names}:text:1.0"><office:body><office:text>{body}</office:text></office:body>'
            "</office:document-content>",
        },
        compressed=False,
    )


def make_epub(chapter: str) -> bytes:
    """A book of one chapter, titled `A & B`."""
    return make_zip(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container version="1.0" '
            'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="book.opf" '
            'media-type="application/oebps-package+xml"/></rootfiles></container>',
            "book.opf": '<package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
            '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>A &amp; B</dc:title></metadata>'
            '<manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>'
            '<spine><itemref idref="a"/></spine></package>',
            "a.xhtml": f'<html xmlns="http://www.w3.org/1999/xhtml"><body>{chapter}</body></html>',
        },
        compressed=False,
    )


# --- PDF --------------------------------------------------------------------------------

PAGE_OF_PICTURE = b"q 400 0 0 800 0 0 cm /Im1 Do Q"


def text_page(*lines: str) -> bytes:
    """A content stream that sets Latin-1 lines below each other."""
    escaped = (line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in lines)
    moves = "".join(f"({line}) Tj 0 -16 Td " for line in escaped)
    return f"BT /F1 12 Tf 50 700 Td {moves}ET".encode("latin-1")


def make_pdf(
    pages: Sequence[bytes],
    *,
    info: str = "",
    bookmarks: Sequence[tuple[str, int]] = (),
    picture: tuple[int, int, bytes] = (1, 1, b"\x80"),
    password: str | None = None,
) -> bytes:
    """A PDF with one content stream per page; bookmarks are (title, page index)."""
    width, height, pixels = picture
    key = _encryption_key(password) if password is not None else None
    first = 6
    outline = first + 2 * len(pages)
    kids = " ".join(f"{first + 2 * n} 0 R" for n in range(len(pages)))
    grey = "/ColorSpace/DeviceGray/BitsPerComponent 8"
    objects: dict[int, bytes] = {
        1: b"<</Type/Catalog/Pages 2 0 R" + (f"/Outlines {outline} 0 R>>".encode() if bookmarks else b">>"),
        2: f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>".encode(),
        3: b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
        4: _stream(
            pixels,
            f"/Type/XObject/Subtype/Image/Width {width}/Height {height}{grey}",
            4,
            key,
        ),
        5: f"<<{info}>>".encode("latin-1"),
    }
    for number, content in enumerate(pages):
        page = first + 2 * number
        objects[page] = (
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 400 800]/Contents {page + 1} 0 R"
            "/Resources<</Font<</F1 3 0 R>>/XObject<</Im1 4 0 R>>>>>>"
        ).encode()
        objects[page + 1] = _stream(content, "", page + 1, key)
    for number, (title, index) in enumerate(bookmarks, start=1):
        after = f"/Next {outline + number + 1} 0 R" if number < len(bookmarks) else ""
        objects[outline + number] = (
            f"<</Title({title})/Parent {outline} 0 R/Dest[{first + 2 * index} 0 R/Fit]{after}>>"
        ).encode()
    if bookmarks:
        objects[outline] = (
            f"<</Type/Outlines/First {outline + 1} 0 R/Last {outline + len(bookmarks)} 0 R/Count {len(bookmarks)}>>"
        ).encode()
    return _assemble(objects, password)


def _stream(data: bytes, fields: str, number: int, key: bytes | None) -> bytes:
    if key is not None:
        salted = key + struct.pack("<I", number)[:3] + b"\0\0"
        data = _rc4(hashlib.md5(salted).digest()[:10], data)  # noqa: S324
    return f"<<{fields}/Length {len(data)}>>stream\n".encode() + data + b"\nendstream"


def _assemble(objects: Mapping[int, bytes], password: str | None) -> bytes:
    out = bytearray(b"%PDF-1.4\n")
    offsets = {}
    for number in sorted(objects):
        offsets[number] = len(out)
        out += f"{number} 0 obj\n".encode() + objects[number] + b"\nendobj\n"
    table, size = len(out), max(objects) + 1
    out += f"xref\n0 {size}\n0000000000 65535 f \n".encode()
    for number in range(1, size):
        out += f"{offsets.get(number, 0):010} 00000 n \n".encode()
    lock = ""
    if password is not None:
        owner, user = _owner_entry(password).hex(), _rc4(_encryption_key(password), _PADDING).hex()
        lock = f"/Encrypt<</Filter/Standard/V 1/R 2/O<{owner}>/U<{user}>/P -4>>/ID[<{_FILE_ID.hex()}><00>]"
    out += f"trailer<</Size {size}/Root 1 0 R/Info 5 0 R{lock}>>\nstartxref\n{table}\n%%EOF".encode()
    return bytes(out)


# the standard security handler, revision 2 (ISO 32000-1, 7.6.3): just enough to lock a test file
_PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
_FILE_ID = b"0123456789abcdef"


def _padded(password: str) -> bytes:
    return (password.encode("latin-1") + _PADDING)[:32]


def _owner_entry(password: str) -> bytes:
    return _rc4(hashlib.md5(_padded(password)).digest()[:5], _padded(password))  # noqa: S324


def _encryption_key(password: str) -> bytes:
    seed = _padded(password) + _owner_entry(password) + struct.pack("<i", -4) + _FILE_ID
    return hashlib.md5(seed).digest()[:5]  # noqa: S324


def _rc4(key: bytes, data: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


# --- OLE --------------------------------------------------------------------------------

_SECTOR, _FREE, _END, _FAT, _NOTHING = 512, 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF


def make_ole(streams: Mapping[str, bytes]) -> bytes:
    """An OLE compound file with streams in the root, each padded to 4096 bytes: no mini stream."""
    padded = {name: data.ljust(4096, b"\0") for name, data in streams.items()}
    names = sorted(padded, key=lambda name: (len(name), name.upper()))
    directory_sectors = (len(names) + 4) // 4
    fat: list[int] = [_FAT, *range(2, directory_sectors + 1), _END]
    entries = [_entry("Root Entry", 5, child=1 if names else _NOTHING)]
    body = b""
    for number, name in enumerate(names, start=1):
        start, count = len(fat), -(-len(padded[name]) // _SECTOR)
        entries.append(_entry(name, 2, right=number + 1 if number < len(names) else _NOTHING, start=start,
                              size=len(padded[name])))  # fmt: skip
        fat += [*range(start + 1, start + count), _END]
        body += padded[name].ljust(count * _SECTOR, b"\0")
    while len(entries) % 4:
        entries.append(_entry("", 0))
    magic = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    header = struct.pack("<8s16xHHHHH6xIIIIIIIII", magic, 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1,
                         0, 4096, _END, 0, _END, 0)  # fmt: skip
    table = struct.pack("<109I", 0, *[_FREE] * 108)
    fat_sector = struct.pack("<128I", *fat, *[_FREE] * (128 - len(fat)))
    return header + table + fat_sector + b"".join(entries) + body


def _entry(
    name: str, kind: int, *, right: int = _NOTHING, child: int = _NOTHING, start: int = 0, size: int = 0
) -> bytes:
    encoded = (name + "\0").encode("utf-16-le") if name else b""
    return struct.pack("<64sHBBIII16xI8x8xIQ", encoded, len(encoded), kind, 1, _NOTHING, right, child, 0, start, size)


def make_msg(subject: str, sender: str, body: str) -> bytes:
    """An Outlook message with a subject, a sender and a plain body."""
    text = {"0037": subject, "0C1A": sender, "0C1F": f"{sender.lower()}@example.org", "1000": body}
    streams = {f"__substg1.0_{tag}001F": value.encode("utf-16-le") for tag, value in text.items()}
    return make_ole(streams | {"__properties_version1.0": b"\0" * 32})


def make_xls(rows: Sequence[Sequence[str | float]], *, sheet: str = "Sheet1") -> bytes:
    """A workbook in the format of Excel 97."""

    def record(kind: int, data: bytes) -> bytes:
        return struct.pack("<HH", kind, len(data)) + data

    def text(value: str) -> bytes:
        return struct.pack("<HB", len(value), 1) + value.encode("utf-16-le")

    end = record(0x0A, b"")
    cells = b"".join(
        record(0x0204, struct.pack("<HHH", y, x, 0) + text(value))
        if isinstance(value, str)
        else record(0x0203, struct.pack("<HHHd", y, x, 0, value))
        for y, row in enumerate(rows)
        for x, value in enumerate(row)
    )
    begin = record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0005, 0, 0, 0, 0))
    name = struct.pack("<BB", len(sheet), 0) + sheet.encode("latin-1")
    offset = len(begin) + 4 + 6 + len(name) + len(end)
    globals_part = begin + record(0x85, struct.pack("<IH", offset, 0) + name) + end
    return make_ole(
        {"Workbook": globals_part + record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0010, 0, 0, 0, 0)) + cells + end}
    )
