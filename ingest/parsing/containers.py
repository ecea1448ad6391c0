"""Opens the zip and OLE containers of office files within limits. Declared sizes are checked and then not
trusted.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final
from xml.etree import ElementTree

from ingest.errors import ExtractionFailed
from ingest.parsing import failures
from ingest.parsing.document import ParseLimits, SourceFile

OLE_MAGIC: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ENTRIES_MAX: Final = 50_000
_CHUNK_BYTES: Final = 1 << 20
_ENCRYPTED_FLAG: Final = 0x1
_DAMAGE = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, ValueError)


class ZipContainer:
    """The members of one zip file, readable within `decompressed_bytes_max` bytes over all reads together.

    Construction raises `ExtractionFailed`: `broken_document`, `password_required` or `too_large`.
    """

    def __init__(self, source: SourceFile, limits: ParseLimits) -> None:
        self._filename = source.filename
        self._limit = self._left = limits.decompressed_bytes_max
        refuse_encrypted_ole(source)
        try:
            self._zip = zipfile.ZipFile(source.path)
        except _DAMAGE as error:
            raise failures.broken(source.filename, "the archive that it consists of is damaged") from error
        self.names = frozenset(self._zip.namelist())
        try:
            self._check_directory()
        except ExtractionFailed:
            self._zip.close()
            raise

    def __enter__(self) -> ZipContainer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def read(self, name: str) -> bytes:
        """A member's bytes; empty where there is no such member. Raises `broken_document` or `too_large`."""
        return b"".join(self._chunks(name)) if name in self.names else b""

    def read_xml(self, name: str) -> ElementTree.Element | None:
        """A member as an XML tree, None where there is no such member.

        Document type declarations are refused: office formats have none, and entity bombs need one.
        """
        data = self.read(name)
        if not data:
            return None
        if re.search(rb"<!DOCTYPE|<!ENTITY", data.replace(b"\0", b"")):
            raise failures.broken(self._filename, f"{name} declares XML entities, which office files must not")
        try:
            return ElementTree.fromstring(data)  # noqa: S314 - declarations are refused above
        except ElementTree.ParseError as error:
            raise failures.broken(self._filename, f"{name} is damaged ({error})") from error

    def check_contents(self) -> None:
        """Decompress everything once, keeping nothing, before a parser that knows no limits gets the file."""
        for name in self.names:
            for _ in self._chunks(name):
                pass

    def _check_directory(self) -> None:
        entries = self._zip.infolist()
        if len(entries) > ENTRIES_MAX:
            raise failures.too_large(self._filename, "is an archive of more than", ENTRIES_MAX, "files")
        if sum(entry.file_size for entry in entries) > self._limit:
            raise self._bomb()
        if any(entry.flag_bits & _ENCRYPTED_FLAG for entry in entries) or self._has_encrypted_manifest():
            raise failures.encrypted_office(self._filename)

    def _has_encrypted_manifest(self) -> bool:
        """OpenDocument lists how each member is encrypted; a protected EPUB has `encryption.xml` with other
        ciphers.
        """
        return b"encryption-data" in self.read("META-INF/manifest.xml")

    def _chunks(self, name: str) -> Iterator[bytes]:
        try:
            with self._zip.open(name) as member:
                while chunk := member.read(_CHUNK_BYTES):
                    self._left -= len(chunk)
                    if self._left < 0:
                        raise self._bomb()
                    yield chunk
        except _DAMAGE as error:
            raise failures.broken(self._filename, f"its part {name} is damaged") from error

    def _bomb(self) -> ExtractionFailed:
        return failures.too_large(self._filename, "unpacks to more than", self._limit, "bytes")


def refuse_encrypted_ole(source: SourceFile) -> None:
    """Raise `password_required` for an encrypted DOCX, PPTX or XLSX: OLE around the real file."""
    if is_ole(source.path) and "EncryptedPackage".encode("utf-16-le") in source.path.read_bytes():
        raise failures.encrypted_office(source.filename)


def is_ole(path: Path) -> bool:
    """The file begins like an OLE compound file."""
    with path.open("rb") as file:
        return file.read(len(OLE_MAGIC)) == OLE_MAGIC
