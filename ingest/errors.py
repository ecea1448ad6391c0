"""Every error that citewell raises on purpose.

    CitewellError
    ├── InvalidInput            the caller sent something that cannot be served as it is
    ├── NotFound                a named thing does not exist (or is not visible to this key)
    ├── Conflict                the request contradicts the present state
    ├── Gone                    the evidence was deleted
    ├── TooLarge                a body or file is over a limit
    ├── UnsupportedMediaType    no parser reads this kind of file
    ├── Unauthorized, Forbidden the key is unknown, or lacks a scope, collection or tag
    ├── Overloaded              a bounded queue is full
    ├── DeadlineExceeded        the answer would come too late
    ├── Unavailable             a model or store cannot be used now
    ├── StorageFull             the disk has no room
    ├── ExtractionFailed        one document could not be read; its job goes on
    └── ProblemError            (api.client) a server refused a call; carries the status that it answered with

`code` is stable and machine-readable; the message says what was expected, what came and what to do. Only `api` knows
HTTP statuses and exit codes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One wrong field of a request: where it stands (dotted path) and what is wrong with it."""

    field: str
    message: str


class CitewellError(Exception):
    """Root of the tree. `code` may be narrowed per raise; `retryable` says whether the same call may work later."""

    code = "error"
    retryable = False

    def __init__(self, message: str, *, code: str | None = None, problems: tuple[FieldProblem, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.problems = problems
        if code is not None:
            self.code = code


class InvalidInput(CitewellError):
    """The request is understood but cannot be served as it is; `problems` names every wrong field at once."""

    code = "invalid_input"


class NotFound(CitewellError):
    """The named thing does not exist, or the key may not know that it does."""

    code = "not_found"


class Conflict(CitewellError):
    """The request contradicts the present state, for example a setting that would silently need a re-index."""

    code = "conflict"


class Gone(CitewellError):
    """What the request refers to was deleted on purpose."""

    code = "evidence_deleted"


class TooLarge(CitewellError):
    """A body, file or decompressed stream is over its configured limit."""

    code = "too_large"


class UnsupportedMediaType(CitewellError):
    """No parser reads this kind of file."""

    code = "unsupported_media_type"


class Unauthorized(CitewellError):
    """No key was sent, or an unknown or revoked one."""

    code = "unauthorized"


class Forbidden(CitewellError):
    """The key lacks the scope or the collection."""

    code = "forbidden"


class Overloaded(CitewellError):
    """A bounded queue is full; try again after a moment."""

    code = "overloaded"
    retryable = True


class DeadlineExceeded(CitewellError):
    """The result would have come after the caller's deadline."""

    code = "deadline_exceeded"
    retryable = True


class Unavailable(CitewellError):
    """A model or store cannot be used at the moment."""

    code = "unavailable"
    retryable = True


class StorageFull(CitewellError):
    """The data directory's disk has no room; nothing was stored."""

    code = "storage_full"
    retryable = True


class ExtractionFailed(CitewellError):
    """One document could not be turned into text.

    Codes: `password_required`, `wrong_password`, `no_text_layer`, `broken_document`, `empty_document`,
    `unsupported_media_type`, `parser_timeout`, `parser_crashed`, `too_large`.
    """

    code = "broken_document"
