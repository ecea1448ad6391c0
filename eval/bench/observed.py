"""What one system makes of every question, kept so that nights can be played on it without asking again.

The row of the embedded generator, and a row for each span that a generator which draws among them may take.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eval.bench.sampling import chances
from eval.rows import EvaluationRow

Chance = tuple[float, EvaluationRow]


@dataclass(frozen=True, slots=True)
class Observed:
    """One question. `plain` is the embedded generator's row; `drawn` has a row for each of `logits`, or the one row
    that needs no draw (a refusal). `failed` is the row of an ask that does not come through, where some do not.
    """

    plain: EvaluationRow
    logits: tuple[float, ...]
    drawn: tuple[EvaluationRow, ...]
    failed: EvaluationRow | None = None

    @property
    def question_id(self) -> str:
        return self.plain.question_id

    def outcomes(self, temperature: float, errors: float = 0.0) -> list[Chance]:
        """Each row that an ask may have with its probability; temperature 0 is the embedded generator."""
        rows: list[Chance] = [(1.0, self.plain)]
        if temperature > 0:
            rows = list(zip(chances(self.logits, temperature) or [1.0], self.drawn, strict=True))
        if self.failed is None or errors == 0:
            return rows
        return [(errors, self.failed), *((chance * (1 - errors), row) for chance, row in rows)]


@dataclass(frozen=True, slots=True)
class System:
    """A system's observations by question. `replays` says of answers of the baseline (by id) whether they come out as
    they were from the passages of then, and from the sentences of then, and whether what they quoted is still there.
    `live` are rows of asks for which nothing was stored or played.
    """

    name: str
    observed: Mapping[str, Observed]
    replays: Mapping[str, tuple[bool | None, bool | None, bool | None]]
    live: tuple[EvaluationRow, ...] = ()

    def started_as(self, process: str) -> System:
        """The same observations, as those of a start of the service with this name."""

        def named(row: EvaluationRow) -> EvaluationRow:
            return replace(row, process=process)

        observed = {
            key: replace(one, plain=named(one.plain), drawn=tuple(map(named, one.drawn)))
            for key, one in self.observed.items()
        }
        return replace(self, observed=observed)

    def store(self, path: Path) -> None:
        body = {
            "name": self.name,
            "observed": [_observed_json(one) for one in self.observed.values()],
            "replays": {answer_id: list(found) for answer_id, found in self.replays.items()},
            "live": [row.as_json() for row in self.live],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(body), encoding="utf-8")
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> System:
        body = json.loads(path.read_text(encoding="utf-8"))
        observed = [_observed(one) for one in body["observed"]]
        replays = {answer_id: (one[0], one[1], one[2]) for answer_id, one in body["replays"].items()}
        live = tuple(EvaluationRow.from_json(row) for row in body["live"])
        return cls(body["name"], {one.question_id: one for one in observed}, replays, live)


def _observed_json(one: Observed) -> dict[str, Any]:
    return {
        "plain": one.plain.as_json(),
        "logits": list(one.logits),
        "drawn": [row.as_json() for row in one.drawn],
        "failed": one.failed.as_json() if one.failed else None,
    }


def _observed(body: Mapping[str, Any]) -> Observed:
    return Observed(
        EvaluationRow.from_json(body["plain"]),
        tuple(body["logits"]),
        tuple(EvaluationRow.from_json(row) for row in body["drawn"]),
        EvaluationRow.from_json(body["failed"]) if body["failed"] else None,
    )
