"""Contradictions, met and imagined: `python -m eval.bench.conflicts --data DIR [--questions 500] [--part report]`.

Starts a service of its own with the sample documents and the default settings (reader and reranker). The pairs of
contradicting statements of the sample set are each to be settled or left open as expected. Then answerable questions of
`squad2_dev_a` over its whole corpus, where no two passages were written to contradict each other: how many meet
`conflicting_evidence`, and in how many answers a contradiction is shown; each is listed. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.progress import track

from eval.bench.acceptance import PROGRESS, Service
from eval.bench.service import served
from eval.measures import is_correct_answer
from eval.public_sets import Part, SetQuestion, load_part

_SET = "squad2_dev_a"


def measure_pairs(service: Service, path: Path) -> dict[str, Any]:
    """Each pair: was it settled for the expected document, or left open with both sides shown?"""
    pairs = [json.loads(line) for line in path.read_text().splitlines()]
    outcomes = {}
    for pair in pairs:
        reply = service.post("/v1/collections/default/ask", {"question": pair["question"]})
        outcomes[pair["id"]] = _decided(pair, reply)
    return {
        "pairs": len(pairs),
        "as_expected": sum(outcome == "as expected" for outcome in outcomes.values()),
        "outcomes": outcomes,
    }


def measure_false(service: Service, data: Path, *, questions: int, part: Part, seed: int) -> dict[str, Any]:
    """Answerable questions of one part over the whole corpus, and the contradictions that they meet."""
    service.new_collection(_SET)
    service.finish(service.upload(_SET, data / _SET / "corpus.jsonl.gz")["job_id"])
    answerable = [question for question in load_part(data / _SET, part).questions if question.answerable]
    asked = random.Random(seed).sample(answerable, min(questions, len(answerable)))  # noqa: S311 - not a secret
    rows = [_met(service, question) for question in track(asked, "ask", console=PROGRESS)]
    refused = [row for row in rows if row["refused"]]
    return {
        "part": part,
        "questions": len(rows),
        "conflicting_evidence": round(len(refused) / len(rows), 4),
        "answered_beside_a_contradiction": sum(bool(row["conflicts"]) for row in rows) - len(refused),
        "met": [row for row in rows if row["conflicts"]],
    }


def _met(service: Service, question: SetQuestion) -> dict[str, Any]:
    reply = service.post(f"/v1/collections/{_SET}/ask", {"question": question.question, "cache": False})
    reason = reply["refusal"]["reason"] if reply["refusal"] else None
    return {
        "question": question.question,
        "answers": list(question.answers)[:2],
        "refused": reason == "conflicting_evidence",
        "confidence": reply["confidence"],
        "answer": reply["answer"],
        "conflicts": [[one["document_id"], one["quote"]] for one in reply["conflicts"]],
    }


def _decided(pair: Mapping[str, Any], reply: Mapping[str, Any]) -> str:
    expected, sides = pair["expected"], {side["document_id"] for side in pair["sides"]}
    shown = {conflict["document_id"] for conflict in reply["conflicts"]}
    if reply["status"] == "refused":
        reason = reply["refusal"]["reason"]
        fits = expected["outcome"] == "open" and reason == "conflicting_evidence" and sides <= shown
        return "as expected" if fits else f"refused: {reason} (confidence {reply['confidence']}), shown {sorted(shown)}"
    cited = {citation["document_id"] for citation in reply["citations"]}
    losing = sides - {expected.get("document_id")}
    right = expected["outcome"] == "settled" and is_correct_answer(reply["answer"], [expected["answer"]])
    if right and expected["document_id"] in cited and losing & shown:
        return "as expected"
    return f"answered {reply['answer']!r} from {sorted(cited)}, shown {sorted(shown)}"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--pairs", type=Path, default=Path("data/eval/conflicts.jsonl"))
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--part", choices=("train", "choose", "report"), default="report")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "data", samples=True) as client:
        service = Service(str(client.base_url))
        report = {
            "sample pairs": measure_pairs(service, given.pairs),
            _SET: measure_false(service, given.data, questions=given.questions, part=given.part, seed=given.seed),
        }
    json.dump(report, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
