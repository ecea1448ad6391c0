"""Are stored answers given again the same after a restart? `python -m eval.bench.replay [--vllm URL]`.

Starts a service of its own on the sample documents, asks, restarts it, and replays every answer: from its candidates
and its generation while nothing else happens, from its question while clients load the service. Each answer that comes
out otherwise is listed with its cause. Then it deletes a cited document and counts the answers that are gone. With
`--vllm` a language model writes the answers, bound to verbatim quotes, so that a model of noise says something, too.
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from eval.bench.service import served
from eval.question_sets import load_question_set

_ASK = "/v1/collections/default/ask"
_LISTED_MAX = 40
_CAUSES = {
    "pipeline_fingerprint": "other settings or models",
    "credibility": "the credibility of documents is another one",
    "candidates": "other passages were found",
    "prompt": "another prompt of the same passages",
    "output": "the language model wrote otherwise from the same prompt: its sums depend on its batch",
}
"""By the field of a replay that explains, in the order in which an answer comes about."""
QUOTING = {
    "CITEWELL_GENERATOR": "vllm",
    "CITEWELL_GENERATOR_QUOTES_ONLY": "true",
    "CITEWELL_ANSWER_THRESHOLD": "0",
    "CITEWELL_GENERATOR_MAX_TOKENS": "200",
}
"""Settings by which a language model answers in quotes, whatever its confidence."""


def _replayed(client: httpx.Client, answer_ids: Sequence[str], start: str) -> dict[str, Any]:
    """How many are the same, and what differs in the others, and why."""
    same, others = 0, []
    for answer_id in answer_ids:
        reply = client.post(f"/v1/answers/{answer_id}/replay", json={"from": start})
        reply.raise_for_status()
        body = reply.json()
        same += body["same"]
        if not body["same"]:
            counted = [one for one in body["differences"] if one["counted"]]
            cause = _cause({one["field"] for one in body["differences"] if not one["counted"]})
            others.append({"answer_id": answer_id, "cause": cause, "differences": counted})
    causes = Counter(str(one["cause"]) for one in others)
    return {"same": same, "of": len(answer_ids), "causes": dict(causes), "others": others[:_LISTED_MAX]}


def _cause(moved: Collection[str]) -> str:
    """The first thing on the way from a question to an answer that came out otherwise."""
    for field, cause in _CAUSES.items():
        if field in moved:
            return cause
    return "unexplained"


@contextmanager
def _load(client: httpx.Client, questions: Sequence[str], clients: int) -> Iterator[Counter[int]]:
    """Asks without pause from some clients at once; counts the statuses of their replies."""
    stop, statuses = threading.Event(), Counter[int]()

    def ask(first: int) -> None:
        with httpx.Client(base_url=client.base_url, timeout=300) as own:
            number = first
            while not stop.is_set():
                body = {"question": questions[number % len(questions)], "cache": False}
                statuses[own.post(_ASK, json=body).status_code] += 1
                number += clients

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def measure(questions: Sequence[str], *, clients: int, folder: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """All figures of one run on a fresh data directory; `variables` are settings of the service."""
    with served(folder, samples=True, **variables) as client:
        asked = [client.post(_ASK, json={"question": text}).raise_for_status().json() for text in questions]
    answer_ids = [answer["answer_id"] for answer in asked]
    with served(folder, samples=False, **variables) as client:
        result: dict[str, Any] = {"statuses": dict(Counter(answer["status"] for answer in asked))}
        for start in ("candidates", "generation"):
            result[start] = _replayed(client, answer_ids, start)
        with _load(client, questions, clients) as statuses:
            result[f"question_under_{clients}_clients"] = _replayed(client, answer_ids, "question")
        result["load"] = {str(status): count for status, count in statuses.items()}
        result["deletion"] = _deleted(client, asked)
    return result


def _deleted(client: httpx.Client, asked: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Deletes the document that is cited most, and replays the answers that cite it."""
    cited = Counter(citation["document_id"] for answer in asked for citation in answer["citations"])
    document_id = cited.most_common(1)[0][0]
    client.request("POST", "/v1/collections/default/documents:delete", json={"document_ids": [document_id]})
    touched = [a["answer_id"] for a in asked if any(c["document_id"] == document_id for c in a["citations"])]
    statuses = Counter(
        client.post(f"/v1/answers/{one}/replay", json={"from": "candidates"}).status_code for one in touched
    )
    return {"answers": len(touched), "statuses": {str(status): count for status, count in statuses.items()}}


def _phrasings(file: Path, count: int) -> list[str]:
    """Questions, then their paraphrases, `count` in all."""
    questions = load_question_set(file).questions
    texts = [question.question for question in questions]
    texts += [paraphrase for question in questions for paraphrase in question.paraphrases]
    return texts[:count]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", type=Path, default=Path("data/eval/sample.jsonl"), help="questions to ask")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--vllm", help="a language model server that is to write the answers")
    given = parser.parse_args(arguments)
    variables = {} if given.vllm is None else {**QUOTING, "CITEWELL_VLLM_URL": given.vllm}
    questions = _phrasings(given.set, given.questions)
    with tempfile.TemporaryDirectory() as folder:
        result = measure(questions, clients=given.clients, folder=Path(folder) / "data", variables=variables)
    json.dump(result, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
