"""Services that are going to be killed: `python -m tests.torture.child`, one life a line of standard input.

A line is `[data_dir, seed, point, passages]`. Each life is a fork of this process, which has imported everything: it
prints its process id, then `serving`, and uploads, replaces and deletes documents at random until it dies: from outside
by SIGKILL, or by its own hand when it passes `point` so many times. Then its exit status is printed. Points are wrapped
around the service's parts here; the service knows nothing of them.
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
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from api.bootstrap import Service, open_service
from api.settings import Settings
from ingest.blobs import BlobStore
from ingest.catalogue import Catalogue, schema
from ingest.commit import Committer
from ingest.errors import Conflict, NotFound, Unavailable
from ingest.jobs import TERMINAL_STATES
from ingest.language import detect_language
from ingest.pipeline import IngestHandler
from retrieve import Indexes
from retrieve.analysis import analyse_query
from retrieve.storage import FileStore, IndexFolder
from tests.fakes import HashingEncoder
from tests.ingest.support import TextParser, upload

POINTS = {
    "before-commit": 5,
    "after-commit": 60,
    "blob-removed": 4,
    "index-told": 12,
    "index-published": 8,
    "claimed": 5,
    "index-file-stored": 30,
    "index-manifest-next": 6,
    "index-manifest-there": 6,
}
"""Where the service may kill itself, and how many times at most it passes there before."""
NAMES = [f"{number}.txt" for number in range(6)]
WORDS = ["ferry", "harbour", "winter", "fare", "dog", "bicycle", "island", "captain", "timetable", "battery"]


def settings(data_dir: Path) -> Settings:
    """Short leases, small chunks: much happens in little time."""
    return Settings(data_dir=data_dir, chunk_tokens=32, overlap_tokens=8, job_lease_s=2.0, index_checkpoint_s=0.05)


def load(name: str, revision: str | None) -> HashingEncoder:
    """The fake embedder."""
    return HashingEncoder(name, revision)


def main() -> None:
    """Lives, one after the other."""
    analyse_query("渡轮 ferry")  # reads its dictionary once for all of them
    detect_language("The last ferry leaves the harbour at nine.")
    for line in sys.stdin:
        data_dir, seed, point, passages = json.loads(line)
        pid = os.fork()
        if pid == 0:
            live(Path(data_dir), seed, point, passages)
        print(f"died {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}", flush=True)


def live(data_dir: Path, seed: int, point: str | None, passages: int) -> None:
    """Work until killed."""
    print(os.getpid(), flush=True)
    if point is not None:
        arm(point, passages)
    with open_service(settings(data_dir), parser=TextParser(), load=load) as service:
        print("serving", flush=True)
        work(service, random.Random(seed))  # noqa: S311 - chance, not secrets


def arm(point: str, passages: int) -> None:
    """Die at the last of so many passages of the point."""
    left, lock = [passages], threading.Lock()

    def pass_by() -> None:
        with lock:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    match point:
        case "before-commit":
            wrap(Committer, "commit", before=pass_by)
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
        case "index-file-stored":
            wrap(FileStore, "put", after=pass_by)
            wrap(FileStore, "hold", after=pass_by)
        case "index-manifest-next":
            wrap(IndexFolder, "publish", before=pass_by)
        case "index-manifest-there":
            wrap(IndexFolder, "publish", after=pass_by)


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
        deed = chance.choice(["upload", "upload", "upload", "mail", "corpus", "delete", "cancel", "bad"])
        if deed == "delete":
            victims = chance.sample([*NAMES, "m.eml", "m.eml/0.txt", *(f"line-{number}" for number in range(4))], 3)
            for document_id in victims:
                with contextlib.suppress(NotFound):
                    service.deletion.delete_documents(collection, [document_id], key_id=None)
        else:
            files = {name: text(chance) for name in chance.sample(NAMES, chance.randint(1, 3))}
            if deed == "corpus":
                lines = [{"id": f"line-{number}", "text": text(chance)} for number in range(4)]
                files = {"all.jsonl": "\n".join(json.dumps(line) for line in lines)}
            if deed == "mail":
                files["m.eml"] = mail(chance)
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
        while open_jobs(service) > 3:
            time.sleep(0.01)


def open_jobs(service: Service) -> int:
    """Jobs that have not ended."""
    query = select(func.count()).where(schema.jobs.c.state.not_in(TERMINAL_STATES))
    with service.catalogue.read() as connection:
        return int(connection.execute(query).scalar_one())


def mail(chance: random.Random) -> str:
    """A mail with up to three attachments."""
    message = EmailMessage()
    message["Subject"] = "Minutes"
    message.set_content(text(chance))
    for name in chance.sample(NAMES[:3], chance.randint(0, 3)):
        message.add_attachment(text(chance), filename=name)
    return message.as_string()


def text(chance: random.Random) -> str:
    """A few sentences; sometimes the same for two documents."""
    if chance.random() < 0.2:
        return "The same words for everybody. " * 3
    return " ".join(
        f"The {chance.choice(WORDS)} and the {chance.choice(WORDS)} number {chance.randint(0, 999)}."
        for _ in range(chance.randint(1, 12))
    )


if __name__ == "__main__":
    main()
