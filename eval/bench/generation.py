"""What the answer path adds to a language model: `python -m eval.bench.generation --vllm URL [--url URL]`.

Asks a service that runs already, or one of its own on the sample documents, at threshold 0. Each question is asked as a
stream with drafts, then its prompt, as its trace has it, is sent to the language model server directly, then both
again. Only the second round counts: by then both prompts are equally warm in the prefix cache. With `--quotes` the
model is bound to verbatim quotes of the passages: then a model of noise, too, says sentences that pass their check, and
their times are measured. Prints one JSON object, times in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from eval.bench.replay import QUOTING
from eval.bench.service import served
from eval.question_sets import load_question_set

_HITS, _QUERIES = "vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total"


class _Path:
    """citewell, over HTTP."""

    def __init__(self, url: str, collection: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=300)
        self._ask = f"/v1/collections/{collection}/ask"

    def ask(self, question: str) -> tuple[dict[str, float], dict[str, Any]]:
        """Moments of the first event of each kind, from the request on, and the answer."""
        body = {"question": question, "stream": True, "draft": True, "cache": False}
        begun, moments, answer = time.perf_counter(), dict[str, float](), dict[str, Any]()
        with self._http.stream("POST", self._ask, json=body) as response:
            response.raise_for_status()
            name = ""
            for line in response.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                    moments.setdefault(name, (time.perf_counter() - begun) * 1000)
                elif line.startswith("data: ") and name == "done":
                    answer = json.loads(line.removeprefix("data: "))
        return moments, answer

    def trace(self, answer_id: str) -> dict[str, Any]:
        reply = self._http.get(f"/v1/answers/{answer_id}")
        reply.raise_for_status()
        trace: dict[str, Any] = reply.json()["trace"]
        return trace


class _Server:
    """The language model server, asked directly."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=300)

    def first_token_ms(self, trace: Mapping[str, Any]) -> float:
        """From the request to the first piece of text, with the parameters of the trace."""
        record = trace["generator_record"]
        body = {
            "model": trace["models"]["generator"]["model"],
            "messages": trace["prompt"],
            "max_tokens": trace["settings"]["generator_max_tokens"],
            "temperature": trace["settings"]["generator_temperature"],
            "stream": True,
            **({"seed": trace["seeds"][0]} if trace["seeds"] else {}),
            **({"structured_outputs": {"grammar": record["grammar"]}} if record["grammar"] else {}),
        }
        begun = time.perf_counter()
        with self._http.stream("POST", "/v1/chat/completions", json=body) as response:
            response.raise_for_status()
            for line in response.iter_lines():
                if re.search(r'"content": ?"[^"]', line):
                    return (time.perf_counter() - begun) * 1000
        raise RuntimeError("the language model said nothing")

    def cache_counts(self) -> tuple[float, float]:
        """Tokens found in the prefix cache and tokens looked for, since the start; zeros where it tells neither."""
        text = self._http.get("/metrics").text
        found = {name: float(value) for name, value in re.findall(r"^([a-z_:]+)(?:\{.*\})? (\S+)$", text, re.MULTILINE)}
        return found.get(_HITS, 0.0), found.get(_QUERIES, 0.0)


def measure(path: _Path, server: _Server, questions: Sequence[str]) -> dict[str, Any]:
    """Medians and 95th percentiles over the questions for which something was generated."""
    rows, refused = [], 0
    before = server.cache_counts()
    for question in questions:
        _, answer = path.ask(question)
        trace = path.trace(answer["answer_id"])
        if not trace["prompt"]:
            refused += 1
            continue
        server.first_token_ms(trace)
        moments, again = path.ask(question)
        direct = server.first_token_ms(trace)
        rows.append(_row(moments, again, direct))
    after = server.cache_counts()
    looked_for = after[1] - before[1]
    return {
        "questions": len(questions),
        "refused_before_generation": refused,
        "prefix_cache_hit_rate": round((after[0] - before[0]) / looked_for, 4) if looked_for else None,
        **{
            name: _percentiles([row[name] for row in rows if name in row])
            for name in sorted({n for r in rows for n in r})
        },
    }


def _row(moments: Mapping[str, float], answer: Mapping[str, Any], direct: float) -> dict[str, float]:
    stages = answer["timings_ms"]
    judged = stages.get("assess", 0.0) + stages.get("conflicts", 0.0)
    row = {
        "direct_first_token": direct,
        "retrieval_event": moments["retrieval"],
        "first_draft": moments["draft"],
        "overhead_after_retrieval": moments["draft"] - moments["retrieval"] - direct,
        "overhead_without_judging_evidence": moments["draft"] - moments["retrieval"] - judged - direct,
        "judging_evidence": judged,
        "whole": moments["done"],
    }
    if "sentence" in moments:
        row["first_sentence"] = moments["sentence"]
    return row


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "p50": round(statistics.median(ordered), 1),
        "p95": round(ordered[int(0.95 * (len(ordered) - 1))], 1),
        "n": len(ordered),
    }


def _questions(file: Path, count: int) -> Iterator[str]:
    answerable = [question for question in load_question_set(file).questions if question.answerable]
    yield from (question.question for question in answerable[:count])


@contextmanager
def _service(url: str | None, vllm: str, *, quotes: bool) -> Iterator[str]:
    """The URL of the service that is given, else of one that is started."""
    if url is not None:
        yield url
        return
    variables = {"CITEWELL_GENERATOR": "vllm", "CITEWELL_VLLM_URL": vllm, "CITEWELL_ANSWER_THRESHOLD": "0"}
    variables |= QUOTING if quotes else {}
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "data", samples=True, **variables) as client:
        yield str(client.base_url)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="citewell, with the generator vllm; without it one is started")
    parser.add_argument("--vllm", default="http://127.0.0.1:8001", help="the language model server")
    parser.add_argument("--collection", default="default")
    parser.add_argument("--set", type=Path, default=Path("data/eval/sample.jsonl"), help="questions to ask")
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--quotes", action="store_true", help="of the service that is started: answers of quotes")
    given = parser.parse_args(arguments)
    questions = list(_questions(given.set, given.questions))
    with _service(given.url, given.vllm, quotes=given.quotes) as url:
        result = measure(_Path(url, given.collection), _Server(given.vllm), questions)
    json.dump(result, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
