"""Which documents support what a document says, decided sentence by sentence, at a bounded cost.

A document's key statements are its few sentences with most names and figures. Another document supports one when it has
a sentence with all of its figures and names, nearly all of its other words, and the same sense (neither denies what the
other says). Counted are independent documents only: near duplicates count as one, a mail and its attachments as one,
and no document that somebody who may read the first could not see. Knows no scores: `ingest.credibility` has those.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, func, select

from ingest.catalogue import schema
from ingest.sentences import sentence_spans
from retrieve.analysis import analyse_query
from retrieve.lexical.base import LexicalSnapshot

_CANDIDATES = 10
_CHARS_READ = 20_000
_TERMS_MIN, _TERMS_MAX = 4, 40
_WORDS_SHARED_MIN = 0.8
_NAME = re.compile(r"\b[A-Z][\w'-]*")
_FIGURE = re.compile(r"\d[\d.,:]*(?<=\d)")
_DENIAL = re.compile(r"\b(?:not|no|never|none|neither|nor|cannot|without)\b|n't\b|[不没未无非莫勿]", re.IGNORECASE)
_FIGURE_WORDS = "one two three four five six seven eight nine ten eleven twelve hundred thousand million billion"
_FUNCTION_WORDS = """
    a about after all also an and any are as at be been before being between both but by can could did do does for from
    had has have he her here his how i if in into is it its may more most must new no not of on only or other our over
    said she should so some such than that the their them then there these they this those through to under up upon us
    was we were what when where which while who whose will with would you your
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a sentence says, as far as words show it: its content terms, figures and names, and whether it denies."""

    terms: frozenset[str]
    figures: frozenset[str]
    names: frozenset[str]
    denies: bool

    def is_supported_by(self, other: Statement) -> bool:
        """The other sentence has the figures, the names and nearly all words of this one, in the same sense."""
        return (
            self.denies == other.denies
            and self.figures <= other.figures
            and self.names <= other.terms
            and len(self.terms & other.terms) >= _WORDS_SHARED_MIN * len(self.terms)
        )


def statement_of(sentence: str) -> Statement:
    """The sentence as words, in the index's own terms."""
    terms = [term for term in analyse_query(sentence) if term not in _function_terms()]
    figures = {figure.replace(",", "") for figure in _FIGURE.findall(sentence)} | (_figure_terms() & set(terms))
    names = {term for name in _NAME.findall(sentence) for term in analyse_query(name)} - _function_terms()
    content = frozenset(term for term in terms if len(term) > 1)
    return Statement(content, frozenset(figures), frozenset(names), _DENIAL.search(sentence) is not None)


def key_statements(text: str, count: int) -> list[Statement]:
    """The `count` sentences of a text (of its first 20,000 characters) that say most, in text order."""
    head = text[:_CHARS_READ]
    statements = [statement_of(head[span.start : span.end]) for span in sentence_spans(head)]
    fit = [place for place, one in enumerate(statements) if _TERMS_MIN <= len(one.terms) <= _TERMS_MAX]
    best = sorted(fit, key=lambda place: (-_weight(statements[place]), place))[:count]
    return [statements[place] for place in sorted(best)]


def supporters_of(
    connection: Connection, document_pk: int, lexical: LexicalSnapshot, *, statements: int
) -> list[set[int]]:
    """For each key statement of a live document the keys of the independent documents that support it.

    Of near duplicates, and of a mail with its attachments, only one each.
    """
    own = _document(connection, document_pk)
    if own is None:
        return []
    family, readers = _family(connection, own), _tags(connection, document_pk)
    found = []
    for statement in key_statements(own.text, statements):
        hits = lexical.search(sorted(statement.terms), top_k=_CANDIDATES)
        supporters: dict[str, int] = {}
        for row in _passages(connection, [int(chunk) for chunk in hits.chunks]):
            other = _family(connection, row)
            if other == family or other in supporters or not _says(row.text, statement):
                continue
            if _may_all_see(readers, _tags(connection, row.document_pk)):
                supporters[other] = row.document_pk
        found.append(set(supporters.values()))
    return found


def _says(text: str, statement: Statement) -> bool:
    spans = sentence_spans(text)
    return any(statement.is_supported_by(statement_of(text[span.start : span.end])) for span in spans)


def _weight(statement: Statement) -> int:
    """Names and figures make a statement one that can be checked; among equals the longer one says more."""
    return 100 * len(statement.figures | statement.names) + len(statement.terms)


def _document(connection: Connection, document_pk: int) -> Row[Any] | None:
    """The live text of a document, and whose family it is of; None when it has none any more."""
    documents, texts = schema.documents, schema.version_texts
    query = (
        _with_original()
        .add_columns(texts.c.text)
        .join(texts, texts.c.version_pk == documents.c.live_version_pk)
        .where(documents.c.pk == document_pk, documents.c.tombstoned_at.is_(None))
    )
    return connection.execute(query).one_or_none()


def _passages(connection: Connection, chunk_pks: Sequence[int]) -> list[Row[Any]]:
    """Chunks of live versions, best first, with their documents."""
    documents, chunks = schema.documents, schema.chunks
    query = (
        _with_original()
        .add_columns(chunks.c.pk.label("chunk_pk"), chunks.c.text)
        .join(chunks, chunks.c.version_pk == documents.c.live_version_pk)
        .where(chunks.c.pk.in_(chunk_pks), documents.c.tombstoned_at.is_(None))
    )
    rows = {row.chunk_pk: row for row in connection.execute(query)}
    return [rows[pk] for pk in chunk_pks if pk in rows]


def _with_original() -> Any:
    """Documents, each with id and parent of the one that it nearly repeats (or of itself)."""
    documents, originals = schema.documents, schema.documents.alias("originals")
    return select(
        documents.c.pk.label("document_pk"),
        documents.c.collection_pk,
        originals.c.document_id.label("original_id"),
        originals.c.parent_document_id.label("parent_id"),
    ).select_from(
        documents.join(originals, originals.c.pk == func.coalesce(documents.c.duplicate_of_pk, documents.c.pk))
    )


def _family(connection: Connection, row: Row[Any]) -> str:
    """The id of the document, or of the mail, that stands for all that is not independent of this one."""
    table = schema.documents
    name, parent = row.original_id, row.parent_id
    while parent is not None:
        name = parent
        query = select(table.c.parent_document_id).where(
            table.c.collection_pk == row.collection_pk, table.c.document_id == name, table.c.tombstoned_at.is_(None)
        )
        parent = connection.execute(query).scalar()
    return str(name)


def _tags(connection: Connection, document_pk: int) -> set[str]:
    table = schema.document_access
    return set(connection.execute(select(table.c.tag).where(table.c.document_pk == document_pk)).scalars())


def _may_all_see(readers: set[str], tags: set[str]) -> bool:
    """Everybody who may read a document with tags `readers` may also read one with `tags` (no tags: everybody)."""
    return not tags or (bool(readers) and readers <= tags)


@cache
def _function_terms() -> frozenset[str]:
    return frozenset(analyse_query(_FUNCTION_WORDS))


@cache
def _figure_terms() -> frozenset[str]:
    return frozenset(analyse_query(_FIGURE_WORDS))
