from __future__ import annotations

from datetime import date
from email.message import EmailMessage

import pytest

from ingest.errors import ExtractionFailed
from ingest.parsing.media_types import EML
from tests.ingest.parsing.conftest import ParseBytes


def mail(body: str = "Hello,\n\nsee you.", **headers: str) -> EmailMessage:
    """A plain mail."""
    message = EmailMessage()
    for name, value in {"Subject": "Größe & Preis", "From": "Ann <ann@example.org>", **headers}.items():
        message[name] = value
    message.set_content(body)
    return message


def test_headers_and_body_are_readable(parse_bytes: ParseBytes) -> None:
    """Encoded words are decoded; subject and date describe the document."""
    message = mail(To="Bob <bob@example.org>", Date="Wed, 31 Jan 2024 10:28:53 -0600", **{"X-Spam": "no"})
    document = parse_bytes(message.as_bytes(), EML)
    assert document.text == (
        "Subject: Größe & Preis\nFrom: Ann <ann@example.org>\nTo: Bob <bob@example.org>\n"
        "Date: Wed, 31 Jan 2024 10:28:53 -0600\n\nHello,\n\nsee you."
    )
    assert (document.title, document.document_date) == ("Größe & Preis", date(2024, 1, 31))


def test_the_plain_body_is_preferred_to_html(parse_bytes: ParseBytes) -> None:
    """An alternative body is not repeated."""
    message = mail("plain words")
    message.add_alternative("<p>html words</p>", subtype="html")
    text = parse_bytes(message.as_bytes(), EML).text
    assert "plain words" in text
    assert "html words" not in text


def test_an_html_body_is_read_as_html(parse_bytes: ParseBytes) -> None:
    """In the charset of the mail's header."""
    message = mail()
    message.set_content("<h1>Preis</h1><p>15 € für <b>a</b>lle</p>", subtype="html", charset="cp1252")
    document = parse_bytes(message.as_bytes(), EML)
    assert document.text.endswith("Preis\n\n15 € für alle")
    assert [h.title for h in document.headings] == ["Preis"]


def test_attachments_come_back_as_files(parse_bytes: ParseBytes) -> None:
    """Files with their names and bytes; an attached mail as a mail."""
    message = mail()
    message.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="Angebot für dich.pdf")
    message.add_attachment(mail("inner body"))
    files = parse_bytes(message.as_bytes(), EML).attachments
    assert [(one.filename, one.media_type) for one in files] == [
        ("Angebot für dich.pdf", "application/pdf"),
        ("message-2.eml", "message/rfc822"),
    ]
    assert files[0].data == b"%PDF-1.4"
    assert b"inner body" in files[1].data


@pytest.mark.parametrize("charset", ["no-such-charset", "utf-8", "shift_jis"])
def test_a_wrong_charset_is_no_obstacle(parse_bytes: ParseBytes, charset: str) -> None:
    """Bytes that do not fit the header are detected."""
    raw = f"Subject: s\nContent-Type: text/plain; charset={charset}\n\n".encode() + "請確認設定。這是中文。".encode(
        "big5"
    )
    assert "這是中文" in parse_bytes(raw, EML).text or charset == "shift_jis"


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "empty_document"), (b"\n\n \n", "empty_document"), (b"junk without a colon", "broken_document")],
)  # fmt: skip
def test_what_is_no_mail(parse_bytes: ParseBytes, data: bytes, code: str) -> None:
    """Empty files and files without headers."""
    with pytest.raises(ExtractionFailed) as failed:
        parse_bytes(data, EML)
    assert failed.value.code == code


def test_parts_nested_too_deeply_are_refused(parse_bytes: ParseBytes) -> None:
    """Multiparts in multiparts do not crash the parser."""
    raw = "Subject: deep\n" + "".join(f'Content-Type: multipart/mixed; boundary="{n}"\n\n--{n}\n' for n in range(1_500))
    with pytest.raises(ExtractionFailed) as failed:
        parse_bytes((raw + "\nbody").encode(), EML)
    assert failed.value.code == "broken_document"
