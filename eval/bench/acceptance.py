"""First acceptance over HTTP, on public data: `python -m eval.bench.acceptance --url URL --data DIR`.

Measures retrieval (recall@10 of the gold document), the shape and correctness of answers, whether every quote is the
named slice of the named version, and what becomes of real files of every kind. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote as url_quote

import httpx
from rich.console import Console
from rich.progress import track

from eval.measures import is_correct_answer
from ingest.models import SentenceTransformerEncoder

PROGRESS = Console(stderr=True)
_JOB_WAIT_S = 1800.0
_ENDED = {"succeeded", "partial", "failed", "cancelled"}


class Service:
    """The few calls of the HTTP contract that are measured."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=300)

    def new_collection(self, name: str) -> None:
        self._http.put(f"/v1/collections/{name}", json={}).raise_for_status()

    def upload(self, name: str, path: Path, **fields: str) -> dict[str, Any]:
        with path.open("rb") as file:
            reply = self._http.post(
                f"/v1/collections/{name}/documents", files={"files": (path.name, file)}, data=fields
            )
        return {"status_code": reply.status_code, **reply.json()}

    def finish(self, job_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + _JOB_WAIT_S
        while time.monotonic() < deadline:
            job: dict[str, Any] = self._http.get(f"/v1/jobs/{job_id}").json()
            if job["state"] in _ENDED:
                return job
            time.sleep(0.2)
        raise TimeoutError(f"job {job_id} has not ended after {_JOB_WAIT_S:g} s")

    def cancel(self, job_id: str) -> None:
        self._http.post(f"/v1/jobs/{job_id}/cancel")

    def chunks(self, name: str) -> int:
        return int(self._http.get(f"/v1/collections/{name}").json()["chunks"])

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        reply = self._http.post(path, json=body)
        reply.raise_for_status()
        answer: dict[str, Any] = reply.json()
        return answer

    def document(self, name: str, document_id: str) -> dict[str, Any]:
        reply = self._http.get(f"/v1/collections/{name}/documents/{url_quote(document_id, safe='')}")
        document: dict[str, Any] = reply.json()
        return document

    def text(self, name: str, document_id: str, version: int) -> str:
        path = f"/v1/collections/{name}/documents/{url_quote(document_id, safe='')}/text"
        reply = self._http.get(path, params={"version": version})
        reply.raise_for_status()
        return reply.content.decode("utf-8")


def measure_retrieval(service: Service, folder: Path, *, questions: int, seed: int) -> dict[str, Any]:
    """Uploads the corpus as one file, then the share of questions whose gold document is among the first ten hits."""
    name = folder.name
    service.new_collection(name)
    begun = time.monotonic()
    submitted = service.upload(name, folder / "corpus.jsonl.gz")
    job = service.finish(submitted["job_id"])
    seconds = time.monotonic() - begun
    asked = _sample([q for q in _lines(folder / "questions.jsonl.gz") if q["answerable"]], questions, seed)
    found, ranks, times = 0, [], []
    for question in track(asked, f"search {name}", console=PROGRESS):
        begun = time.perf_counter()
        reply = service.post(f"/v1/collections/{name}/search", {"query": question["question"], "top_k": 10})
        times.append((time.perf_counter() - begun) * 1000)
        rank = next((hit["rank"] for hit in reply["hits"] if hit["document_id"] in question["gold_doc_ids"]), None)
        found += rank is not None
        ranks.append(1 / rank if rank else 0.0)
    return {
        "documents": submitted["documents_total"],
        "job": {key: job[key] for key in ("state", "done", "total", "failed")},
        "ingest_s": round(seconds, 1),
        "questions": len(asked),
        "recall@10": round(found / len(asked), 4),
        "mrr@10": round(statistics.fmean(ranks), 4),
        "search_ms_p50": round(statistics.median(times), 1),
    }


def measure_answers(service: Service, folder: Path, *, questions: int, seed: int) -> dict[str, Any]:
    """Asks answerable and unanswerable questions; checks every quote against the text of its version."""
    name = folder.name
    asked = _sample(list(_lines(folder / "questions.jsonl.gz")), questions, seed)
    encoder = SentenceTransformerEncoder("all-MiniLM-L6-v2")
    lengths, citations, mismatches, outcomes, times = [], 0, 0, Counter[str](), []
    for question in track(asked, f"ask {name}", console=PROGRESS):
        begun = time.perf_counter()
        reply = service.post(f"/v1/collections/{name}/ask", {"question": question["question"]})
        times.append((time.perf_counter() - begun) * 1000)
        outcomes[_outcome(question, reply)] += 1
        if reply["answer"]:
            lengths.append(len(encoder.token_spans([reply["answer"]])[0]))
        for citation in reply["citations"]:
            text = service.text(name, citation["document_id"], citation["version"])
            citations += 1
            mismatches += text[citation["char_start"] : citation["char_end"]] != citation["quote"]
            mismatches += not citation["quote"]
    ordered = sorted(lengths)
    return {
        "asked": len(asked),
        "answered": len(ordered),
        "answer_tokens_median": statistics.median(ordered) if ordered else None,
        "answer_tokens_p95": ordered[int(0.95 * (len(ordered) - 1))] if ordered else None,
        "citations": citations,
        "quote_mismatches": mismatches,
        "outcomes": dict(sorted(outcomes.items())),
        "ask_ms_p50": round(statistics.median(times), 1),
    }


def measure_files(service: Service, folder: Path) -> dict[str, Any]:
    """Uploads every real file by itself, with its password where one is known, and compares with the manifest."""
    name = "real-files"
    service.new_collection(name)
    results = {}
    for line in (folder / "manifest.jsonl").read_text().splitlines():
        entry = json.loads(line)
        outcome = _ingest_file(service, name, folder / entry["file"])
        if entry["expect"] == "password" and entry.get("password"):
            opened = _ingest_file(service, name, folder / entry["file"], password=entry["password"])
            outcome = f"{outcome}, then {opened}"
        results[entry["file"]] = (entry["expect"], outcome)
    summary = Counter(f"{expected}: {outcome}" for expected, outcome in results.values())
    wrong = {file: result for file, result in results.items() if not _as_expected(*result)}
    return {"files": len(results), "outcomes": dict(sorted(summary.items())), "not_as_expected": wrong}


def _ingest_file(service: Service, name: str, path: Path, **fields: str) -> str:
    """`text`, or the error code."""
    submitted = service.upload(name, path, **fields)
    if submitted["status_code"] != 202:
        return str(submitted["code"])
    job = service.finish(submitted["job_id"])
    document = service.document(name, path.name)
    if document["status"] == "ready" and job["state"] == "succeeded":
        return "text" if service.text(name, path.name, document["version"]).strip() else "empty text"
    return str((document["error"] or {}).get("code", document["status"]))


def _as_expected(expected: str, outcome: str) -> bool:
    return {
        "text": outcome == "text",
        "ocr": outcome in ("text", "no_text_layer"),
        "password": outcome in ("password_required", "password_required, then text"),
        "broken": outcome in ("text", "broken_document", "password_required"),
        "empty": outcome in ("empty_document", "empty_file"),
    }[expected]


def _outcome(question: Mapping[str, Any], reply: Mapping[str, Any]) -> str:
    kind = "answerable" if question["answerable"] else "unanswerable"
    if reply["status"] == "refused":
        return f"{kind}: refused"
    if not question["answerable"]:
        return f"{kind}: answered"
    right = is_correct_answer(reply["answer"], question["answers"])
    return f"{kind}: {'correct' if right else 'wrong'}"


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _sample(questions: Sequence[dict[str, Any]], count: int, seed: int) -> list[dict[str, Any]]:
    return random.Random(seed).sample(list(questions), min(count, len(questions)))  # noqa: S311 - not a secret


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a running service on public data.")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    service, data = Service(arguments.url), arguments.data
    sample: dict[str, Any] = {"questions": arguments.questions, "seed": arguments.seed}
    report = {
        "squad2_dev_a": measure_retrieval(service, data / "squad2_dev_a", **sample),
        "drcd_dev": measure_retrieval(service, data / "drcd_dev", **sample),
        "answers on squad2_dev_a": measure_answers(service, data / "squad2_dev_a", **sample),
        "real files": measure_files(service, data / "documents"),
    }
    sys.stdout.write(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
