"""Whether the promise about wrong answers holds: `python -m eval.bench.calibration --labels FILE`.

Many random splits, by passage, into labels to calibrate on and questions to check; `python -m api.bench labels` makes
the labels.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from eval.learn_then_test import Labelled, calibrate
from eval.measures import answer_rate_at_risk

_CALIBRATE_SHARE = 0.7


def measure_promise(items: Sequence[Labelled], *, risk: float, delta: float, splits: int) -> dict[str, Any]:
    """Violated: more than `risk` of the answers on the questions to check are wrong.

    The oracle's answer rate is the greatest that the checked questions' own labels allow at this risk. A split that
    ends in refusing everything answers nothing and violates nothing; it is counted.
    """
    clusters = sorted({item.cluster for item in items})
    violations, refusals = 0, 0
    rates, oracles, risks = list[float](), list[float](), list[float]()
    for split in range(splits):
        first, rest = _split(items, clusters, split)
        promise = calibrate(first, risk=risk, delta=delta, seed=split)
        best = answer_rate_at_risk([i.confidence for i in rest], [i.wrong for i in rest], risk)
        oracles.append(best or 0.0)
        given = [] if promise.threshold is None else [i for i in rest if i.confidence >= promise.threshold]
        refusals += promise.threshold is None
        rates.append(len(given) / len(rest))
        if given:
            risks.append(sum(item.wrong for item in given) / len(given))
            violations += risks[-1] > risk
    return {
        "questions": len(items),
        "passages": len(clusters),
        "splits": splits,
        "risk": risk,
        "delta": delta,
        "violated": violations / splits,
        "refuse_all": refusals,
        "answer_rate": round(fmean(rates), 4),
        "oracle_answer_rate": round(fmean(oracles), 4),
        "of_oracle": round(fmean(rates) / fmean(oracles), 4) if any(oracles) else None,
        "risk_where_answered": round(fmean(risks), 4) if risks else None,
        "wrong_without_refusal": round(sum(item.wrong for item in items) / len(items), 4),
    }


def _split(items: Sequence[Labelled], clusters: Sequence[str], split: int) -> tuple[list[Labelled], list[Labelled]]:
    order = list(clusters)
    random.Random(split).shuffle(order)  # noqa: S311 - not a secret
    first = set(order[: round(_CALIBRATE_SHARE * len(order))])
    return [i for i in items if i.cluster in first], [i for i in items if i.cluster not in first]


def load_labels(path: Path) -> list[Labelled]:
    return [Labelled(**one) for one in json.loads(path.read_text(encoding="utf-8"))]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the promise of the calibration over random splits.")
    parser.add_argument("--labels", type=Path, default=Path(".bench/gate/labels.json"))
    parser.add_argument("--risk", type=float, default=0.1)
    parser.add_argument("--confidence", type=float, default=0.9)
    parser.add_argument("--splits", type=int, default=100)
    arguments = parser.parse_args()
    items = load_labels(arguments.labels)
    report = measure_promise(items, risk=arguments.risk, delta=1 - arguments.confidence, splits=arguments.splits)
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
