"""Multipart forms and raw bodies as files on disk: parsed, bounded, every wrong field reported at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from ingest.documents import check_access, check_document_id, check_origin
from ingest.errors import FieldProblem, InvalidInput, TooLarge, UnsupportedMediaType
from ingest.strict_json import parse_json

_FILES_MAX = 500
_FIELDS_MAX = 1000
_FIELD_MAX_BYTES = 32 << 20
_IN_MEMORY_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file as it came in, on disk (or in memory while small); `field` says where in the request."""

    field: str
    document_id: str
    filename: str
    declared: str | None
    stream: BinaryIO
    size_bytes: int


@dataclass(slots=True)
class UploadForm:
    """Files with what was said of them."""

    files: list[ReceivedFile]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    metadata_by_file: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    access: tuple[str, ...] | None = None
    origin: str | None = None
    password: str | None = field(default=None, repr=False)

    def metadata_of(self, file: ReceivedFile) -> dict[str, Any]:
        """Metadata for all, overlaid with the file's own."""
        return {**self.metadata, **self.metadata_by_file.get(file.document_id, {})}


@asynccontextmanager
async def received_form(request: Request) -> AsyncIterator[UploadForm]:
    """The form of `POST …/documents`; its files are closed at the end. Raises `InvalidInput` naming every bad field."""
    async with _parsed(request) as form:
        yield _read_form(form, "files")


@asynccontextmanager
async def received_document(request: Request, document_id: str, *, file_max_bytes: int) -> AsyncIterator[UploadForm]:
    """The one file of `PUT …/documents/{document_id}`: the field `file` of a form, or else the raw body."""
    if _is_multipart(request):
        async with _parsed(request) as form:
            yield _read_form(form, "file", document_id)
        return
    spool = UploadFile(cast(BinaryIO, SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)), size=0)  # noqa: SIM115
    try:
        async for block in request.stream():
            await spool.write(block)
            if (spool.size or 0) > file_max_bytes:
                raise TooLarge(f"the file is larger than the limit of {file_max_bytes:,} bytes; split it")
        await spool.seek(0)
        name = document_id.rpartition("/")[2]
        declared = request.headers.get("content-type")
        yield UploadForm([ReceivedFile("body", document_id, name, declared, spool.file, spool.size or 0)])
    finally:
        await spool.close()


class _Parser(MultiPartParser):
    spool_max_size = _IN_MEMORY_BYTES


@asynccontextmanager
async def _parsed(request: Request) -> AsyncIterator[FormData]:
    if not _is_multipart(request):
        raise UnsupportedMediaType("send the files as multipart/form-data, each in a part named 'files'")
    parser = _Parser(
        request.headers,
        request.stream(),
        max_files=_FILES_MAX,
        max_fields=_FIELDS_MAX,
        max_part_size=_FIELD_MAX_BYTES,
    )
    try:
        form = await parser.parse()
    except MultiPartException as failure:
        raise InvalidInput(f"the form cannot be read: {failure.message}", code="invalid_form") from failure
    try:
        yield form
    finally:
        await form.close()


def _is_multipart(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "multipart/form-data"


def _read_form(form: FormData, file_field: str, document_id: str | None = None) -> UploadForm:
    problems: list[FieldProblem] = []
    upload = UploadForm(_files(form, file_field, document_id, problems))
    known = {file_field, "metadata", "access", "origin", "password"} | (
        {"metadata_by_file"} if document_id is None else set()
    )
    problems += [
        FieldProblem(name[:100], f"is no field of this form; there are {', '.join(sorted(known))}")
        for name in dict.fromkeys(form)
        if name not in known
    ]
    upload.metadata = _json_object(form, "metadata", problems)
    upload.metadata_by_file = _metadata_by_file(form, upload.files, problems)
    upload.access = _access(form, problems)
    upload.origin = _origin(form, problems)
    upload.password = _text(form, "password", problems)
    if problems:
        detail = "; ".join(f"{problem.field}: {problem.message}" for problem in problems)
        raise InvalidInput(f"the upload is not valid: {detail}", code="invalid_upload", problems=tuple(problems))
    return upload


def _files(
    form: FormData, file_field: str, document_id: str | None, problems: list[FieldProblem]
) -> list[ReceivedFile]:
    parts = form.getlist(file_field)
    if not parts or (document_id is not None and len(parts) > 1):
        problems.append(FieldProblem(file_field, "is required: a part with a file name" if not parts else "comes once"))
    files: list[ReceivedFile] = []
    seen: set[str] = set()
    for number, part in enumerate(parts):
        place = f"{file_field}[{number}]"
        if not isinstance(part, UploadFile) or not part.filename:
            problems.append(FieldProblem(place, "has no file name; send it as a file"))
            continue
        identifier = document_id or relative_path(part.filename)
        try:
            check_document_id(identifier)
        except InvalidInput as failure:
            problems.append(FieldProblem(place, failure.message))
            continue
        if identifier in seen:
            problems.append(FieldProblem(place, f"is a second file named {identifier!r}; give each its own name"))
        seen.add(identifier)
        filename = part.filename.rpartition("/")[2] or identifier
        files.append(ReceivedFile(place, identifier, filename, part.content_type, part.file, part.size or 0))
    return files


def relative_path(filename: str) -> str:
    """The document id that a file name means: itself, without a leading `./` or `/`."""
    while filename.startswith(("./", "/")):
        filename = filename.removeprefix(".").removeprefix("/")
    return filename


def _text(form: FormData, name: str, problems: list[FieldProblem]) -> str | None:
    values = form.getlist(name)
    if not values:
        return None
    value = values[0]
    if len(values) > 1 or not isinstance(value, str):
        problems.append(FieldProblem(name, "comes once, as text"))
        return None
    return value


def _origin(form: FormData, problems: list[FieldProblem]) -> str | None:
    origin = _text(form, "origin", problems)
    try:
        return None if origin is None else check_origin(origin)
    except InvalidInput as failure:
        problems.append(FieldProblem("origin", failure.message))
        return None


def _json_object(form: FormData, name: str, problems: list[FieldProblem]) -> dict[str, Any]:
    text = _text(form, name, problems)
    if text is None or not text.strip():
        return {}
    try:
        value = parse_json(text)
    except ValueError as failure:
        problems.append(FieldProblem(name, f"is not valid JSON: {failure}"))
        return {}
    if not isinstance(value, dict):
        problems.append(FieldProblem(name, 'is to be a JSON object, for example {"author": "Ann"}'))
        return {}
    return value


def _metadata_by_file(
    form: FormData, files: list[ReceivedFile], problems: list[FieldProblem]
) -> dict[str, dict[str, Any]]:
    given = {relative_path(name): value for name, value in _json_object(form, "metadata_by_file", problems).items()}
    names = {file.document_id for file in files}
    for name, value in given.items():
        place = f"metadata_by_file.{name[:100]}"
        if name not in names:
            problems.append(FieldProblem(place, "names no file of this upload"))
        if not isinstance(value, dict):
            problems.append(FieldProblem(place, "is to be a JSON object"))
    return given


def _access(form: FormData, problems: list[FieldProblem]) -> tuple[str, ...] | None:
    """Tags as a JSON array, or as a field a tag; one empty field means that everyone may see the documents."""
    values = form.getlist("access")
    if not values:
        return None
    try:
        tags: Any = values
        if isinstance(values[0], str) and values[0].lstrip().startswith("["):
            tags = parse_json(values[0])
        if not all(isinstance(tag, str) for tag in tags):
            raise ValueError("a tag is a string")
        return check_access([] if tags == [""] else tags)
    except (ValueError, InvalidInput) as failure:
        problems.append(FieldProblem("access", f"is to be a JSON array of tags, or one field a tag: {failure}"))
        return None
