"""A service that is going to be killed: run as `python -m tests.torture.child DATA_DIR SEED [POINT COUNT]`.

It uploads, replaces and deletes documents at random until it dies: from outside by SIGKILL, or by its own hand at the
COUNT-th time that it passes POINT. Points are wrapped around the service's parts here; the service knows nothing of
them.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from api.bootstrap import Service, open_service
from api.settings import Settings
from ingest.blobs import BlobStore
from ingest.catalogue import Catalogue
from ingest.errors import Conflict, NotFound, Unavailable
from ingest.pipeline import IngestHandler
from retrieve import Indexes
from tests.fakes import HashingEncoder
from tests.ingest.support import TextParser, upload

POINTS = ("before-commit", "after-commit", "blob-removed", "index-told", "index-published", "claimed")
NAMES = [f"{number}.txt" for number in range(6)]
WORDS = ["ferry", "harbour", "winter", "fare", "dog", "bicycle", "island", "captain", "timetable", "battery"]


def settings(data_dir: Path) -> Settings:
    """Short leases, small chunks: much happens in little time."""
    return Settings(data_dir=data_dir, chunk_tokens=32, overlap_tokens=8, job_lease_s=2.0)


def load(name: str, revision: str | None) -> HashingEncoder:
    """The fake embedder."""
    return HashingEncoder(name, revision)


def main(data_dir: Path, seed: int, point: str | None, count: int) -> None:
    """Work until killed."""
    if point is not None:
        arm(point, count)
    with open_service(settings(data_dir), parser=TextParser(), load=load) as service:
        print("serving", flush=True)
        work(service, random.Random(seed))  # noqa: S311 - chance, not secrets


def arm(point: str, count: int) -> None:
    """Die at the `count`-th passage of the point."""
    left, lock = [count], threading.Lock()

    def pass_by() -> None:
        with lock:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    match point:
        case "before-commit":
            wrap(IngestHandler, "_commit", before=pass_by)
        case "after-commit":
            wrap(Catalogue, "write", after=pass_by)
        case "blob-removed":
            wrap(BlobStore, "remove", after=pass_by)
        case "index-told":
            wrap(Indexes, "notify", before=pass_by)
        case "index-published":
            wrap(Indexes, "_advance", after=pass_by)
        case "claimed":
            wrap(IngestHandler, "run", before=pass_by)


def wrap(
    owner: type, name: str, *, before: Callable[[], None] = lambda: None, after: Callable[[], None] = lambda: None
) -> None:
    """Call `before` and `after` around a method."""
    original = getattr(owner, name)

    def wrapped(self: Any, *arguments: Any, **named: Any) -> Any:
        before()
        result = original(self, *arguments, **named)
        after()
        return result

    setattr(owner, name, wrapped)


def work(service: Service, chance: random.Random) -> None:
    """One random deed after the other, without waiting for what was begun."""
    collection = service.collections.get("default")
    while True:
        deed = chance.choice(["upload", "upload", "upload", "corpus", "delete", "cancel", "bad"])
        if deed == "delete":
            victims = chance.sample([*NAMES, *(f"line-{number}" for number in range(4))], 2)
            for document_id in victims:
                with contextlib.suppress(NotFound):
                    service.deletion.delete_documents(collection, [document_id], key_id=None)
        else:
            files = {name: text(chance) for name in chance.sample(NAMES, chance.randint(1, 3))}
            if deed == "corpus":
                lines = [{"id": f"line-{number}", "text": text(chance)} for number in range(4)]
                files = {"all.jsonl": "\n".join(json.dumps(line) for line in lines)}
            if deed == "bad":
                files["bad.txt"] = f"BROKEN {chance.random()}"
            uploads = [upload(service, name, content.encode()) for name, content in files.items()]
            try:
                submission = service.documents.submit(collection, uploads, key_id=None)
            except Unavailable:  # a purge of the same bytes came between
                continue
            if deed == "cancel":
                with contextlib.suppress(Conflict):
                    service.jobs.cancel(submission.job_id)
        service.runner.notify()
        time.sleep(chance.random() / 50)


def text(chance: random.Random) -> str:
    """A few sentences; sometimes the same for two documents."""
    if chance.random() < 0.2:
        return "The same words for everybody. " * 3
    return " ".join(
        f"The {chance.choice(WORDS)} and the {chance.choice(WORDS)} number {chance.randint(0, 999)}."
        for _ in range(chance.randint(1, 12))
    )


if __name__ == "__main__":
    folder, number, *where = sys.argv[1:]
    main(Path(folder), int(number), where[0] if where else None, int(where[1]) if where else 0)
