"""`python -m api.bench gate|labels --data DIR`: observes systems, then measures gate or calibration on what was seen.

What is there already of the same system is not observed again, so that a bench that was stopped goes on. A system is
another one when its settings or weights are; delete its folder when its code has changed. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from api.bench.labels import labels
from api.bench.observe import observe
from api.bench.variants import ANOTHER_START, SOUND, Models, folder_of, variants
from eval.bench.calibration import load_labels, measure_promise
from eval.bench.gate import file_name
from eval.bench.gate_measure import measure
from eval.bench.gate_questions import GateQuestions, gate_questions

_STARTS = 3
_RISKS, _DELTA = (0.1, 0.2), 0.1
_ANEW_SHARE = 0.2
"""Share of the questions for which a further start reads every passage anew."""


def observe_all(part: GateQuestions, work: Path, models: Models, arguments: argparse.Namespace) -> None:
    """The sound system, the planted ones, and further starts of the sound one in processes of their own."""
    for name in variants():
        path = work / f"{file_name(name)}.json"
        if name != ANOTHER_START and not path.exists():
            observe(name, part, work, models).store(path)
    for start in range(1, _STARTS + 1):
        _observe_start(arguments, work / f"start-{start}.json", (SOUND, ANOTHER_START)[start % 2])


def _observe_start(arguments: argparse.Namespace, path: Path, name: str) -> None:
    if path.exists():
        return
    own = ["--data", str(arguments.data), "--work", str(arguments.work), "--questions", str(arguments.questions)]
    command = [sys.executable, "-m", "api.bench", "start", "--system", name, "--out", str(path), *own]
    subprocess.run(command, check=True)  # noqa: S603 - our own command


def _calibration(part: GateQuestions, work: Path, models: Models, arguments: argparse.Namespace) -> dict[str, Any]:
    path = work / f"labels-{arguments.per_passage}.json"
    if not path.exists():
        found = labels(arguments.data, part, work, models, per_passage=arguments.per_passage)
        path.write_text(json.dumps([asdict(one) for one in found]), encoding="utf-8")
    items = load_labels(path)
    return {f"risk {risk}": measure_promise(items, risk=risk, delta=_DELTA, splits=arguments.splits) for risk in _RISKS}


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmarks that open whole services.")
    parser.add_argument("what", choices=["gate", "labels", "start"], help="which bench, or one start")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--work", type=Path, default=Path(".bench/gate"), help="folder for what is observed, by system")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=20, help="draws a plant and dose")
    parser.add_argument("--comparisons", type=int, default=60, help="comparisons of the system with itself")
    parser.add_argument("--per-passage", type=int, default=0, help="questions of a passage that get a label; 0: all")
    parser.add_argument("--splits", type=int, default=100, help="random splits of the labels")
    parser.add_argument("--system", choices=[SOUND, ANOTHER_START], default=SOUND, help="which start")
    parser.add_argument("--out", type=Path, help="file that a start is written to")
    arguments = parser.parse_args()
    part = gate_questions(arguments.data, arguments.questions)
    anew = _ANEW_SHARE if arguments.what == "start" else 0.0
    models = Models(arguments.work / "readings.sqlite", anew_share=anew)
    work = folder_of(arguments.work, part, models)
    work.mkdir(exist_ok=True)
    if arguments.what == "start":
        observe(arguments.system, part, work, models).store(arguments.out)
        return
    if arguments.what == "gate":
        observe_all(part, work, models, arguments)
        report = measure(work, seeds=arguments.seeds, comparisons=arguments.comparisons)
    else:
        report = _calibration(part, work, models, arguments)
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
