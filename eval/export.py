"""Runs in the formats of other tools: Parquet for data frames, JUnit XML for continuous integration.

Made on request and not kept: a copy of the rows in the data directory would outlive a deletion.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

import pandas as pd

from eval.rows import EvaluationRow

PARQUET = "application/vnd.apache.parquet"


def frame_of(rows: Sequence[EvaluationRow]) -> pd.DataFrame:
    """One line a row, one column a field of `EvaluationRow`; citations as a list of structs."""
    return pd.DataFrame([row.as_json() for row in rows], columns=list(EvaluationRow.__dataclass_fields__))


def parquet_bytes(rows: Sequence[EvaluationRow]) -> bytes:
    """The frame as one Parquet file."""
    target = io.BytesIO()
    frame_of(rows).to_parquet(target, index=False)
    return target.getvalue()


def junit_xml(evaluation: Mapping[str, Any]) -> str:
    """A test suite with a case a declared metric, and one for all other reasons; `evaluation` as the HTTP interface
    gives it. No verdict is an error, not a failure.
    """
    lines = evaluation["gate"]
    failed = [line for line in lines if line["verdict"] == "fail"]
    other = [] if failed and evaluation["verdict"] == "fail" else evaluation["reasons"]
    cases = [
        _case(line["metric"], _line_text(line) if line["verdict"] == "fail" else None, "failure") for line in lines
    ]
    kind = "failure" if evaluation["verdict"] == "fail" else "error"
    passed = evaluation["verdict"] == "pass"
    cases.append(_case("verdict", None if passed else "; ".join(other or evaluation["reasons"]), kind))
    counts = f'tests="{len(cases)}" failures="{len(failed) + (evaluation["verdict"] == "fail")}"'
    errors = f'errors="{int(not passed and evaluation["verdict"] != "fail")}"'
    name = quoteattr(f"citewell gate {evaluation['collection']} {evaluation['question_set']}")
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuite name={name} {counts} {errors}>\n'
    return f"{head}{''.join(cases)}</testsuite>\n"


def _case(name: str, message: str | None, kind: str) -> str:
    head = f'  <testcase classname="citewell.gate" name={quoteattr(name)}'
    return f"{head}/>\n" if message is None else f"{head}><{kind} message={quoteattr(message)}/></testcase>\n"


def _line_text(line: Mapping[str, Any]) -> str:
    return f"{line['metric']} went from {line['baseline']:.4f} to {line['value']:.4f} (Holm p = {line['p']:.2g})"
