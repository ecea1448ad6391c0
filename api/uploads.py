"""Received files become documents on their way: kinds named, bytes stored, one job. Runs in a worker thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from api.auth import Caller
from api.bootstrap import Service
from api.forms import ReceivedFile, UploadForm
from api.models import SubmissionResponse, SubmittedDocumentResponse
from ingest.collections import Collection
from ingest.corpus import CORPUS_MEDIA_TYPES, BadLine, read_corpus
from ingest.documents import Upload
from ingest.errors import (
    CitewellError,
    ExtractionFailed,
    FieldProblem,
    Forbidden,
    InvalidInput,
    TooLarge,
    UnsupportedMediaType,
)
from ingest.parsing.media_types import HEAD_BYTES, detect_media_type

_LISTED_MAX = 1000
_VISIBILITY_BATCH = 500
_UNKNOWN_KIND = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class _Sighted:
    """A file with its media type, or with the reason why it cannot be read."""

    file: ReceivedFile
    media_type: str
    problem: CitewellError | None = None


def record_upload(
    service: Service, collection: Collection, form: UploadForm, caller: Caller, *, corpora: bool = True
) -> SubmissionResponse:
    """Store the files and queue the job that ingests them.

    A file that cannot be read is recorded as failed beside good ones; when no file is good, its error (or one that
    names them all) is raised and nothing is recorded. `corpora` says whether `.jsonl` files may stand for their lines.
    Raises `Forbidden` when a tag, or a document to be replaced, is not the caller's.
    """
    _check_tags(form, caller)
    _check_replaceable(service, collection, [file.document_id for file in form.files], caller)
    sighted = [_sight(file, service.settings.upload_max_bytes) for file in form.files]
    _raise_if_all_bad([(one.file.field, one.problem) for one in sighted])
    if not corpora and any(one.media_type in CORPUS_MEDIA_TYPES for one in sighted):
        raise InvalidInput(
            "a .jsonl corpus holds many documents; send it with POST …/documents, or as .txt to store it as one",
            code="corpus_not_allowed",
        )
    uploads, lines, total = _store(service, collection, form, sighted, caller)
    _raise_if_all_bad([(one.file.field, upload.problem) for one, upload in zip(sighted, uploads, strict=True)])
    submission = service.documents.submit(collection, uploads, key_id=caller.key_id)
    service.runner.notify()
    plain = [
        SubmittedDocumentResponse.model_validate(document, from_attributes=True)
        for document, upload in zip(submission.documents, uploads, strict=True)
        if upload.media_type not in CORPUS_MEDIA_TYPES or upload.problem is not None
    ]
    return SubmissionResponse(
        job_id=submission.job_id, documents=[*plain, *lines][:_LISTED_MAX], documents_total=len(plain) + total
    )


def _sight(file: ReceivedFile, file_max_bytes: int) -> _Sighted:
    if file.size_bytes > file_max_bytes:
        raise TooLarge(
            f"{file.filename} has {file.size_bytes:,} bytes, the limit is {file_max_bytes:,}; split it, or raise it"
        )
    if file.size_bytes == 0:
        problem = InvalidInput(f"{file.filename} is empty; send a file with content", code="empty_file")
        return _Sighted(file, file.declared or _UNKNOWN_KIND, problem)
    head = file.stream.read(HEAD_BYTES)
    file.stream.seek(0)
    try:
        return _Sighted(file, detect_media_type(file.filename, file.declared, head))
    except UnsupportedMediaType as failure:
        return _Sighted(file, file.declared or _UNKNOWN_KIND, failure)


def _store(
    service: Service, collection: Collection, form: UploadForm, sighted: Sequence[_Sighted], caller: Caller
) -> tuple[list[Upload], list[SubmittedDocumentResponse], int]:
    """The files as uploads, the first documents that stand in corpora, and the number of all of those."""
    uploads: list[Upload] = []
    listed: list[SubmittedDocumentResponse] = []
    total = 0
    for one in sighted:
        upload = Upload(
            document_id=one.file.document_id,
            filename=one.file.filename,
            media_type=one.media_type,
            blob=service.blobs.put(one.file.stream, max_bytes=service.settings.upload_max_bytes),
            metadata=form.metadata_of(one.file),
            access=form.access,
            password=form.password,
            origin=form.origin,
            problem=one.problem,
        )
        if upload.problem is None and upload.media_type in CORPUS_MEDIA_TYPES:
            try:
                lines, count = _survey(service, collection, upload, caller)
                listed, total = listed + lines, total + count
            except ExtractionFailed as failure:
                upload = replace(upload, problem=failure)
        uploads.append(upload)
    return uploads, listed, total


def _survey(
    service: Service, collection: Collection, upload: Upload, caller: Caller
) -> tuple[list[SubmittedDocumentResponse], int]:
    """The first lines of a corpus as documents, and the number of all its lines. Raises `ExtractionFailed`."""
    listed: list[SubmittedDocumentResponse] = []
    count = 0
    for batch in _batches(_corpus_documents(service, upload)):
        good = [document.document_id for document in batch if document.status == "queued"]
        _check_replaceable(service, collection, good, caller)
        count += len(batch)
        listed += batch[: _LISTED_MAX - len(listed)]
    if count == 0:
        raise ExtractionFailed(f"{upload.filename} has no line; send one JSON object a line", code="empty_file")
    return listed, count


def _corpus_documents(service: Service, upload: Upload) -> Iterator[SubmittedDocumentResponse]:
    lines = read_corpus(
        service.blobs.path(upload.blob.sha256),
        upload.media_type,
        decompressed_bytes_max=service.settings.parse_decompressed_max_bytes,
    )
    for number, line in lines:
        if isinstance(line, BadLine):
            yield SubmittedDocumentResponse(
                document_id=f"{upload.filename}#{number}", filename=upload.filename, status="failed"
            )
        else:
            yield SubmittedDocumentResponse(document_id=line.document_id, filename=upload.filename, status="queued")


def _batches(documents: Iterable[SubmittedDocumentResponse]) -> Iterator[list[SubmittedDocumentResponse]]:
    batch: list[SubmittedDocumentResponse] = []
    for document in documents:
        batch.append(document)
        if len(batch) == _VISIBILITY_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _check_tags(form: UploadForm, caller: Caller) -> None:
    foreign = sorted(set(form.access or ()) - caller.tags) if caller.tags is not None else []
    if foreign:
        raise Forbidden(f"this key may not give access to {foreign[0][:100]!r}; use tags that it has itself")


def _check_replaceable(service: Service, collection: Collection, document_ids: Sequence[str], caller: Caller) -> None:
    """Raises `Forbidden` when one of the documents exists already and is hidden from the caller."""
    if caller.tags is None or not document_ids:
        return
    hidden = service.documents.hidden(collection, document_ids, caller.tags)
    if hidden:
        raise Forbidden(f"this key may not replace document {min(hidden)[:200]!r}; use one that may, or another id")


def _raise_if_all_bad(files: Sequence[tuple[str, CitewellError | None]]) -> None:
    """Raise the one error, or one that names every file, unless some file has none."""
    bad = [(field, problem) for field, problem in files if problem is not None]
    if len(bad) < len(files):
        return
    fields = tuple(FieldProblem(field, problem.message) for field, problem in bad)
    first = bad[0][1]
    detail = first.message if len(bad) == 1 else f"no file can be read: {'; '.join(one.message for one in fields)}"
    kinds = {(type(problem), problem.code) for _, problem in bad}
    if len(kinds) > 1:
        raise InvalidInput(detail, code="invalid_files", problems=fields)
    raise type(first)(detail, code=first.code, problems=fields)
