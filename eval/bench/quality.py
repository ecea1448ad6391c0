"""Quality of retrieval: `python -m eval.bench.quality --data DIR [--peers PYTHON]`.

Ranks the passages of the seven report sets by our hybrid search without reranker, by either of its halves, and, with
`--peers`, by other libraries with the same vectors (`eval/bench/peers.py`, in the environment of that Python). Vectors
and rankings are kept in `--work`: a run that was cut off goes on, and nothing is embedded twice. Prints one JSON
object a set and system, then the comparisons; `--markdown` and `--plot` write what docs/performance.md shows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.bench import peers
from eval.bench.quality_report import markdown_table, plot
from eval.bench.ranking_measures import Rankings, mean_difference, measure_rankings, paired_difference
from eval.offline_collection import EmbeddingCache, OfflineCollection, build_collection
from eval.retrieval_sets import RetrievalSet, report_sets
from ingest.chunking import contextual_text
from ingest.models import Encoder, FloatArray, load_embedder
from retrieve.candidates import Candidates
from retrieve.fusion import embedder_fits
from retrieve.fusion_weights import FusionTable, fuse_vector_and_lexical
from retrieve.query_terms import query_terms
from retrieve.settings import RetrieveSettings

HYBRID, VECTOR, LEXICAL = "citewell hybrid", "citewell vector", "citewell lexical"
OURS = (HYBRID, VECTOR, LEXICAL)
PEER_HYBRIDS = ("txtai", "haystack", "llama_index")
_DEPTH = 100
_SHIPPED = Path(__file__).resolve().parents[2] / "data" / "models" / "fusion.json"

Scores = Mapping[str, Mapping[str, NDArray[np.float64]]]
"""Values of the measure that sums a set up, question by question, by set and system."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where rankings and the tasks of the peers lie between runs."""

    folder: Path

    def rankings(self, passages: RetrievalSet, system: str) -> Path:
        return self.folder / passages.name / f"{system.replace(' ', '-')}.json"

    def task(self, passages: RetrievalSet) -> Path:
        return self.folder / passages.name / "task"


def own_rankings(
    passages: RetrievalSet, collection: OfflineCollection, encoder: Encoder, queries: FloatArray, fusion: FusionTable
) -> Mapping[str, Rankings]:
    """The first ten passages of each question, by each of `OURS`, with the settings and weights that are shipped."""
    settings = RetrieveSettings.model_validate({})
    method, weights = fusion.fusion_of(encoder.name, settings.fusion)
    rankings: dict[str, dict[str, list[str]]] = {system: {} for system in OURS}
    for question, vector in zip(passages.questions, queries, strict=True):
        near = collection.vector.search(vector, top_k=_DEPTH).from_score(encoder.least_cosine(question.text))
        terms = query_terms(question.text, collection.lexical, spelling=settings.spelling)
        worded = collection.lexical.search(terms, top_k=_DEPTH)
        fits = embedder_fits(question.text, languages=encoder.languages)
        fused = fuse_vector_and_lexical(
            near if fits else Candidates.none(),
            worded,
            top_k=_DEPTH,
            depth=_DEPTH,
            fusion=method,
            weights=weights,
            use_vector=fits,
        )
        found = {HYBRID: [hit.chunk for hit in fused], VECTOR: near.chunks.tolist(), LEXICAL: worded.chunks.tolist()}
        for system, chunks in found.items():
            ids = dict.fromkeys(collection.passage_of[chunk] for chunk in chunks)
            rankings[system][question.id] = list(ids)[: peers.TOP_K]
    return rankings


def rank(
    passages: RetrievalSet, encoder: Encoder, cache: EmbeddingCache, work: Workplace, peers_python: str | None
) -> None:
    """Our own rankings are made anew each time: seconds, once the vectors are there. Those of peers are kept."""
    collection = build_collection(passages, encoder, cache)
    queries = cache.vectors(passages.name, [q.text for q in passages.questions], "query")
    for system, rankings in own_rankings(passages, collection, encoder, queries, FusionTable.load([_SHIPPED])).items():
        path = work.rankings(passages, system)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rankings), encoding="utf-8")
    missing = [system for system in peers.SYSTEMS if not work.rankings(passages, system).exists()]
    if peers_python and missing:
        _write_task(passages, collection, queries, cache, work.task(passages))
        for system in missing:
            _rank_by_peer(system, peers_python, work.task(passages), work.rankings(passages, system))


def _rank_by_peer(system: str, python: str, task: Path, out: Path) -> None:
    """A peer that fails on a set is named on stderr and left out there."""
    command = [python, peers.__file__, str(task), str(out), "--system", system]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - asked for
    if done.returncode:
        sys.stderr.write(f"{system} failed on {task.parent.name}: {done.stderr[-2000:]}\n")


def _write_task(
    passages: RetrievalSet, collection: OfflineCollection, queries: FloatArray, cache: EmbeddingCache, folder: Path
) -> None:
    """Passages that hold text, whole, with their title; the model cuts long ones off. One that is a chunk has its
    vector.
    """
    texts = {one.id: contextual_text(one.title, None, one.text) for one in passages.passages if one.text.strip()}
    known = dict(zip(collection.texts, collection.vectors, strict=True))
    others = [text for text in texts.values() if text not in known]
    known |= zip(others, cache.vectors(f"{passages.name}-whole", others, "document"), strict=True)
    folder.mkdir(parents=True, exist_ok=True)
    vectors = np.stack([known[text] for text in texts.values()])
    np.savez(folder / "vectors.npz", passages=vectors, questions=queries)
    asked = {question.id: question.text for question in passages.questions}
    (folder / "task.json").write_text(json.dumps({"passages": texts, "questions": asked}), encoding="utf-8")


def measured(sets: list[RetrievalSet], work: Workplace) -> tuple[list[dict[str, object]], Scores]:
    """A row of means for every ranking there is, and the values of each set's own measure."""
    rows: list[dict[str, object]] = []
    scores: dict[str, dict[str, NDArray[np.float64]]] = {passages.name: {} for passages in sets}
    for passages in sets:
        for system in (*OURS, *peers.SYSTEMS):
            path = work.rankings(passages, system)
            if path.exists():
                values = measure_rankings(passages, json.loads(path.read_text(encoding="utf-8")))
                scores[passages.name][system] = values[passages.measure]
                means = {name: round(float(of_each.mean()), 4) for name, of_each in values.items()}
                rows.append({"set": passages.name, "system": system, "questions": len(passages.questions), **means})
    return rows, scores


def comparisons(scores: Scores) -> Iterator[dict[str, object]]:
    """Hybrid against the better half and against each peer: set by set, and over the sets."""
    better = {name: max((VECTOR, LEXICAL), key=lambda half: float(of[half].mean())) for name, of in scores.items()}
    rivals = {"better half": better} | {
        peer: dict.fromkeys(scores, peer) for peer in PEER_HYBRIDS if all(peer in of for of in scores.values())
    }
    for rival, system_of in rivals.items():
        pairs = {name: (of[HYBRID], of[system_of[name]]) for name, of in scores.items()}
        for name, pair in pairs.items():
            yield {"against": rival, "set": name, "system": system_of[name], **asdict(paired_difference(*pair))}
        ahead = sum(float(one.mean()) > float(other.mean()) for one, other in pairs.values())
        over_sets = asdict(mean_difference(list(pairs.values())))
        yield {"against": rival, "set": "mean", "ahead": ahead, "sets": len(pairs), **over_sets}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--cache", type=Path, default=Path(".bench"), help="folder of vectors kept between runs")
    parser.add_argument("--work", type=Path, default=Path(".bench/quality"), help="folder of rankings")
    parser.add_argument("--peers", help="Python of the environment with eval/bench/peers.txt")
    parser.add_argument("--markdown", type=Path, help="file for the table")
    parser.add_argument("--plot", type=Path, help="SVG file for the plot")
    parser.add_argument("--embedder", default="all-MiniLM-L6-v2", help="embedding model, as in the settings")
    parser.add_argument("--set", action="append", dest="sets", metavar="NAME", help="only this set; may come again")
    arguments = parser.parse_args()
    encoder = load_embedder(arguments.embedder)
    cache, work = EmbeddingCache(arguments.cache, encoder), Workplace(arguments.work)
    sets = [one for one in report_sets(arguments.data) if not arguments.sets or one.name in arguments.sets]
    for passages in sets:
        rank(passages, encoder, cache, work, arguments.peers)
    rows, scores = measured(sets, work)
    for line in (*rows, *comparisons(scores)):
        sys.stdout.write(json.dumps(line) + "\n")
    if arguments.markdown:
        arguments.markdown.write_text(markdown_table(sets, scores), encoding="utf-8")
    if arguments.plot:
        arguments.plot.write_text(plot(scores), encoding="utf-8")


if __name__ == "__main__":
    main()
