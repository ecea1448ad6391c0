"""Results of a long measurement, kept as they come, so that one that was stopped goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


class KeptResults:
    """JSON values by key, one a line of `path`. Delete the file when what was measured has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._known: dict[str, Any] = dict(map(json.loads, lines))

    def get(self, key: Sequence[object], compute: Callable[[], Any]) -> Any:
        """The value that is kept under the key, else the computed one, which is kept from now on."""
        name = json.dumps(list(key))
        if name not in self._known:
            self._known[name] = compute()
            with self._path.open("a", encoding="utf-8") as kept:
                kept.write(json.dumps([name, self._known[name]]) + "\n")
        return self._known[name]
