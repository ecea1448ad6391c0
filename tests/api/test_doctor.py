"""The doctor on a healthy data directory and on deliberately damaged ones."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from api.app import create_app
from api.bootstrap import open_service
from api.cli.in_process import InProcessTransport
from api.client import Client, UploadFile
from api.doctor import environment, installation
from api.doctor.diagnosis import Check, Diagnosis
from api.doctor.examination import examine
from api.settings import Settings
from ingest.blobs import BlobStore
from ingest.errors import Conflict, NotFound, Unavailable
from ingest.models import Encoder
from ingest.owner import DataDirectory
from tests.api.live import HARBOUR, SHIPS
from tests.fakes import HashingEncoder

Damage = Callable[[Path, sqlite3.Connection], object]
DEEP = {
    "texts", "chunks", "vectors", "strays", "originals", "checksums", "stray originals", "states", "index of default",
}  # fmt: skip


def load(name: str, revision: str | None) -> Encoder:
    return HashingEncoder(name, revision)


@contextmanager
def at_work(settings: Settings) -> Iterator[Client]:
    """The service on this data directory, until the block ends."""
    with (
        open_service(settings, load=load) as service,
        InProcessTransport(create_app(service)) as transport,
        Client(transport=transport) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with two documents, with nobody at work on it."""
    folder = tmp_path_factory.mktemp("template")
    with at_work(Settings(data_dir=folder / "data", chunk_tokens=60, overlap_tokens=12)) as client:
        for name, text in (("ships.txt", SHIPS), ("harbour.txt", HARBOUR)):
            (folder / name).write_text(text)
            submission = client.upload([UploadFile(folder / name, name)])
            assert client.wait_for_job(submission["job_id"])["state"] == "succeeded"
    return folder / "data"


@pytest.fixture
def data_dir(settings: Settings, template: Path) -> Path:
    """A copy of it to damage."""
    return shutil.copytree(template, settings.data_dir)


def damage(data_dir: Path, how: Damage) -> None:
    """Change the catalogue behind its back."""
    connection = sqlite3.connect(data_dir / "catalogue.sqlite")
    how(data_dir, connection)
    connection.commit()
    connection.close()


def wrong(diagnosis: Diagnosis) -> dict[str, str]:
    """Checks that are not in order, with their state."""
    return {check.name: check.state for check in diagnosis.checks if check.state != "ok" and check.name in DEEP}


def blob(data_dir: Path) -> Path:
    """One of the two originals."""
    store = BlobStore(data_dir / "blobs")
    return store.path(sorted(store)[0])


def test_a_healthy_directory_passes_every_check(settings: Settings, data_dir: Path) -> None:
    """All deep checks are made, and all are in order."""
    diagnosis = examine(settings, deep=True, load=load)
    assert wrong(diagnosis) == {}
    assert {check.name for check in diagnosis.checks} >= DEEP
    assert not diagnosis.failed


def test_without_deep_only_the_environment_is_checked(settings: Settings) -> None:
    """Also where there is no data directory yet, and it is not created."""
    diagnosis = examine(settings, load=load)
    assert {check.name: check.state for check in diagnosis.checks}["catalogue"] == "ok"
    assert not settings.data_dir.exists()
    with pytest.raises(NotFound):
        examine(settings, deep=True, load=load)


def unscaled(data_dir: Path, catalogue: sqlite3.Connection) -> None:
    vector = np.full(64, 2, dtype="<f4").tobytes()
    catalogue.execute("UPDATE chunk_vectors SET vector = ? WHERE chunk_pk = 1", (vector,))


def spoil_stored_index(data_dir: Path, _: sqlite3.Connection) -> None:
    """A bad block in a file of the stored index."""
    (file, *_) = (data_dir / "indexes").glob("*/files/*.flat")
    file.write_bytes(file.read_bytes()[:-1] + b"?")


def exchange_a_chunk(_: Path, catalogue: sqlite3.Connection) -> None:
    """As many chunks as before, one of them another than that in the index."""
    catalogue.execute("UPDATE chunks SET pk = 77 WHERE pk = 1")
    catalogue.execute("UPDATE chunk_vectors SET chunk_pk = 77 WHERE chunk_pk = 1")


MENDABLE: dict[str, tuple[Damage, set[str]]] = {
    "a stored index has a bad block": (spoil_stored_index, {"index of default"}),
    "an index holds another chunk": (exchange_a_chunk, {"index of default"}),
    "a vector is gone": (
        lambda _, catalogue: catalogue.execute("DELETE FROM chunk_vectors WHERE chunk_pk = 1"),
        {"vectors", "index of default"},
    ),
    "a vector is too short": (
        lambda _, catalogue: catalogue.execute("UPDATE chunk_vectors SET vector = x'00000000' WHERE chunk_pk = 1"),
        {"vectors", "index of default"},
    ),
    "a vector is not of length 1": (unscaled, {"vectors", "index of default"}),
    "a chunk has no version": (
        lambda _, catalogue: catalogue.execute(
            "INSERT INTO chunks (version_pk, generation_pk, ordinal, char_start, char_end, tokens, text)"
            " VALUES (99, 1, 0, 0, 1, 1, 'x')"
        ),
        {"strays", "vectors"},
    ),
    "a vector has no chunk": (
        lambda _, catalogue: catalogue.execute("INSERT INTO chunk_vectors VALUES (99, x'00')"),
        {"strays"},
    ),
    "an original belongs to nobody": (
        lambda data_dir, _: BlobStore(data_dir / "blobs").put(BytesIO(b"stray"), max_bytes=10),
        {"stray originals"},
    ),
    "a document is called indexing for ever": (
        lambda _, catalogue: catalogue.execute("UPDATE documents SET status = 'indexing' WHERE pk = 1"),
        {"states"},
    ),
    "a document waits without a version": (
        lambda _, catalogue: catalogue.execute(
            "UPDATE documents SET status = 'queued', live_version_pk = NULL WHERE pk = 1"
        ),
        {"states", "index of default"},
    ),
}


@pytest.mark.parametrize("name", MENDABLE)
def test_damage_is_found_and_mended(settings: Settings, data_dir: Path, name: str) -> None:
    """The checks that must fail do, and only those; after the repair all pass."""
    how, expected = MENDABLE[name]
    damage(data_dir, how)
    assert set(wrong(examine(settings, deep=True, load=load))) == expected
    mended = examine(settings, deep=True, repair=True, load=load)
    assert wrong(mended) == {}
    assert 1 <= len(mended.repaired) <= len(expected)


def test_embedding_again_gives_the_vector_back(settings: Settings, data_dir: Path) -> None:
    """The same as before the damage, because it is of the same text."""

    def vector() -> bytes:
        connection = sqlite3.connect(data_dir / "catalogue.sqlite")
        (stored,) = connection.execute("SELECT vector FROM chunk_vectors WHERE chunk_pk = 1").fetchone()
        connection.close()
        return bytes(stored)

    before = vector()
    damage(data_dir, unscaled)
    examine(settings, deep=True, repair=True, load=load)
    assert np.allclose(np.frombuffer(vector(), "<f4"), np.frombuffer(before, "<f4"))


def abandon(_: Path, catalogue: sqlite3.Connection) -> None:
    """As a crash would if it could: the version is pending, and no job knows of it."""
    catalogue.execute("DELETE FROM chunks WHERE version_pk = 1")
    catalogue.execute("DELETE FROM version_texts WHERE version_pk = 1")
    catalogue.execute("UPDATE versions SET state = 'pending' WHERE pk = 1")
    catalogue.execute("UPDATE documents SET status = 'queued', live_version_pk = NULL WHERE pk = 1")


def test_an_abandoned_document_is_ingested_after_the_repair(settings: Settings, data_dir: Path) -> None:
    """It is put into the queue, and the service, once started, works it off."""
    damage(data_dir, abandon)
    assert "states" in wrong(examine(settings, deep=True, load=load))
    assert wrong(examine(settings, deep=True, repair=True, load=load)) == {}
    connection = sqlite3.connect(data_dir / "catalogue.sqlite")
    (job_id,) = connection.execute("SELECT job_id FROM jobs ORDER BY pk DESC LIMIT 1").fetchone()
    connection.close()
    with at_work(settings) as client:
        assert client.wait_for_job(job_id, timeout_s=30)["state"] == "succeeded"
        assert client.document("ships.txt")["status"] == "ready"


def stop_purge(_: Path, catalogue: sqlite3.Connection) -> None:
    """A deletion whose job ended without having done its work."""
    catalogue.execute("UPDATE documents SET tombstoned_at = '2025', receipt_id = 'rcpt_1' WHERE pk = 1")
    catalogue.execute("INSERT INTO receipts VALUES ('rcpt_1', 'default', 'tombstoned', 1, '{}', '2025', NULL)")
    catalogue.execute(
        "INSERT INTO jobs (job_id, kind, collection_pk, state, done, total, failed, payload, attempts,"
        " cancel_requested, created_at, updated_at) VALUES ('job_p', 'purge', 1, 'failed', 0, 1, 0,"
        """ '{"receipt_id": "rcpt_1", "drop_collection": false}', 5, 0, '2025', '2025')"""
    )


def test_an_incomplete_deletion_is_completed_after_the_repair(settings: Settings, data_dir: Path) -> None:
    """The purge runs again at the next start."""
    damage(data_dir, stop_purge)
    assert set(wrong(examine(settings, deep=True, load=load))) == {"states"}
    assert wrong(examine(settings, deep=True, repair=True, load=load)) == {}
    with at_work(settings) as client:
        assert client.wait_for_receipt("rcpt_1", timeout_s=30)["removed"]["versions"] == 1
    assert wrong(examine(settings, deep=True, load=load)) == {}


BEYOND_REPAIR: dict[str, tuple[Damage, set[str]]] = {
    "a text is gone": (
        lambda _, catalogue: catalogue.execute("DELETE FROM version_texts WHERE version_pk = 1"),
        {"texts"},
    ),
    "a text was changed": (
        lambda _, catalogue: catalogue.execute("UPDATE version_texts SET text = 'x' || text WHERE version_pk = 1"),
        {"chunks"},
    ),
    "the chunks are gone": (
        lambda _, catalogue: catalogue.executescript(
            "DELETE FROM chunk_vectors WHERE chunk_pk = 1; DELETE FROM chunks WHERE version_pk = 1"
        ),
        {"chunks"},
    ),
    "an original is gone": (lambda data_dir, _: blob(data_dir).unlink(), {"originals"}),
    "an original was changed": (lambda data_dir, _: blob(data_dir).write_text("changed"), {"checksums"}),
}


@pytest.mark.parametrize("name", BEYOND_REPAIR)
def test_what_cannot_be_mended_is_told_with_what_to_do(settings: Settings, data_dir: Path, name: str) -> None:
    """A repair only brings the index in step, and says what a person can do."""
    how, expected = BEYOND_REPAIR[name]
    damage(data_dir, how)
    diagnosis = examine(settings, deep=True, repair=True, load=load)
    assert set(wrong(diagnosis)) == expected
    assert set(diagnosis.repaired) <= {"1 indexes built again from the catalogue"}
    assert diagnosis.failed
    assert all(check.repair for check in diagnosis.checks if check.name in expected)


def test_a_deep_check_runs_beside_a_server_and_a_repair_does_not(settings: Settings, data_dir: Path) -> None:
    """An original of the last hour may then be an upload under way."""
    damage(data_dir, MENDABLE["an original belongs to nobody"][0])
    with DataDirectory(data_dir).own():
        assert wrong(examine(settings, deep=True, load=load)) == {}
        with pytest.raises(Conflict, match="in use"):
            examine(settings, deep=True, repair=True, load=load)


def test_a_catalogue_that_cannot_be_read_is_not_examined(settings: Settings, data_dir: Path) -> None:
    """No traceback, no change, and advice."""
    (data_dir / "catalogue.sqlite").write_bytes(b"this is no database" * 500)
    diagnosis = examine(settings, deep=True, load=load)
    told = {check.name: check for check in diagnosis.checks}
    assert (told["catalogue"].state, told["contents"].state) == ("failed", "failed")
    assert "backup" in told["contents"].repair


@pytest.mark.parametrize(("level", "state"), [("9999", "failed"), (None, "warning")])
def test_the_catalogue_must_be_of_this_release(settings: Settings, data_dir: Path, level: str, state: str) -> None:
    """A newer one is refused, an older one is migrated by starting the service; neither is examined."""
    damage(
        data_dir, lambda _, catalogue: catalogue.execute("UPDATE alembic_version SET version_num = ?", (level or "",))
    )
    if level is None:
        damage(data_dir, lambda _, catalogue: catalogue.execute("DELETE FROM alembic_version"))
    told = {check.name: check.state for check in examine(settings, deep=True, load=load).checks}
    assert (told["catalogue"], told["contents"]) == (state, "failed")


def test_the_running_server_is_asked_whether_it_is_ready(settings: Settings, url: str) -> None:
    """The check gives its address."""
    check = environment.check_owner(settings.data_dir)
    assert (check.state, url in check.detail) == ("ok", True)


def test_a_model_that_cannot_be_loaded_fails(settings: Settings) -> None:
    """With the reason, as any other check."""

    def missing(name: str, revision: str | None) -> Encoder:
        raise Unavailable(f"no {name}")

    check = environment.check_embedder(settings, missing)
    assert (check.state, check.detail) == ("failed", f"no {settings.embedding_model}")


@pytest.mark.parametrize(
    ("free", "state"), [(10 << 30, "ok"), (1 << 30, "warning"), (1 << 20, "failed")], ids=["ok", "low", "full"]
)
def test_disk_space_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    """Of the disk that holds, or will hold, the data directory."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": free}))
    assert environment.check_disk(tmp_path / "not" / "there").state == state


def test_a_directory_that_is_a_file_cannot_be_written(tmp_path: Path) -> None:
    """It says which."""
    (tmp_path / "file").touch()
    assert environment.check_directory(tmp_path / "file" / "data").state == "failed"
    assert environment.check_directory(tmp_path / "new").state == "ok"


def test_missing_packages_are_named() -> None:
    """All of them, with what to install."""
    check = installation.check_packages("json no_such_package another_missing_one")
    assert check == Check(
        "packages", "failed", "missing: no_such_package, another_missing_one", "pip install '.[cpu]' (or '.[gpu]')"
    )


def test_an_old_python_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """3.11 is the oldest."""
    monkeypatch.setattr(sys, "version_info", (3, 10, 1))
    assert installation.check_python().state == "failed"


@pytest.mark.parametrize(("path", "state"), [("", "warning"), (None, "ok")])
def test_tesseract_is_wished_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str | None, state: str) -> None:
    """Without it, or without its languages, scanned pages have no text; that is a warning."""
    if path is None:
        program = tmp_path / "tesseract"
        program.write_text("#!/bin/sh\nprintf 'List of available languages (3):\\nchi_sim\\neng\\nosd\\n'\n")
        program.chmod(0o755)
        path = str(tmp_path)
    monkeypatch.setenv("PATH", path)
    assert environment.check_tesseract().state == state


def test_two_builds_of_faiss_in_one_environment_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip lets one overwrite files of the other; with either of them alone the devices are named."""
    assert environment.check_devices().state == "ok"
    monkeypatch.setattr(environment.metadata, "distribution", lambda _name: object())
    check = environment.check_devices()
    assert check.state == "failed"
    assert "both installed" in check.detail
