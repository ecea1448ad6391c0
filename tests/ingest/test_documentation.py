"""The operators' page knows every error code and limit, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from api.settings import Settings
from ingest.parsing.wire import ERROR_CODES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ingestion.md").read_text()


def raised() -> set[str]:
    """Codes that the ingest layer names where it raises or records an error."""
    sources = [path.read_text() for path in (ROOT / "ingest").rglob("*.py")]
    named = {code for source in sources for code in re.findall(r'code="([a-z_]+)"', source)}
    own = {"job_crashed", "overloaded", "storage_full"}
    assert all(any(f'"{code}"' in source for source in sources) for code in own)
    return named | own | set(ERROR_CODES)


def documented() -> set[str]:
    """Codes in the first column of the tables of error codes."""
    section = PAGE.partition("## Error codes")[2].partition("## Near duplicates")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {code for row in rows for code in re.findall(r"`([a-z_]+)`", row)}


def test_every_error_code_is_explained() -> None:
    """With what it means and what to do; and no code is explained that never comes."""
    assert documented() == raised()


def test_every_setting_on_the_page_exists() -> None:
    """A renamed setting would leave its reader alone."""
    names = set(re.findall(r"CITEWELL_([A-Z_]+)", PAGE))
    assert {name.lower() for name in names} <= set(Settings.model_fields)
