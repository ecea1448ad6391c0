"""What is done to a service while it lives: deeds at random, and a journal of what was begun and what was promised."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import time
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from pathlib import Path

from sqlalchemy import func, select

from api.bootstrap import Service
from ingest.catalogue import schema
from ingest.collections import CollectionSettings
from ingest.errors import Conflict, NotFound, Unavailable
from ingest.history import HistoryKeeper
from ingest.jobs import TERMINAL_STATES
from tests.ingest.support import upload

JOURNAL = "journal.jsonl"
NAMES = [f"{number}.txt" for number in range(6)]
WORDS = ["ferry", "harbour", "winter", "fare", "dog", "bicycle", "island", "captain", "timetable", "battery"]
_DEEDS = ["upload", "upload", "upload", "mail", "corpus", "delete", "cancel", "bad", "expire", "retry", "reindex"]
_OPEN_JOBS = 3


class Journal:
    """A line is `[deed, "begun" | "done", {document id: SHA-256 or null}]`; a kill of the process takes none away.

    Deeds are `upload`, `cancel` (of an upload) and `delete`, of the documents in `NAMES`: attachments and the lines of
    a corpus are recorded later than they are promised.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def noting(self, deed: str, documents: Mapping[str, str | None]) -> Iterator[None]:
        """Note the beginning, and the end unless the block fails."""
        self._write(deed, "begun", documents)
        yield
        self._write(deed, "done", documents)

    def _write(self, deed: str, moment: str, documents: Mapping[str, str | None]) -> None:
        with self._path.open("ab") as file:
            file.write(json.dumps([deed, moment, dict(documents)]).encode() + b"\n")


def work(service: Service, chance: random.Random, journal: Journal) -> None:
    """One deed after the other, without waiting for what was begun."""
    keeper = HistoryKeeper(service.catalogue, service.runner, retention_days=0)
    job_id: str | None = None
    while True:
        deed = chance.choice(_DEEDS)
        if deed == "delete":
            delete(service, chance, journal)
        elif deed == "reindex":
            reindex(service, chance)
        elif deed == "expire":
            keeper.queue_due()
        elif deed == "retry":
            with contextlib.suppress(Conflict, NotFound):
                service.jobs.retry(job_id or "none yet")
        else:
            job_id = send(service, chance, journal, deed) or job_id
        service.runner.notify()
        while open_jobs(service) > _OPEN_JOBS:
            time.sleep(0.01)


def delete(service: Service, chance: random.Random, journal: Journal) -> None:
    """Delete some of the documents that may be there, one by one."""
    collection = service.collections.get("default")
    victims = chance.sample([*NAMES, "m.eml", "m.eml/0.txt", *(f"line-{number}" for number in range(4))], 3)
    for document_id in victims:
        noted = {document_id: None} if document_id in NAMES else {}
        with contextlib.suppress(NotFound), journal.noting("delete", noted):
            service.deletion.delete_documents(collection, [document_id], key_id=None)


def reindex(service: Service, chance: random.Random) -> None:
    """Another chunking, or back to the generation before, if none is on its way already."""
    collection = service.collections.get("default")
    retired = [one for one in service.generations.list(collection) if one.state == "retired"]
    with contextlib.suppress(Conflict):
        if retired and chance.random() < 0.3:
            service.generations.activate(collection, retired[-1].generation)
        else:
            wanted = CollectionSettings(chunk_tokens=chance.choice([24, 32, 48]))
            service.reindex_collection(collection, wanted, gate=None, key_id=None)


def send(service: Service, chance: random.Random, journal: Journal, deed: str) -> str | None:
    """Upload files, with a mail or one that is broken, or a corpus; perhaps cancel. Returns the job's id."""
    collection = service.collections.get("default")
    files = {name: text(chance) for name in chance.sample(NAMES, chance.randint(1, 3))}
    noted = {name: hashlib.sha256(content.encode()).hexdigest() for name, content in files.items()}
    if deed == "corpus":
        lines = [{"id": f"line-{number}", "text": text(chance)} for number in range(4)]
        files, noted = {"all.jsonl": "\n".join(json.dumps(line) for line in lines)}, {}
    if deed == "mail":
        files["m.eml"] = mail(chance)
    if deed == "bad":
        files["bad.txt"] = f"BROKEN {chance.random()}"
    try:
        with journal.noting("upload", noted):
            uploads = [upload(service, name, content.encode()) for name, content in files.items()]
            submission = service.documents.submit(collection, uploads, key_id=None)
    except Unavailable:  # a purge of the same bytes came between
        return None
    if deed == "cancel":
        with contextlib.suppress(Conflict), journal.noting("cancel", noted):
            service.jobs.cancel(submission.job_id)
    return submission.job_id


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
