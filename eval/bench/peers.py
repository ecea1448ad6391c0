"""Hybrid and lexical search of other libraries, as they come, over a task of `eval.bench.quality`.

Run in an environment of its own (`eval/bench/peers.txt`): `python peers.py TASK OUT --system txtai`. It imports nothing
of this project. Every library gets whole passages as documents and the vectors that the same model made of them, and
keeps its own settings; the one choice made is reciprocal rank fusion where a library joins lists only if told how.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOP_K = 10

Rankings = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Task:
    """Passages and questions with the vectors of both, float32 of shape (n, dim), rows of length 1."""

    passages: Mapping[str, str]
    questions: Mapping[str, str]
    passage_vectors: NDArray[np.float32]
    question_vectors: NDArray[np.float32]

    @classmethod
    def load(cls, folder: Path) -> Task:
        texts = json.loads((folder / "task.json").read_text(encoding="utf-8"))
        vectors = np.load(folder / "vectors.npz")
        return cls(texts["passages"], texts["questions"], vectors["passages"], vectors["questions"])

    @property
    def vector_of(self) -> dict[str, NDArray[np.float32]]:
        """The vector of each text, as the model would give it."""
        passages = zip(self.passages.values(), self.passage_vectors, strict=True)
        return dict(passages) | dict(zip(self.questions.values(), self.question_vectors, strict=True))


def txtai(task: Task) -> Rankings:
    """txtai's `hybrid`: dense vectors and its BM25, equal weights."""
    from txtai import Embeddings

    vector_of = task.vector_of

    def transform(texts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([vector_of[text] for text in texts])

    embeddings = Embeddings({"method": "external", "transform": transform, "hybrid": True})
    embeddings.index((key, text, None) for key, text in task.passages.items())
    return {key: [found for found, _ in embeddings.search(text, TOP_K)] for key, text in task.questions.items()}


def haystack(task: Task) -> Rankings:
    """Haystack's in-memory BM25 and embedding retrievers, joined by reciprocal rank fusion."""
    from haystack import Document
    from haystack.components.joiners import DocumentJoiner
    from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    vectors = task.passage_vectors.tolist()
    store.write_documents(
        [
            Document(id=key, content=text, embedding=vector)
            for (key, text), vector in zip(task.passages.items(), vectors, strict=True)
        ]
    )
    worded, near = InMemoryBM25Retriever(store, top_k=TOP_K), InMemoryEmbeddingRetriever(store, top_k=TOP_K)
    joiner = DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=TOP_K)
    rankings = {}
    for (key, text), vector in zip(task.questions.items(), task.question_vectors.tolist(), strict=True):
        lists = [worded.run(query=text)["documents"], near.run(query_embedding=vector)["documents"]]
        rankings[key] = [document.id for document in joiner.run(documents=lists)["documents"]]
    return rankings


def llama_index(task: Task) -> Rankings:
    """LlamaIndex's vector index and BM25 retriever joined by its `QueryFusionRetriever` by reciprocal rank."""
    from llama_index.core import VectorStoreIndex
    from llama_index.core.embeddings import BaseEmbedding
    from llama_index.core.llms import MockLLM
    from llama_index.core.retrievers import QueryFusionRetriever
    from llama_index.core.schema import TextNode
    from llama_index.retrievers.bm25 import BM25Retriever

    vector_of = task.vector_of

    class Known(BaseEmbedding):  # type: ignore[misc]
        def _get_text_embedding(self, text: str) -> list[float]:
            known: list[float] = vector_of[text].tolist()
            return known

        def _get_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

    nodes = [
        TextNode(id_=key, text=text, embedding=vector)
        for (key, text), vector in zip(task.passages.items(), task.passage_vectors.tolist(), strict=True)
    ]
    near = VectorStoreIndex(nodes, embed_model=Known()).as_retriever(similarity_top_k=TOP_K)
    worded = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=TOP_K)
    fused = QueryFusionRetriever(
        [near, worded], llm=MockLLM(), mode="reciprocal_rerank", similarity_top_k=TOP_K, num_queries=1, use_async=False
    )
    return {key: [found.node.node_id for found in fused.retrieve(text)] for key, text in task.questions.items()}


def bm25s(task: Task) -> Rankings:
    """bm25s with its own English stop words and tokeniser; no vectors."""
    import bm25s as library

    keys = list(task.passages)
    index = library.BM25()
    index.index(library.tokenize(list(task.passages.values()), show_progress=False), show_progress=False)
    asked = library.tokenize(list(task.questions.values()), show_progress=False)
    rows, scores = index.retrieve(asked, k=TOP_K, show_progress=False)
    found = (_with_score(keys, *ranked) for ranked in zip(rows.tolist(), scores.tolist(), strict=True))
    return dict(zip(task.questions, found, strict=True))


def rank_bm25(task: Task) -> Rankings:
    """rank_bm25 over words between white space, as its manual shows; no vectors."""
    from rank_bm25 import BM25Okapi

    keys = list(task.passages)
    index = BM25Okapi([text.split() for text in task.passages.values()])
    rankings = {}
    for key, text in task.questions.items():
        scores = index.get_scores(text.split())
        best = np.argsort(-scores, kind="stable")[:TOP_K]
        rankings[key] = _with_score(keys, best.tolist(), scores[best].tolist())
    return rankings


def _with_score(keys: Sequence[str], rows: Iterable[int], scores: Iterable[float]) -> list[str]:
    """What is not found has score 0, and is not ranked."""
    return [keys[row] for row, score in zip(rows, scores, strict=True) if score != 0]


SYSTEMS: Mapping[str, Callable[[Task], Rankings]] = {
    "txtai": txtai,
    "haystack": haystack,
    "llama_index": llama_index,
    "bm25s": bm25s,
    "rank_bm25": rank_bm25,
}


def main(arguments: Any = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", type=Path, help="folder of task.json and vectors.npz")
    parser.add_argument("out", type=Path, help="JSON file to write: ids of the first ten passages by question")
    parser.add_argument("--system", choices=SYSTEMS, required=True)
    chosen = parser.parse_args(arguments)
    chosen.out.write_text(json.dumps(SYSTEMS[chosen.system](Task.load(chosen.task))), encoding="utf-8")


if __name__ == "__main__":
    main()
