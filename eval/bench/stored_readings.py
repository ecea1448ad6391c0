"""Readings kept on disk by question and passage: many systems read the same passages, and a forward is what costs."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from ingest.models import PassageReader, Reading, SpanScore
from ingest.models.cross_encoder import Pair


class StoredReadings:
    """A `PassageReader` that reads each pair once. Bound to one revision of the model; `path` may be deleted.

    Of `anew_share` of the questions, and of all while `anew` is set, the passages are read each time, and not kept.
    """

    def __init__(self, reader: PassageReader, path: Path, *, anew_share: float = 0.0) -> None:
        self.name, self.revision = reader.name, reader.revision
        self.languages, self.max_tokens = reader.languages, reader.max_tokens
        self.anew = False
        self._reader, self._anew_share = reader, anew_share
        path.parent.mkdir(parents=True, exist_ok=True)
        self._store = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._store.execute("CREATE TABLE IF NOT EXISTS readings (key TEXT PRIMARY KEY, reading TEXT NOT NULL)")

    def read(self, pairs: Sequence[Pair]) -> list[Reading]:
        if self.anew or (pairs and random.Random(pairs[0][0]).random() < self._anew_share):  # noqa: S311
            return list(self._reader.read(pairs))
        keys = [self._key(pair) for pair in pairs]
        known = {key: found for key in keys if (found := self._known(key)) is not None}
        missing = [(key, pair) for key, pair in zip(keys, pairs, strict=True) if key not in known]
        if missing:
            for (key, _), reading in zip(missing, self._reader.read([pair for _, pair in missing]), strict=True):
                known[key] = reading
                self._store.execute("INSERT OR REPLACE INTO readings VALUES (?, ?)", (key, json.dumps(asdict(reading))))
        return [known[key] for key in keys]

    def _key(self, pair: Pair) -> str:
        return hashlib.sha256("\0".join((self.revision, *pair)).encode()).hexdigest()

    def _known(self, key: str) -> Reading | None:
        row = self._store.execute("SELECT reading FROM readings WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        body = json.loads(row[0])
        spans = tuple(SpanScore(**span) for span in body["spans"])
        return Reading(body["relevance"], body["no_answer"], spans)


class ShuffledRelevance:
    """A broken `PassageReader`: the relevances of the passages that are read together are dealt out at random."""

    def __init__(self, reader: PassageReader) -> None:
        self.name, self.revision = reader.name, reader.revision
        self.languages, self.max_tokens = reader.languages, reader.max_tokens
        self._reader = reader

    def read(self, pairs: Sequence[Pair]) -> list[Reading]:
        readings = list(self._reader.read(pairs))
        dealt = [reading.relevance for reading in readings]
        random.Random(pairs[0][0] if pairs else "").shuffle(dealt)  # noqa: S311 - not a secret
        return [replace(reading, relevance=value) for reading, value in zip(readings, dealt, strict=True)]
