"""How well the gate tells a regression from noise, on what was observed of sound and of planted systems.

A plant is judged whole, and in doses: it holds for as many questions as
bring its true effect, known exactly from the chances of every row, to the wished number of points.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.progress import track
from scipy.stats import beta

from eval.bench.gate_doses import MAGNITUDES, dosed, harm
from eval.bench.gate_plants import Plant, planted, plants
from eval.bench.gate_play import (
    ERRORS,
    LIVE_NIGHT,
    TEMPERATURE,
    PlayedReplays,
    baseline_rows,
    expected,
    night_rows,
    played,
)
from eval.bench.observed import Observed, System
from eval.gate import RERUNS, GateResult, diagnose, flagged, judge
from eval.rows import EvaluationRow
from eval.settings import EvalSettings

_PROGRESS = Console(stderr=True)
_M, _M_STEADY = 20, 5
_TOO_WEAK = 0.9
_SETTINGS = EvalSettings.model_validate({})


@dataclass(frozen=True, slots=True)
class Score:
    """One plant at one dose. `effect` is the true harm (in points of `effect_on`, as a share), `greatest` that of the
    declared metric it harms most; `metric_right` and `stage_right` are shares of the caught ones.
    """

    plant: str
    temperature: float
    dose: float | None
    effect: float
    greatest: float
    greatest_on: str
    share: float
    seeds: int
    caught: float
    metric_right: float | None
    stage_right: float | None
    blamed: Mapping[str, int]
    stages: Mapping[str, int]


class Bench:
    """The observed systems. Baselines are dealt out over the first starts; the last one is tonight's."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self.starts = [System.load(path).started_as(path.stem) for path in sorted(work.glob("start-*.json"))]
        first = System.load(work / "baseline.json").started_as("start-0")
        self._earlier, self._tonight = [first, *self.starts[:-1]], self.starts[-1]
        self.base = self._earlier[0].observed
        self._systems: dict[str, System] = {}

    def system(self, name: str) -> System:
        if name not in self._systems:
            self._systems[name] = System.load(self._work / f"{file_name(name)}.json")
        return self._systems[name]

    def has(self, plant: Plant) -> bool:
        """Whether the plant's system was observed."""
        return (self._work / f"{file_name(plant.system)}.json").exists()

    def measure(self, plant: Plant, temperature: float, dose: float | None, seeds: int) -> Score | None:
        """None where the whole plant is weaker than the dose."""
        system, chosen = self.system(plant.system), frozenset[str]()
        blamed, stages, effects, shares = Counter[str](), Counter[str](), [], []
        greatest: Mapping[str, float] = {}
        for seed in range(seeds):
            chosen, effect = dosed(self.base, plant, system, temperature, dose, seed)
            if dose is not None and effect < _TOO_WEAK * dose:
                return None
            effects.append(effect)
            shares.append(len(chosen) / len(self.base))
            greatest = {name: harm(self.base, plant, system, name, chosen, temperature) for name in MAGNITUDES}
            result, first, before = self._judged(plant, system, chosen, temperature, seed)
            if result.verdict == "fail":
                blamed[str(result.blamed)] += 1
                wanted = flagged(before, first)
                night = planted(plant, system, chosen)
                again = night_rows(self._tonight, night, temperature, f"{plant.name} once more {seed}", RERUNS, wanted)
                stages[str(diagnose(before, first, PlayedReplays(system, chosen), again).stage)] += 1
        caught = sum(blamed.values())
        worst = max(greatest, key=lambda name: greatest[name])
        return Score(
            plant=plant.name,
            temperature=temperature,
            dose=dose,
            effect=round(fmean(effects), 4),
            greatest=round(greatest[worst], 4),
            greatest_on=worst,
            share=round(fmean(shares), 3),
            seeds=seeds,
            caught=caught / seeds,
            metric_right=_share(blamed, plant.metrics),
            stage_right=_share(stages, plant.stages),
            blamed=dict(blamed),
            stages=dict(stages),
        )

    def clean(self, temperature: float, comparisons: int) -> dict[str, Any]:
        """The system against itself: each time fresh draws, another start as tonight's, and the others as baseline.

        How many alarms, their upper 95 % bound (Clopper-Pearson), and how often something was suspected at first.
        """
        everyone = [*self._earlier, self._tonight]
        alarms, suspected, blamed = 0, 0, Counter[str]()
        for number in track(range(comparisons), f"clean at {temperature:g}", console=_PROGRESS):
            tonight = everyone[number % len(everyone)]
            earlier = [start for start in everyone if start is not tonight]
            before = baseline_rows(earlier, _M if temperature else _M_STEADY, temperature, f"clean {number}")
            first = night_rows(tonight, None, temperature, f"clean night {number}")
            result = _judge(before, first, None)
            if result.wants_confirmation:
                suspected += 1
                result = _judge(before, first, night_rows(tonight, None, temperature, f"clean again {number}"))
            if result.verdict == "fail":
                alarms += 1
                blamed[str(result.blamed)] += 1
        upper = float(beta.ppf(0.95, alarms + 1, comparisons - alarms)) if alarms < comparisons else 1.0
        return {
            "comparisons": comparisons,
            "starts": len(everyone),
            "alarms": alarms,
            "suspected": suspected,
            "upper_95": round(upper, 4),
            "blamed": dict(blamed),
        }

    def noise(self, temperature: float) -> dict[str, float]:
        """What repeats look like: success, the share of questions that are neither always right nor always wrong, and
        the mean of p (1 - p).
        """
        rates = [expected(one, "task_success", temperature) for one in self.base.values()]
        values = [one[0] / one[1] for one in rates if one is not None]
        return {
            "task_success": round(fmean(values), 4),
            "flaky": round(fmean(0.05 < value < 0.95 for value in values), 4),
            "mean_p_1_p": round(fmean(value * (1 - value) for value in values), 4),
        }

    def starts_agree(self) -> dict[str, Any]:
        """Of how many questions every start has the baseline's decision and answer, and the same logits to 0.01."""
        same = [
            all(_alike(one, start.observed[question_id]) for start in self.starts)
            for question_id, one in self.base.items()
        ]
        return {"starts": 1 + len(self.starts), "questions": len(same), "same": sum(same)}

    def live(self) -> dict[str, Any]:
        """Live asks of every system against rows played on what was observed of it."""
        asked, same, different = 0, 0, Counter[str]()
        names = {plant.system for plant in plants() if self.has(plant)}
        for system in [System.load(self._work / "baseline.json"), *self.starts, *map(self.system, sorted(names))]:
            for row in system.live:
                other = played(system.observed[row.question_id], TEMPERATURE, ERRORS, LIVE_NIGHT, row.replicate)
                agrees = _outcome(row) == _outcome(other)
                asked, same = asked + 1, same + agrees
                different[system.name] += not agrees
        return {"asked": asked, "same": same, "different": dict(+different)}

    def _judged(
        self, plant: Plant, system: System, chosen: frozenset[str], temperature: float, seed: int
    ) -> tuple[GateResult, list[EvaluationRow], list[EvaluationRow]]:
        before = baseline_rows(self._earlier, _M if temperature else _M_STEADY, temperature, f"base {seed}")
        night = planted(plant, system, chosen)
        first = night_rows(self._tonight, night, temperature, f"{plant.name} {seed}")
        result = _judge(before, first, None)
        if result.wants_confirmation:
            again = night_rows(self._tonight, night, temperature, f"{plant.name} again {seed}")
            result = _judge(before, first, again)
        return result, first, before


def file_name(name: str) -> str:
    """Of what was observed of a system."""
    return name.replace(" %", "pct").replace(" ", "-")


def _alike(one: Observed, other: Observed) -> bool:
    near = len(one.logits) == len(other.logits) and all(
        abs(a - b) < 0.01 for a, b in zip(one.logits, other.logits, strict=True)
    )
    return near and _outcome(one.plain) == _outcome(other.plain)


def _outcome(row: EvaluationRow) -> tuple[object, ...]:
    return row.decision, row.answer, row.success


def _judge(
    before: Sequence[EvaluationRow], first: Sequence[EvaluationRow], again: Sequence[EvaluationRow] | None
) -> GateResult:
    return judge(before, first, again, must_pass=frozenset(), settings=_SETTINGS)


def _share(counts: Counter[str], right: frozenset[str]) -> float | None:
    total = sum(counts.values())
    return round(sum(counts[name] for name in right) / total, 4) if total else None
