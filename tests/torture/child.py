"""Services that are going to be killed: `python -m tests.torture.child`, one life a line of standard input.

A line is `[data_dir, seed, point, passages, over_http]`. Each life is a fork of this process, which has imported
everything: it prints its process id, then `serving`, and does deeds at random (or serves those who do) until it dies:
from outside by SIGKILL, or by its own hand when it passes `point` so many times. Then its exit status is printed.
Points are wrapped around the service's parts here; the service knows nothing of them.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from api.bootstrap import Service, open_service
from api.server import bind, server_on
from api.settings import Settings
from ingest.blobs import BlobStore
from ingest.catalogue import Catalogue
from ingest.commit import Committer
from ingest.history import HistoryHandler
from ingest.language import detect_language
from ingest.pipeline import IngestHandler
from ingest.reindexing import GenerationBuilder
from retrieve import Indexes, ReindexHandler
from retrieve.analysis import analyse_query
from retrieve.storage import FileStore, IndexFolder
from tests.fakes import HashingEncoder
from tests.ingest.support import TextParser
from tests.torture.deeds import JOURNAL, Journal, work

POINTS = {
    "blob-stored": 12,
    "before-commit": 5,
    "after-commit": 60,
    "blob-removed": 4,
    "index-told": 12,
    "index-published": 8,
    "claimed": 5,
    "history-expired": 2,
    "index-file-stored": 30,
    "index-manifest-next": 6,
    "index-manifest-there": 6,
    "generation-built-some": 6,
    "generation-indexed": 3,
    "generation-swapping": 2,
    "generation-swapped": 2,
    "generation-pruned": 2,
}
"""Where the service may kill itself, and how many times at most it passes there before."""


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
        data_dir, seed, point, passages, over_http = json.loads(line)
        pid = os.fork()
        if pid == 0:
            live(Path(data_dir), seed, point, passages, over_http=over_http)
        print(f"died {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}", flush=True)


def live(data_dir: Path, seed: int, point: str | None, passages: int, *, over_http: bool) -> None:
    """Work until killed, or serve those who do."""
    print(os.getpid(), flush=True)
    if point is not None:
        arm(point, passages)
    with open_service(settings(data_dir), parser=TextParser(), load=load) as service:
        if over_http:
            serve(service)
        print("serving", flush=True)
        work(service, random.Random(seed), Journal(data_dir.parent / JOURNAL))  # noqa: S311 - chance, not secrets


def serve(service: Service) -> None:
    """A server on a free port, as `citewell serve` runs it; where, stands in the data directory."""
    with bind("127.0.0.1", 0) as listener:
        server, _ = server_on(service, listener)
        print("serving", flush=True)
        server.run(sockets=[listener])


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
        case "blob-stored":
            wrap(BlobStore, "put", after=pass_by)
        case "history-expired":
            wrap(HistoryHandler, "_expire_some", after=pass_by)
        case "index-file-stored":
            wrap(FileStore, "put", after=pass_by)
            wrap(FileStore, "hold", after=pass_by)
        case "index-manifest-next":
            wrap(IndexFolder, "publish", before=pass_by)
        case "index-manifest-there":
            wrap(IndexFolder, "publish", after=pass_by)
        case "generation-built-some":
            wrap(GenerationBuilder, "_build_some", after=pass_by)
        case "generation-indexed":
            wrap(Indexes, "advance", after=pass_by)
        case "generation-swapping":
            wrap(ReindexHandler, "_swap", before=pass_by)
        case "generation-swapped":
            wrap(ReindexHandler, "_swap", after=pass_by)
        case "generation-pruned":
            wrap(ReindexHandler, "_discard", after=pass_by)


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


if __name__ == "__main__":
    main()
