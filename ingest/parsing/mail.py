"""Reads mails (`.eml`): the headers a reader looks for, the body, and the attached files as files of their
own.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from email.errors import MessageError
from email.message import EmailMessage, MIMEPart

from ingest.parsing import dates, failures
from ingest.parsing.blocks import Block, TextBuilder, clean
from ingest.parsing.document import Attachment, ParsedDocument, ParseLimits, SourceFile
from ingest.parsing.encodings import decode
from ingest.parsing.html import decode_html, read_html

_HEADERS = ("Subject", "From", "To", "Cc", "Date")


class EmlParser:
    """Headers as lines, then the plain body, or else the HTML body as text. The subject is the title."""

    name = "mail"

    def parse(self, source: SourceFile, limits: ParseLimits) -> ParsedDocument:
        """See `Parser`. Attachments come back as they were sent; reading them is for the caller."""
        if source.path.stat().st_size > limits.decompressed_bytes_max:
            raise failures.too_large(source.filename, "has more than", limits.decompressed_bytes_max, "bytes")
        message = _open(source)
        builder = TextBuilder(source.filename, limits)
        for name in _HEADERS:
            if value := _header(message, name):
                builder.add(Block(f"{name}: {value}", tight=True))
        attachments = _attachments(message, source.filename)
        if len(attachments) > limits.attachments_max:
            raise failures.too_large(source.filename, "has more than", limits.attachments_max, "attachments")
        if builder.is_empty and message.defects and not attachments:
            raise failures.broken(source.filename, "it has none of the headers of a mail")
        builder.extend(_body(message))
        return builder.build(
            parser=self.name,
            title=_header(message, "Subject"),
            document_date=dates.parse_date(_header(message, "Date")),
            attachments=attachments,
        )


def _open(source: SourceFile) -> EmailMessage:
    try:
        message = email.message_from_bytes(source.path.read_bytes(), policy=email.policy.default)
    except (MessageError, RecursionError) as error:
        raise failures.broken(source.filename, "its parts are damaged or nested too deeply") from error
    return message


def _header(message: EmailMessage, name: str) -> str:
    """A header with its encoded words decoded, on one line; empty where it is missing or cannot be read."""
    try:
        value = message.get(name)
    except (
        ValueError,
        IndexError,
        AttributeError,
        KeyError,
    ):  # what the header parser raises on hostile headers
        return ""
    return " ".join(clean(str(value)).split()) if value else ""


def _body(message: EmailMessage) -> Iterator[Block]:
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return
    data = _content(part)
    charset = part.get_content_charset()
    if part.get_content_type() == "text/html":
        yield from read_html(decode_html(data, charset)[0]).blocks
    else:
        yield Block(decode(data, charset).text)


def _attachments(message: EmailMessage, filename: str) -> tuple[Attachment, ...]:
    try:
        return tuple(_attached(message))
    except RecursionError as error:
        raise failures.broken(filename, "mails are nested in it too deeply") from error


def _attached(message: EmailMessage) -> Iterator[Attachment]:
    for number, part in enumerate(message.iter_attachments(), start=1):
        is_mail = part.get_content_type() == "message/rfc822"
        filename = clean(part.get_filename() or "").strip()
        if filename or is_mail:
            name = filename or f"message-{number}.eml"
            yield Attachment(name, part.get_content_type(), _content(part))


def _content(part: MIMEPart) -> bytes:
    """The decoded bytes of a part; of an attached mail, that mail."""
    payload = part.get_payload(decode=True)
    if isinstance(payload, bytes):
        return payload
    inner = part.get_payload()
    if isinstance(inner, list) and inner and isinstance(inner[0], EmailMessage):
        return inner[0].as_bytes()
    return b""
