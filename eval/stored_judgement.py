"""A judgement of the gate as it is stored with its evaluation and shown in reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from eval.certificate_check import CertificateCheck
from eval.gate import Diagnosis, GateResult
from eval.gate.nights import SlowDrift


def gate_json(
    outcome: GateResult,
    diagnosis: Diagnosis | None,
    drift: SlowDrift | None,
    check: CertificateCheck | None,
    baseline: Sequence[str],
) -> dict[str, Any]:
    """What is stored of the judgement."""
    return {
        "baseline": list(baseline),
        "reasons": list(outcome.reasons),
        "warnings": list(outcome.warnings),
        "lines": [_rounded(asdict(line)) for line in outcome.lines],
        "blamed": outcome.blamed,
        "broken": list(outcome.broken),
        "must_pass_failed": list(outcome.must_pass_failed),
        "diagnosis": None if diagnosis is None else asdict(diagnosis),
        "slow_drift": None if drift is None else asdict(drift),
        "certificate_check": None if check is None else asdict(check),
    }


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in values.items()}
