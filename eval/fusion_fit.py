"""Fits what a cosine and a BM25 score are worth beside each other: `python -m eval.fusion_fit --data DIR --out FILE`.

Two numbers for an embedder, chosen so that the relevant passage gets the greatest share of a softmax over the fused
scores of all candidates (the listwise loss of ListNet with one relevant item; Cao et al., ICML 2007). Every set counts
the same, however many questions it has. What the weights do on a domain that they were not fitted on is told by
leaving each set out once.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from eval.measures import reciprocal_rank
from eval.offline_collection import EmbeddingCache, build_collection
from eval.retrieval_sets import RetrievalSet, fitting_sets
from ingest.errors import InvalidInput
from ingest.models import Encoder, SentenceTransformerEncoder
from retrieve.analysis import analyse_query
from retrieve.candidates import Candidates
from retrieve.fusion import embedder_fits
from retrieve.fusion_weights import EQUAL, FusionWeights, fuse_vector_and_lexical

DEPTH = 100
_STEPS = 200
_QUESTIONS_MIN = 100
"""A set of fewer that the embedder can read (product names in a Chinese set) would count as much as a whole one."""


@dataclass(frozen=True, slots=True, eq=False)
class JudgedQuestion:
    """What both indexes found for a question, and the chunks of its relevant passages.

    `passage_of` maps every candidate to the name of its passage, `relevant` names those that answer.
    """

    vector: Candidates
    lexical: Candidates
    passage_of: Mapping[int, str]
    relevant: frozenset[str]


def fit_fusion(sets: Mapping[str, Sequence[JudgedQuestion]]) -> FusionWeights:
    """The weights for these sets together. Raises `InvalidInput` when in no question a relevant passage was found."""
    batches = [batch for questions in sets.values() if (batch := _batch(questions)) is not None]
    if not batches:
        raise InvalidInput(
            "no relevant passage is among the candidates of any question; check that the gold ids name documents of"
            " the collection",
            code="nothing_to_fit",
        )
    log_weights = torch.tensor([2.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([log_weights], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimiser.zero_grad()
        losses = [_loss(torch.exp(log_weights), *batch) for batch in batches]
        loss = torch.stack(losses).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    vector, lexical = torch.exp(log_weights.detach()).tolist()
    return FusionWeights(round(vector, 4), round(lexical, 4))


def mean_reciprocal_rank(questions: Sequence[JudgedQuestion], fusion: str, weights: FusionWeights) -> float:
    """Mean reciprocal rank of the first relevant passage among the first ten."""
    return float(np.mean([_reciprocal_rank(question, fusion, weights) for question in questions]))


def judged_questions(passages: RetrievalSet, encoder: Encoder, cache: EmbeddingCache) -> list[JudgedQuestion]:
    """Candidates of both indexes for every question of a set that the embedder can read."""
    collection = build_collection(passages, encoder, cache)
    asked = [q for q in passages.questions if embedder_fits(q.text, languages=encoder.languages)]
    embedded = cache.vectors(passages.name, [question.text for question in asked], "query")
    judged = []
    for question, vector in zip(asked, embedded, strict=True):
        near = collection.vector.search(vector, top_k=DEPTH)
        worded = collection.lexical.search(analyse_query(question.text), top_k=DEPTH)
        found = {chunk: collection.passage_of[chunk] for chunk in (*near.chunks.tolist(), *worded.chunks.tolist())}
        judged.append(JudgedQuestion(near, worded, found, frozenset(question.relevant)))
    return judged


def leave_one_out(sets: Mapping[str, Sequence[JudgedQuestion]]) -> dict[str, dict[str, float]]:
    """For each set MRR@10 of either list, of equal weights, and of weights fitted on the other sets."""
    report = {}
    for name, questions in sets.items():
        fitted = fit_fusion({other: rest for other, rest in sets.items() if other != name})
        report[name] = {
            "vector": mean_reciprocal_rank(questions, "convex", FusionWeights(1, 0)),
            "lexical": mean_reciprocal_rank(questions, "convex", FusionWeights(0, 1)),
            "equal weights": mean_reciprocal_rank(questions, "convex", EQUAL),
            "fitted on the others": mean_reciprocal_rank(questions, "spread", fitted),
        }
    return report


def _reciprocal_rank(question: JudgedQuestion, fusion: str, weights: FusionWeights) -> float:
    fused = fuse_vector_and_lexical(
        question.vector, question.lexical, top_k=DEPTH, depth=DEPTH, fusion=fusion, weights=weights
    )
    passages = list(dict.fromkeys(question.passage_of[hit.chunk] for hit in fused))
    return reciprocal_rank(passages, question.relevant, 10)


def _batch(questions: Sequence[JudgedQuestion]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None:
    """Scores of shape (questions, 2 * DEPTH, 2) above the floors, which candidates there are, which are relevant."""
    rows = [row for question in questions if (row := _row(question)) is not None]
    if not rows:
        return None
    scores = np.zeros((len(rows), 2 * DEPTH, 2))
    present, relevant = np.zeros(scores.shape[:2], np.bool_), np.zeros(scores.shape[:2], np.bool_)
    for number, (of_row, is_relevant) in enumerate(rows):
        scores[number, : len(of_row)] = of_row
        present[number, : len(of_row)] = True
        relevant[number, : len(of_row)] = is_relevant
    return torch.from_numpy(scores), torch.from_numpy(present), torch.from_numpy(relevant)


def _row(question: JudgedQuestion) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
    """Both scores of each candidate above what its list does not hold; None where no candidate is relevant."""
    chunks = np.union1d(question.vector.chunks, question.lexical.chunks)
    relevant = np.array([question.passage_of[chunk] in question.relevant for chunk in chunks.tolist()], np.bool_)
    if not relevant.any():
        return None
    scores = np.zeros((len(chunks), 2))
    for column, found in enumerate((question.vector, question.lexical)):
        if len(found):
            complete = column == 1 and len(found) < DEPTH
            scores[np.searchsorted(chunks, found.chunks), column] = found.scores - (0 if complete else found.scores[-1])
    return scores, relevant


def _loss(weights: torch.Tensor, scores: torch.Tensor, present: torch.Tensor, relevant: torch.Tensor) -> torch.Tensor:
    """Mean negative logarithm of the relevant candidates' share of the softmax."""
    fused = (scores @ weights).masked_fill(~present, -torch.inf)
    return (torch.logsumexp(fused, 1) - torch.logsumexp(fused.masked_fill(~relevant, -torch.inf), 1)).mean()


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the fusion weights of the packaged embedder on public sets.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--cache", type=Path, default=Path(".bench"), help="folder of vectors kept between runs")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--questions", type=int, default=1000, help="questions a set")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    encoder = SentenceTransformerEncoder("all-MiniLM-L6-v2")
    cache = EmbeddingCache(arguments.cache, encoder)
    sampled = [one.sample(arguments.questions, seed=arguments.seed) for one in fitting_sets(arguments.data)]
    sets = {
        one.name: judged_questions(one, encoder, cache)
        for one in sampled
        if sum(embedder_fits(q.text, languages=encoder.languages) for q in one.questions) >= _QUESTIONS_MIN
    }
    weights = fit_fusion(sets)
    table = {encoder.name: {"vector": weights.vector, "lexical": weights.lexical, "revision": encoder.revision}}
    arguments.out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    report = {name: {key: round(value, 4) for key, value in row.items()} for name, row in leave_one_out(sets).items()}
    sys.stdout.write(json.dumps({"weights": table, "leave one out, MRR@10": report}, indent=1) + "\n")


if __name__ == "__main__":
    main()
