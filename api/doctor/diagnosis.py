"""What the doctor says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: what was found, and what to do about it where it is not in order."""

    name: str
    state: Literal["ok", "warning", "failed"]
    detail: str
    repair: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All checks, made after the repairs (if any were asked for), and what those repairs did."""

    checks: tuple[Check, ...]
    repaired: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        return any(check.state == "failed" for check in self.checks)


def ok(name: str, detail: str) -> Check:
    return Check(name, "ok", detail)


def warning(name: str, detail: str, repair: str) -> Check:
    return Check(name, "warning", detail, repair)


def failed(name: str, detail: str, repair: str) -> Check:
    return Check(name, "failed", detail, repair)
