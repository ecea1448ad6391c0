"""Documents: sending, replacing, listing, reading and deleting.

A document id may hold slashes, so the routes that end in /text and /content come before those that take the rest of the
path as the id; no id ends in either.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from api.auth import Caller, Reader, Writer
from api.bootstrap import Service
from api.dependencies import PROBLEM, Cursor, Limit, ServiceDep, UploadAdmissionDep, Version
from api.forms import received_document, received_form
from api.json_body import StrictRoute
from api.models import (
    CompareRequest,
    CompareResponse,
    DeleteRequest,
    DocumentResponse,
    DocumentStatus,
    Page,
    ReceiptResponse,
    SubmissionResponse,
    page_of,
)
from api.uploads import record_upload
from ingest.collections import Collection
from ingest.documents import DocumentRecord, Original, check_document_id
from ingest.errors import FieldProblem, Gone, InvalidInput, NotFound
from retrieve.filters import matching_documents

router = APIRouter(prefix="/v1/collections/{name}", tags=["documents"], route_class=StrictRoute, responses=PROBLEM)

_BLOCK_BYTES = 1 << 18
_IDS_PER_QUERY = 500
_ATTRIBUTES: dict[str, Any] = {
    "metadata": {"type": "string", "contentMediaType": "application/json", "description": "JSON object."},
    "access": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Tags of which a key needs one to see the documents (or one JSON array); empty: everyone.",
    },
    "origin": {"type": "string", "description": "The folder that the documents are kept in step with."},
    "password": {"type": "string", "description": "Opens encrypted files; kept in memory until they are read."},
}
_FILE: dict[str, Any] = {"type": "string", "format": "binary"}
_UPLOAD_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["files"],
                "properties": {
                    "files": {"type": "array", "items": _FILE, "description": "At most 500 a request."},
                    "metadata_by_file": {
                        "type": "string",
                        "contentMediaType": "application/json",
                        "description": "JSON object: metadata by file name.",
                    },
                    **_ATTRIBUTES,
                },
            }
        }
    },
}
_DOCUMENT_BODY = {
    "required": True,
    "content": {
        "application/octet-stream": {"schema": _FILE},
        "multipart/form-data": {
            "schema": {"type": "object", "required": ["file"], "properties": {"file": _FILE, **_ATTRIBUTES}}
        },
    },
}
_ORIGINAL: dict[int | str, dict[str, Any]] = {
    200: {"description": "The original.", "content": {"application/octet-stream": {"schema": _FILE}}}
}
_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The text.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


@router.post("/documents", status_code=202, openapi_extra={"requestBody": _UPLOAD_BODY})
async def post_documents(
    name: str, request: Request, caller: Writer, service: ServiceDep, uploads: UploadAdmissionDep
) -> SubmissionResponse:
    """Send one or more files. Each is named by its relative path; the same bytes again cost nothing."""
    with uploads.slot():
        collection = await asyncio.to_thread(service.collections.get, name)
        async with received_form(request) as form:
            return await asyncio.to_thread(record_upload, service, collection, form, caller)


@router.post("/documents:compare")
def compare_documents(name: str, body: CompareRequest, caller: Writer, service: ServiceDep) -> CompareResponse:
    """What to send and what to delete so that the documents are those of a folder. Changes nothing."""
    collection = service.collections.get(name)
    found = service.documents.compare(collection, body.origin, body.files, tags=caller.tags)
    return CompareResponse.model_validate(found)


@router.post("/documents:delete")
def delete_documents(name: str, body: DeleteRequest, caller: Writer, service: ServiceDep) -> ReceiptResponse:
    """Delete the documents that are named, or all that match a filter."""
    if (body.document_ids is None) == (body.filter is None):
        problems = (FieldProblem("document_ids", "send either this or filter"),)
        raise InvalidInput("send either document_ids or filter, not both", code="invalid_request", problems=problems)
    collection = service.collections.get(name)
    if body.filter is not None:
        with service.catalogue.read() as connection:
            return _delete(
                service, collection, matching_documents(connection, collection.pk, body.filter, caller.access), caller
            )
    assert body.document_ids is not None
    _check_all_visible(service, collection, body.document_ids, caller)
    return _delete(service, collection, body.document_ids, caller)


@router.get("/documents")
def list_documents(
    name: str,
    caller: Reader,
    service: ServiceDep,
    status: DocumentStatus | None = None,
    limit: Limit = 100,
    cursor: Cursor = "0",
) -> Page[DocumentResponse]:
    """Documents that the key may see, in order of arrival."""
    records, following = service.documents.list(
        service.collections.get(name), status=status, tags=caller.tags, limit=limit, cursor=int(cursor)
    )
    return page_of(records, following, DocumentResponse.of)


@router.get("/documents/{document_id:path}/text", response_class=PlainTextResponse, responses=_TEXT)
def get_text(name: str, document_id: str, caller: Reader, service: ServiceDep, version: Version = None) -> Response:
    """The extracted text that all offsets refer to."""
    collection = service.collections.get(name)
    _visible_document(service, collection, document_id, caller)
    return PlainTextResponse(service.documents.text(collection, document_id, version).text)


@router.get("/documents/{document_id:path}/content", response_class=Response, responses=_ORIGINAL)
def get_content(name: str, document_id: str, caller: Reader, service: ServiceDep, version: Version = None) -> Response:
    """The original as it was sent."""
    collection = service.collections.get(name)
    _visible_document(service, collection, document_id, caller)
    return _download(service.documents.original(collection, document_id, version))


@router.get("/documents/{document_id:path}")
def get_document(name: str, document_id: str, caller: Reader, service: ServiceDep) -> DocumentResponse:
    """One document."""
    return DocumentResponse.of(_visible_document(service, service.collections.get(name), document_id, caller))


@router.put(
    "/documents/{document_id:path}",
    responses={202: {"model": SubmissionResponse, "description": "A new version is on its way."}},
    openapi_extra={"requestBody": _DOCUMENT_BODY},
)
async def put_document(
    name: str,
    document_id: str,
    request: Request,
    response: Response,
    caller: Writer,
    service: ServiceDep,
    uploads: UploadAdmissionDep,
) -> SubmissionResponse:
    """Create or replace a document; the old version answers until the new one is live."""
    check_document_id(document_id)
    limit = service.settings.upload_max_bytes
    with uploads.slot():
        collection = await asyncio.to_thread(service.collections.get, name)
        async with received_document(request, document_id, file_max_bytes=limit) as form:
            submission = await asyncio.to_thread(record_upload, service, collection, form, caller, corpora=False)
    if submission.documents[0].status != "unchanged":
        response.status_code = 202
    return submission


@router.delete("/documents/{document_id:path}")
def delete_document(name: str, document_id: str, caller: Writer, service: ServiceDep) -> ReceiptResponse:
    """Delete a document with its attachments; from this moment no search returns it."""
    collection = service.collections.get(name)
    _visible_document(service, collection, document_id, caller)
    return _delete(service, collection, [document_id], caller)


def _visible_document(service: Service, collection: Collection, document_id: str, caller: Caller) -> DocumentRecord:
    record = service.documents.get(collection, document_id, tags=caller.tags)
    caller.check_visible(record)
    return record


def _check_all_visible(service: Service, collection: Collection, document_ids: Sequence[str], caller: Caller) -> None:
    if caller.tags is None:
        return
    for start in range(0, len(document_ids), _IDS_PER_QUERY):
        page = document_ids[start : start + _IDS_PER_QUERY]
        if hidden := service.documents.hidden(collection, page, caller.tags):
            raise NotFound(f"there is no document {min(hidden)[:200]!r}", code="document_not_found")


def _delete(service: Service, collection: Collection, document_ids: Sequence[str], caller: Caller) -> ReceiptResponse:
    receipt = service.deletion.delete_documents(collection, document_ids, key_id=caller.key_id)
    service.runner.notify()
    return ReceiptResponse.of(receipt)


def _download(original: Original) -> Response:
    """As a download, in a sandbox: an uploaded page must never run as part of this site."""
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(original.filename.rpartition('/')[2], safe='')}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    if original.path is None:
        return Response(original.data, headers=headers, media_type=original.media_type)
    try:
        stream = original.path.open("rb")  # held open, it can be read to its end even when it is purged meanwhile
    except FileNotFoundError as failure:
        raise Gone("the original is no longer stored", code="original_gone") from failure
    headers["Content-Length"] = str(os.fstat(stream.fileno()).st_size)
    return StreamingResponse(_blocks(stream), headers=headers, media_type=original.media_type)


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while block := stream.read(_BLOCK_BYTES):
            yield block
