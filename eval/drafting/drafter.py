"""Drafts of a question set from the documents of a collection: plain questions, and the four abilities of RGB rebuilt
from them (Chen et al., AAAI 2024): noise robustness, negative rejection, integration of two documents, and edited
values. Filters of the questions, not copies of the documents, remove the gold or leave only near misses.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from eval.drafting.statements import Asked
from eval.drafting.writers import Writer
from eval.measures import contains_answer
from eval.normalise import answer_tokens
from eval.perturbations import names_in, swapped
from eval.question_sets import EvaluationQuestion, GoldEvidence
from ingest.catalogue import Catalogue, schema
from ingest.collections import Collection
from ingest.documents import load_version_text, visible
from retrieve import Access, Hit, Query, Searcher

_A_DOCUMENT_MAX = 3
_NEAR_MISSES = 4
_HITS = 20
_SPOKEN_OF = 0.4


@dataclass(frozen=True, slots=True)
class Fact:
    """A question with the document that answers it, the nearest others (best first), and whether they answer it too."""

    asked: Asked
    document_id: str
    language: str | None
    near: tuple[str, ...]
    elsewhere: bool


class Drafter:
    """Drafts questions about what `access` may see of a collection."""

    def __init__(self, catalogue: Catalogue, searcher: Searcher, collection: Collection, access: Access) -> None:
        self._catalogue, self._searcher = catalogue, searcher
        self._collection, self._access = collection, access

    def drafts(self, writer: Writer, *, count: int, seed: int) -> Iterator[EvaluationQuestion]:
        """About `count` drafts, fewer where the documents yield no more: half of them plain, the rest spread over the
        four abilities. The same for the same documents, writer and seed.
        """
        draw = random.Random(seed)  # noqa: S311 - not a secret
        facts = list(self._facts(writer, count, draw))
        chosen, spare = facts[: (count + 1) // 2], facts[(count + 1) // 2 :]
        names = [name for fact in facts for name in names_in(fact.asked.quote)]
        made = [_plain(fact, writer.source) for fact in chosen]
        made += [two for pair in _pairs(chosen) if (two := _two_documents(*pair, writer.source)) is not None]
        variants = [
            [*self._edited(fact, names, writer.source, draw), *_variants(fact, writer.source)] for fact in chosen
        ]
        for place in range(max(map(len, variants), default=0)):
            made += [found[(place + number) % len(found)] for number, found in enumerate(variants) if found]
        made += [_plain(fact, writer.source) for fact in spare]
        unique = {draft.id: draft for draft in made}
        yield from list(unique.values())[:count]

    def _facts(self, writer: Writer, count: int, draw: random.Random) -> Iterator[Fact]:
        left = count
        for document_id, version_pk, title, language in self._documents(draw):
            with self._catalogue.read() as connection:
                text = load_version_text(connection, version_pk).text
            for number, asked in enumerate(writer.questions(title or document_id, text, draw)):
                if number == _A_DOCUMENT_MAX or left == 0:
                    break
                left -= 1
                yield self._fact(asked, document_id, language)
            if left == 0:
                return

    def _documents(self, draw: random.Random) -> Sequence[tuple[str, int, str | None, str | None]]:
        documents, versions = schema.documents, schema.versions
        query = (
            select(documents.c.document_id, documents.c.live_version_pk, documents.c.title, documents.c.language)
            .join(versions, versions.c.pk == documents.c.live_version_pk)
            .where(
                documents.c.collection_pk == self._collection.pk,
                documents.c.tombstoned_at.is_(None),
                visible(self._access.tags),
            )
            .order_by(documents.c.document_id)
        )
        with self._catalogue.read() as connection:
            rows = [tuple(row) for row in connection.execute(query)]
        return draw.sample(rows, len(rows))

    def _fact(self, asked: Asked, document_id: str, language: str | None) -> Fact:
        hits = self._search(asked.question, {"document_id": {"$ne": document_id}})
        near = tuple(dict.fromkeys(hit.document_id for hit in hits))[:_NEAR_MISSES]
        elsewhere = any(contains_answer(hit.text, [asked.answer]) for hit in hits[:_NEAR_MISSES])
        return Fact(asked, document_id, language, near, elsewhere)

    def _edited(
        self, fact: Fact, names: Sequence[str], source: str, draw: random.Random
    ) -> Iterator[EvaluationQuestion]:
        """The question with a number or name exchanged, unless a passage speaks of just that."""
        edited = swapped(fact.asked.question, names, draw)
        if edited is None or edited == fact.asked.question:
            return
        wanted = set(answer_tokens(edited))
        fresh = wanted - set(answer_tokens(fact.asked.question))
        for hit in self._search(edited, {})[:_NEAR_MISSES]:
            held = set(answer_tokens(hit.text))
            if fresh <= held and len(wanted & held) >= _SPOKEN_OF * len(wanted):
                return
        yield _draft(fact, "edited", source, question=edited, answerable=False)

    def _search(self, text: str, wanted: Mapping[str, Any]) -> Sequence[Hit]:
        return self._searcher.search(
            Query(text, top_k=_HITS, filter=wanted),
            collection_pk=self._collection.pk,
            generation=self._collection.live_generation,
            access=self._access,
        ).hits


def _plain(fact: Fact, source: str) -> EvaluationQuestion:
    return _draft(fact, "plain", source, question=fact.asked.question, **_gold(fact))


def _variants(fact: Fact, source: str) -> Iterator[EvaluationQuestion]:
    """The abilities that one fact can test. Where a near miss holds the answer too, nothing is called unanswerable."""
    asked = fact.asked
    if fact.near:
        among = {"document_id": {"$in": [fact.document_id, *fact.near]}}
        yield _draft(fact, "noise", source, question=asked.question, filter=among, **_gold(fact))
        alone = {"document_id": fact.document_id}
        yield _draft(fact, "oracle", source, question=asked.question, filter=alone, **_gold(fact))
        if not fact.elsewhere:
            only = {"document_id": {"$in": list(fact.near)}}
            yield _draft(fact, "rejection", source, question=asked.question, filter=only, answerable=False)
            without = {"document_id": {"$ne": fact.document_id}}
            yield _draft(fact, "gold-removed", source, question=asked.question, filter=without, answerable=False)


def _two_documents(one: Fact, other: Fact, source: str) -> EvaluationQuestion | None:
    """Both questions in one; None where they are not in one language."""
    if one.language != other.language or one.document_id == other.document_id:
        return None
    first, second = one.asked.question.rstrip("?？"), other.asked.question
    second = second[0].lower() + second[1:]
    golds = tuple((_evidence(fact),) for fact in (one, other))
    return _draft(
        one,
        "two-documents",
        source,
        question=f"{first}, and {second}" if first.isascii() else f"{first}，{second}",
        answerable=True,
        answers=(one.asked.answer, other.asked.answer),
        gold_doc_ids=(one.document_id, other.document_id),
        gold_mode="all",
        gold_evidence=golds,
    )


def _pairs(facts: Sequence[Fact]) -> Iterator[tuple[Fact, Fact]]:
    """Disjoint pairs, a fifth of what there could be."""
    half = max(1, len(facts) // 5)
    return zip(facts[:half], reversed(facts[-half:]), strict=True) if len(facts) > 1 else zip((), (), strict=True)


def _gold(fact: Fact) -> dict[str, Any]:
    return {
        "answerable": True,
        "answers": (fact.asked.answer,),
        "gold_doc_ids": (fact.document_id,),
        "gold_evidence": ((_evidence(fact),),),
    }


def _evidence(fact: Fact) -> GoldEvidence:
    return GoldEvidence(document_id=fact.document_id, quote=fact.asked.quote)


def _draft(fact: Fact, kind: str, source: str, **fields: Any) -> EvaluationQuestion:
    digest = hashlib.sha256(f"{kind}\n{fact.document_id}\n{fields['question']}".encode()).hexdigest()[:10]
    told = {"review": "pending", "source": source, "quote": fact.asked.quote, "answered_elsewhere": fact.elsewhere}
    return EvaluationQuestion.model_validate(
        {
            "id": f"{kind}-{digest}",
            "cluster": fact.document_id,
            "lang": fact.language,
            "tags": ("drafted", f"ability:{kind}"),
            "meta": told,
            **fields,
        }
    )
