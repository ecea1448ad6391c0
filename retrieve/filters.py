"""Metadata filters and access tags as SQL over the catalogue: which document versions a search may see.

An unknown field or operator is an error, never ignored: a filter that silently filtered nothing would show what it
should hide. A metadata value is compared only with values of its own type: the text "5" is not the number 5, and not
below 6.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, case, func, or_, select, type_coerce

from ingest.catalogue import schema
from ingest.documents import visible
from ingest.errors import FieldProblem, InvalidInput
from retrieve.query import Access
from retrieve.restriction import Restriction

_DOCUMENTS = schema.documents
_COLUMNS: Mapping[str, tuple[ColumnElement[Any], type | tuple[type, ...]]] = {
    "document_id": (_DOCUMENTS.c.document_id, str),
    "title": (_DOCUMENTS.c.title, str),
    "language": (_DOCUMENTS.c.language, str),
    "media_type": (_DOCUMENTS.c.media_type, str),
    "created_at": (_DOCUMENTS.c.created_at, str),
    "credibility": (_DOCUMENTS.c.credibility, (int, float)),
}
_METADATA_PATH = re.compile(r"metadata((?:\.[\w -]{1,100}){1,8})")
_JSON_TYPES: Mapping[type | tuple[type, ...], tuple[str, ...]] = {
    bool: ("true", "false"),  # before the numbers: True is an int
    (int, float): ("integer", "real"),
    str: ("text",),
}
_SCALARS = (str, int, float, bool)
_IN_MAX = 1000
_Compare = Callable[[ColumnElement[Any], Any], ColumnElement[bool]]
_OPERATORS: Mapping[str, _Compare] = {
    "$eq": lambda column, value: column == value,
    "$ne": lambda column, value: or_(column.is_(None), column != value),
    "$gte": lambda column, value: column >= value,
    "$lte": lambda column, value: column <= value,
    "$in": lambda column, values: column.in_(values),
}


def compile_filter(conditions: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """The conditions as SQL over `documents`; all must hold. Raises `InvalidInput` naming every wrong field at once."""
    problems: list[FieldProblem] = []
    clauses = [clause for name, condition in conditions.items() for clause in _field_clauses(name, condition, problems)]
    if problems:
        raise InvalidInput(
            "the filter is not valid: " + "; ".join(f"{problem.field}: {problem.message}" for problem in problems),
            code="invalid_filter",
            problems=tuple(problems),
        )
    return clauses


def restriction_for(
    connection: Connection, collection_pk: int, conditions: Mapping[str, Any], access: Access
) -> Restriction:
    """What a search may see: matching documents in every kept version, never those with a tombstone.

    The snapshot decides which version is live; take it first: then a version that is replaced meanwhile is still found.
    Raises `InvalidInput` for a bad filter.
    """
    clauses = compile_filter(conditions)
    if not clauses and access.tags is None:
        return Restriction.of(excluded=_tombstoned(connection, collection_pk))
    versions = schema.versions
    query = (
        select(versions.c.pk)
        .select_from(versions.join(_DOCUMENTS, versions.c.document_pk == _DOCUMENTS.c.pk))
        .where(
            _DOCUMENTS.c.collection_pk == collection_pk,
            _DOCUMENTS.c.tombstoned_at.is_(None),
            versions.c.state.in_(("live", "retired")),
            *clauses,
            visible(access.tags),
        )
    )
    return Restriction.of(connection.execute(query).scalars().all())


def matching_documents(
    connection: Connection, collection_pk: int, conditions: Mapping[str, Any], access: Access
) -> list[str]:
    """Ids of matching documents that `access` may see, in order of arrival. Raises `InvalidInput` for a bad filter."""
    query = select(_DOCUMENTS.c.document_id).where(
        _DOCUMENTS.c.collection_pk == collection_pk,
        _DOCUMENTS.c.tombstoned_at.is_(None),
        *compile_filter(conditions),
        visible(access.tags),
    )
    return list(connection.execute(query.order_by(_DOCUMENTS.c.pk)).scalars())


def _tombstoned(connection: Connection, collection_pk: int) -> list[int]:
    versions = schema.versions
    query = (
        select(versions.c.pk)
        .select_from(_DOCUMENTS.join(versions, versions.c.document_pk == _DOCUMENTS.c.pk))
        .where(_DOCUMENTS.c.collection_pk == collection_pk, _DOCUMENTS.c.tombstoned_at.is_not(None))
    )
    return list(connection.execute(query).scalars())


def _field_clauses(name: str, condition: Any, problems: list[FieldProblem]) -> list[ColumnElement[bool]]:
    operators = condition if isinstance(condition, Mapping) else {"$eq": condition}
    path = _METADATA_PATH.fullmatch(name)
    if path is None and name not in _COLUMNS:
        problems.append(
            FieldProblem(f"filter.{name[:100]}", f"is no field; there are {', '.join(_COLUMNS)} and metadata.*")
        )
        return []
    if not operators:
        problems.append(FieldProblem(f"filter.{name}", "has no condition"))
    clauses = []
    for operator, value in operators.items():
        problem = _problem_of(name, operator, value)
        if problem is not None:
            problems.append(FieldProblem(f"filter.{name}", problem))
            continue
        column = _COLUMNS[name][0] if path is None else _metadata_column(path.group(1), value)
        clauses.append(_OPERATORS[operator](column, _plain(value)))
    return clauses


def _plain(value: Any) -> Any:
    """SQLite reads JSON's booleans as 1 and 0."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, bool) else value


def _problem_of(name: str, operator: str, value: Any) -> str | None:
    if operator not in _OPERATORS:
        return f"{operator[:40]!r} is no operator; there are {', '.join(_OPERATORS)}"
    values = value if operator == "$in" else [value]
    if not isinstance(values, list) or not 1 <= len(values) <= _IN_MAX:
        return f"$in takes a list of 1 to {_IN_MAX} values"
    for one in values:
        if not isinstance(one, _SCALARS) or (isinstance(one, float) and not math.isfinite(one)):
            return "a value is a string, a finite number or a boolean"
        if isinstance(one, int) and abs(one) >= 2**63:
            return "a number has at most 63 bits"
        if isinstance(one, str) and ("\x00" in one or not _encodable(one)):
            return "a string is valid Unicode without NUL"
        expected = _COLUMNS[name][1] if name in _COLUMNS else _SCALARS
        if not isinstance(one, expected) or (isinstance(one, bool) and name in _COLUMNS):
            return f"takes a {'string' if expected is str else 'number'}"
    if isinstance(values[0], bool) and operator in ("$gte", "$lte"):
        return f"{operator} takes a string or a number"
    kinds = {float if isinstance(one, (int, float)) and not isinstance(one, bool) else type(one) for one in values}
    return None if len(kinds) == 1 else "$in takes values of one kind"


def _metadata_column(path: str, value: Any) -> ColumnElement[Any]:
    """The JSON value at `.a.b` where it has the type of the value it is compared with, else NULL."""
    sample = value[0] if isinstance(value, list) else value
    where = "$" + "".join(f'."{name}"' for name in path[1:].split("."))
    types = next(names for kind, names in _JSON_TYPES.items() if isinstance(sample, kind))
    column = type_coerce(_DOCUMENTS.c.metadata, Text)
    return case((func.json_type(column, where).in_(types), func.json_extract(column, where)))


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
