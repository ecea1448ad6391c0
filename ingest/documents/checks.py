"""What a document id, access tags and metadata may be, and who may see a document."""

from __future__ import annotations

import json
import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, exists, or_, true

from ingest.catalogue import schema
from ingest.errors import InvalidInput

ID_CHARS_MAX = 400
RESERVED_ENDINGS = ("/text", "/content")
_ACCESS_TAG_CHARS_MAX = 100


def new_id(prefix: str) -> str:
    """A fresh public id such as `job_9f…`, 128 bits of randomness."""
    return f"{prefix}_{secrets.token_hex(16)}"


def check_document_id(document_id: str) -> str:
    """Returns the id. Raises `InvalidInput` unless it has 1 to 400 characters, none of them control characters."""
    if not 1 <= len(document_id) <= ID_CHARS_MAX:
        raise InvalidInput(
            f"a document id has 1 to {ID_CHARS_MAX} characters, this one has {len(document_id)}",
            code="invalid_document_id",
        )
    if _has_controls(document_id):
        raise InvalidInput("a document id has no control characters", code="invalid_document_id")
    if document_id.endswith(RESERVED_ENDINGS):
        raise InvalidInput("a document id does not end in /text or /content", code="invalid_document_id")
    return document_id


def check_origin(origin: str) -> str:
    """Returns the name of a folder. Raises `InvalidInput` as `check_document_id` does for its length and characters."""
    if not 1 <= len(origin) <= ID_CHARS_MAX or _has_controls(origin):
        raise InvalidInput(
            f"an origin has 1 to {ID_CHARS_MAX} characters, none of them control characters", code="invalid_origin"
        )
    return origin


def check_access(access: Sequence[str] | None) -> tuple[str, ...] | None:
    """Returns the tags, sorted and distinct. Raises `InvalidInput` for an empty or overlong tag."""
    if access is None:
        return None
    bad = [tag for tag in access if not tag.strip() or len(tag) > _ACCESS_TAG_CHARS_MAX]
    if bad:
        raise InvalidInput(
            f"an access tag has 1 to {_ACCESS_TAG_CHARS_MAX} characters, not {bad[0][:120]!r}",
            code="invalid_access",
        )
    return tuple(sorted(set(access)))


def visible(tags: frozenset[str] | None) -> ColumnElement[bool]:
    """The condition on `documents` that a holder of `tags` may see them: untagged, or with one of these (None: all)."""
    if tags is None:
        return true()
    access = schema.document_access
    own = access.c.document_pk == schema.documents.c.pk
    return or_(~exists().where(own), exists().where(own, access.c.tag.in_(sorted(tags))))


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def check_metadata(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the metadata.

    Raises `InvalidInput` unless it is JSON: finite numbers, valid Unicode, names that are strings.
    """
    try:
        json.dumps(metadata, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as failure:
        raise InvalidInput(f"metadata has to be a JSON object: {failure}", code="invalid_metadata") from failure
    return metadata
