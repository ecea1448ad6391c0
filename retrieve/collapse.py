"""Near duplicates among the hits: what repeats a better hit of another document is left out, and named there.

Only documents that ingest linked as near duplicates are compared, and a passage goes only if its every sentence stands
in better ones: two versions of a notice that differ in one figure both stay, or their contradiction would be hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ingest.near_duplicates import terms_of
from ingest.sentences import sentence_spans
from retrieve.query import Hit


def collapse_duplicates(hits: Sequence[Hit]) -> list[Hit]:
    """Hits in their order, best first, without those that say nothing new; the best hit names their documents."""
    documents: dict[int, set[int]] = {}
    for hit in hits:
        documents.setdefault(hit.original_pk, set()).add(hit.document_pk)
    kept: list[Hit] = []
    said: dict[int, list[int]] = {}
    for hit in hits:
        if len(documents[hit.original_pk]) > 1:
            places = said.setdefault(hit.original_pk, [])
            repeated = next((place for place in places if kept[place].document_pk != hit.document_pk), None)
            if repeated is not None and _repeats(hit.text, [kept[place].text for place in places]):
                best = kept[repeated]
                if hit.document_id not in best.duplicates:
                    kept[repeated] = replace(best, duplicates=(*best.duplicates, hit.document_id))
                continue
            places.append(len(kept))
        kept.append(hit)
    return kept


def _repeats(text: str, others: Sequence[str]) -> bool:
    """Every sentence of the text stands in one of the others, but for case, punctuation and white space."""
    haystacks = [f" {' '.join(terms_of(other))} " for other in others]
    sentences = [" ".join(terms_of(text[span.start : span.end])) for span in sentence_spans(text)]
    return all(any(f" {sentence} " in haystack for haystack in haystacks) for sentence in sentences if sentence)
