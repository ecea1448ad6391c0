from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingest.errors import ExtractionFailed, Unavailable
from ingest.parsing import ParseLimits, ParserPool, SourceFile, pool
from ingest.parsing.media_types import DOCX, EPUB, HTML, PLAIN
from tests.ingest.parsing.hostile_worker import HOSTILE
from tests.ingest.parsing.samples import make_docx, make_epub, paragraph, relationships

Order = Callable[[str], SourceFile]
COMMAND = (sys.executable, "-m", "tests.ingest.parsing.hostile_worker")
LIMITS = ParseLimits(timeout_s=30, memory_bytes=1 << 30)


@pytest.fixture
def hostile_pool() -> Iterator[ParserPool]:
    """A pool of one worker that has the hostile parser."""
    with ParserPool(1, LIMITS, command=COMMAND) as hostile:
        yield hostile


@pytest.fixture
def order(tmp_path: Path) -> Order:
    """Makes a file that orders a deed."""

    def make(deed: str) -> SourceFile:
        path = tmp_path / f"{abs(hash(deed))}"
        path.write_text(deed)
        return SourceFile(path, "evil.pdf", HOSTILE)

    return make


def is_running(pid: int) -> bool:
    """The process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pids: list[int]) -> None:
    """All processes have ended within five seconds."""
    deadline = time.monotonic() + 5
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not [pid for pid in pids if is_running(pid)]


def pids_in(path: Path) -> list[int]:
    """Process ids that a hanging parser wrote down, as soon as it did."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            if len(pids := [int(word) for word in path.read_text().split()]) == 2:
                return pids
        time.sleep(0.02)
    raise AssertionError("the parser did not start")


def test_one_worker_serves_many_documents(hostile_pool: ParserPool, order: Order) -> None:
    """It is kept as long as it behaves, also after a document that failed cleanly."""
    first = hostile_pool.parse(order("pid")).text
    with pytest.raises(ExtractionFailed):
        hostile_pool.parse(order("raise"))
    assert hostile_pool.parse(order("pid")).text == first


def test_a_late_parser_is_killed_with_its_children(hostile_pool: ParserPool, order: Order, tmp_path: Path) -> None:
    """The document fails with `parser_timeout`; the next one gets a fresh worker."""
    before = hostile_pool.parse(order("pid")).text
    with pytest.raises(ExtractionFailed, match=r"within 1 seconds") as failed:
        hostile_pool.parse(order(f"hang {tmp_path}/pids"), ParseLimits(timeout_s=1))
    assert failed.value.code == "parser_timeout"
    wait_until_gone(pids_in(tmp_path / "pids"))
    assert hostile_pool.parse(order("pid")).text != before


def test_what_was_given_up_is_killed_and_nothing_else(order: Order, tmp_path: Path) -> None:
    """One document at work and one that waits for its turn; the worker of a third stays."""
    given_up = threading.Event()
    with ParserPool(2, LIMITS, command=COMMAND) as pool, ThreadPoolExecutor(3) as executor:
        hung, kept = (
            executor.submit(pool.parse, order(f"hang {tmp_path}/{name}"), given_up=event)
            for name, event in (("hung", given_up), ("kept", threading.Event()))
        )
        hung_pids, kept_pids = pids_in(tmp_path / "hung"), pids_in(tmp_path / "kept")
        waiting = executor.submit(pool.parse, order("pid"), given_up=given_up)
        given_up.set()
        for stopped in (hung, waiting):
            with pytest.raises(Unavailable, match="nobody waits"):
                stopped.result(20)
        wait_until_gone(hung_pids)
        assert all(map(is_running, kept_pids))
        assert pool.parse(order("pid"), given_up=threading.Event()).text not in map(str, hung_pids)
        pool.close()
        with pytest.raises(ExtractionFailed):
            kept.result(20)


@pytest.mark.parametrize(
    ("deed", "code", "message"),
    [
        ("crash", "parser_crashed", "signal 11"),
        ("exit", "parser_crashed", "exit status 3"),
        ("garble", "parser_crashed", "garbled"),
        ("hog 2000000000", "too_large", "1,024 MiB of memory"),
        ("raise", "broken_document", "ZeroDivisionError"),
        ("large 100", "parser_crashed", "garbled"),
    ],
)
def test_what_a_parser_does_costs_its_document_only(
    hostile_pool: ParserPool, order: Order, deed: str, code: str, message: str
) -> None:
    """Each ends in its own error, and the next document is read."""
    with pytest.raises(ExtractionFailed, match=message) as failed:
        hostile_pool.parse(order(deed), ParseLimits(timeout_s=30, memory_bytes=1 << 30, text_chars_max=50))
    assert failed.value.code == code
    assert "private detail" not in failed.value.message
    assert hostile_pool.parse(order("pid")).text


def test_what_libraries_print_does_not_reach_the_answers(hostile_pool: ParserPool, order: Order) -> None:
    """Neither through Python nor through descriptor 1."""
    assert hostile_pool.parse(order("print")).parser == "hostile"


def test_an_answer_larger_than_a_pipe_arrives(hostile_pool: ParserPool, order: Order) -> None:
    """Ten million characters."""
    assert len(hostile_pool.parse(order("large 10000000")).text) == 10_000_000


def test_workers_do_not_inherit_secrets(
    hostile_pool: ParserPool, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what parsers need is in their environment."""
    monkeypatch.setenv("CITEWELL_SECRET", "do-not-leak")
    text = hostile_pool.parse(order("environment")).text
    assert "do-not-leak" not in text
    assert {"OMP_THREAD_LIMIT=1", "ORT_DISABLE_TELEMETRY=1", "HF_HUB_OFFLINE=1"} <= set(text.split("\n"))


@pytest.mark.parametrize("noticed", [True, False])
def test_a_worker_that_died_while_idle_is_replaced(
    hostile_pool: ParserPool, order: Order, monkeypatch: pytest.MonkeyPatch, noticed: bool
) -> None:
    """The document that would have got it does not suffer, even if the death shows only when it is sent."""
    pid = int(hostile_pool.parse(order("pid")).text)
    if not noticed:
        monkeypatch.setattr(pool._Worker, "is_alive", lambda worker: True)
    os.kill(pid, signal.SIGKILL)
    wait_until_gone([pid])
    assert int(hostile_pool.parse(order("pid")).text) != pid


def test_a_worker_is_replaced_after_its_share(
    hostile_pool: ParserPool, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leaks of libraries stay small."""
    monkeypatch.setattr(pool, "DOCUMENTS_PER_WORKER", 2)
    pids = [hostile_pool.parse(order("pid")).text for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_a_worker_outlives_the_thread_that_asked_first(hostile_pool: ParserPool, order: Order) -> None:
    """The kernel ties it to the thread that started it, which must be a lasting one."""
    pids: list[str] = []
    for _ in range(2):
        thread = threading.Thread(target=lambda: pids.append(hostile_pool.parse(order("pid")).text))
        thread.start()
        thread.join()
        time.sleep(0.1)
    assert pids[0] == pids[1]


def test_threads_share_the_workers(order: Order) -> None:
    """Sixteen calls on two workers all get their own answer."""
    with ParserPool(2, LIMITS, command=COMMAND) as shared, ThreadPoolExecutor(16) as threads:
        orders = [order(f"large {n}") for n in range(1, 17)]
        lengths = [len(document.text) for document in threads.map(shared.parse, orders)]
    assert lengths == list(range(1, 17))


def test_closing_ends_work_in_progress(order: Order, tmp_path: Path) -> None:
    """Nobody waits for a document after the service has stopped."""
    hostile = ParserPool(1, LIMITS, command=COMMAND)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(hostile.parse, order(f"hang {tmp_path}/pids"))
        pids = pids_in(tmp_path / "pids")
        hostile.close()
        with pytest.raises(ExtractionFailed) as failed:
            running.result(timeout=10)
    assert failed.value.code == "parser_crashed"
    wait_until_gone(pids)
    with pytest.raises(Unavailable):
        hostile.parse(order("pid"))
    hostile.close()


def test_a_worker_that_cannot_start_is_named(order: Order) -> None:
    """A wrong installation is no fault of the document."""
    with (
        ParserPool(1, LIMITS, command=("/bin/false",)) as hostile,
        pytest.raises(Unavailable, match="started"),
    ):
        hostile.parse(order("pid"))


@pytest.mark.parametrize("busy", [True, False])
def test_workers_die_with_the_service(tmp_path: Path, busy: bool) -> None:
    """Even when it is killed without a chance to say goodbye, working or idle."""
    script = f"""
import sys, time
from pathlib import Path
from ingest.parsing import ParserPool, SourceFile
from tests.ingest.parsing.hostile_worker import HOSTILE
pool = ParserPool(1, command={COMMAND!r})
source = Path({str(tmp_path / "order")!r})
source.write_text("pid")
pid = pool.parse(SourceFile(source, "f", HOSTILE)).text
print(pid, flush=True)
if {busy}:
    source.write_text("hang " + {str(tmp_path / "pids")!r})
    pool.parse(SourceFile(source, "f", HOSTILE))
time.sleep(600)
"""
    service = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
    assert service.stdout is not None
    pid = int(service.stdout.readline())
    if busy:
        pids_in(tmp_path / "pids")
    service.kill()
    service.wait()
    service.stdout.close()
    wait_until_gone([pid])
    if busy:  # `sleep` stands for a foreign program; tesseract asks the kernel to die with its worker
        os.kill(pids_in(tmp_path / "pids")[1], signal.SIGKILL)


def test_real_workers_read_real_documents(pool: ParserPool, tmp_path: Path) -> None:
    """The default command, without the hostile parser."""
    path = tmp_path / "x"
    path.write_bytes(make_docx(paragraph("R&amp;D")))
    assert pool.parse(SourceFile(path, "x.docx", DOCX)).text == "R&D"
    with pytest.raises(ExtractionFailed) as failed:
        pool.parse(SourceFile(path, "x.pdf", HOSTILE))
    assert failed.value.code == "unsupported_media_type"
    with pytest.raises(ExtractionFailed, match="FileNotFoundError"):
        pool.parse(SourceFile(tmp_path / "gone", "gone.txt", PLAIN))


def test_nothing_is_fetched(pool: ParserPool, tmp_path: Path) -> None:
    """Pictures, style sheets, templates and entities that point elsewhere stay unread."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        markup = f'<link rel=stylesheet href="{address}/a"><img src="{address}/b">text'
        markup += f'<iframe src="{address}/c"></iframe>'
        dtd = f'<!DOCTYPE html SYSTEM "{address}/d.dtd" [<!ENTITY x SYSTEM "{address}/e">]>'
        template = relationships(("attachedTemplate", f"{address}/t.dotm"))
        files = {
            HTML: f"{dtd}{markup}&x;".encode(),
            DOCX: make_docx(paragraph("text"), {"word/_rels/settings.xml.rels": template}),
            EPUB: make_epub(f'<p>text</p><img src="{address}/f"/>'),
        }
        for media_type, data in files.items():
            (tmp_path / "x").write_bytes(data)
            assert "text" in pool.parse(SourceFile(tmp_path / "x", "x", media_type)).text
        server.settimeout(0.3)
        with pytest.raises(TimeoutError):
            server.accept()
