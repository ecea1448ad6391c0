"""Documents of a job on their way: what is to be done, and what has been made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import PurePosixPath
from typing import Any

from ingest.attachments import StoredAttachment
from ingest.chunking import Chunk
from ingest.corpus import CORPUS_LINE_MEDIA_TYPE
from ingest.credibility import stated_date
from ingest.errors import CitewellError
from ingest.models import FloatArray
from ingest.near_duplicates import Signature
from ingest.parsing.document import TITLE_CHARS_MAX, ParsedDocument


@dataclass(frozen=True, slots=True)
class Task:
    """A document of the job that has not ended."""

    job_document_pk: int
    document_pk: int
    version_pk: int
    document_id: str
    sha256: str
    bytes: int
    filename: str
    media_type: str
    title: str | None
    metadata: dict[str, Any]

    @property
    def is_line(self) -> bool:
        """It is a line of a corpus, whose text was recorded with its version."""
        return self.media_type == CORPUS_LINE_MEDIA_TYPE


@dataclass(frozen=True, slots=True)
class Prepared:
    """A parsed and chunked document, or why it could not be; `generation_pk` is the generation it was chunked for.

    `facts` are kept with a file's version for those who send the same bytes (`ingest.reuse`); `vectors`, of shape
    (chunks, dimensions), are there where such a version had them already; `signature` finds near duplicates.
    """

    task: Task
    parsed: ParsedDocument | None = None
    chunks: Sequence[Chunk] = ()
    language: str | None = None
    attachments: tuple[StoredAttachment, ...] = ()
    generation_pk: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    vectors: FloatArray | None = None
    signature: Signature | None = None
    error: CitewellError | None = None

    @property
    def title(self) -> str | None:
        """The caller's title, else the document's own, else the file name without its ending (a line has none); its
        first 500 characters.
        """
        given = self.task.metadata.get("title")
        if isinstance(given, str) and given.strip():
            return given.strip()[:TITLE_CHARS_MAX]
        own = self.parsed.title if self.parsed else None
        if own:
            return own[:TITLE_CHARS_MAX]
        return None if self.task.is_line else PurePosixPath(self.task.filename).stem

    @property
    def document_date(self) -> date | None:
        """The date that the caller, or else the document, states."""
        return stated_date(self.task.metadata, self.parsed.document_date if self.parsed else None)
