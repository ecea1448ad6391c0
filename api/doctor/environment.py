"""Checks of what citewell stands on: programs, disk, data directory, catalogue, devices and models."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import httpx2
from alembic.script import ScriptDirectory

from api.bootstrap import LoadEncoder
from api.doctor.diagnosis import Check, failed, ok, warning
from api.readers import load_reader
from api.settings import Settings
from ingest.catalogue import migrations
from ingest.errors import Unavailable
from ingest.models import CrossEncoderScorer
from ingest.owner import DataDirectory
from ingest.parsing.ocr import find_tesseract
from retrieve.settings import EMBEDDED_RERANKER

_LANGUAGES = {"eng": "tesseract-ocr-eng", "chi_sim": "tesseract-ocr-chi-sim", "osd": "tesseract-ocr-osd"}
_DISK_LOW_BYTES = 2 << 30
_DISK_FULL_BYTES = 200 << 20
_PING_S = 5.0
_ONE_FAISS = "pip uninstall faiss-cpu faiss-gpu, then install citewell[cpu] or citewell[gpu]"


def check_environment(settings: Settings, load: LoadEncoder) -> list[Check]:
    """The checks in the order in which a problem would show."""
    checks = [
        check_tesseract(),
        check_disk(settings.data_dir),
        check_directory(settings.data_dir),
        check_owner(settings.data_dir),
        check_catalogue(settings.data_dir),
        check_devices(),
        check_embedder(settings, load),
    ]
    if settings.reranker_model:
        checks.append(check_reranker(settings))
    return checks


def check_devices() -> Check:
    import faiss
    import torch

    builds = [name for name in ("faiss-cpu", "faiss-gpu") if _is_installed(name)]
    if len(builds) > 1:
        return failed("devices", "faiss-cpu and faiss-gpu are both installed, under one import name", _ONE_FAISS)
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device"
    gpus = faiss.get_num_gpus() if hasattr(faiss, "get_num_gpus") else 0
    return ok("devices", f"torch {torch.__version__}: {cuda}; faiss {faiss.__version__}: {gpus} GPUs")


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def check_tesseract() -> Check:
    program = find_tesseract()
    if program is None:
        return warning(
            "tesseract", "not installed: scanned pages have no text", "apt install tesseract-ocr tesseract-ocr-chi-sim"
        )
    listing = subprocess.run([program, "--list-langs"], capture_output=True, text=True, check=False)  # noqa: S603
    installed = set(listing.stdout.split())
    missing = [package for language, package in _LANGUAGES.items() if language not in installed]
    if missing:
        return warning("tesseract", "languages are missing", f"apt install {' '.join(missing)}")
    return ok("tesseract", f"{program} with {', '.join(_LANGUAGES)}")


def check_disk(folder: Path) -> Check:
    free = shutil.disk_usage(_existing(folder)).free
    detail = f"{free / (1 << 30):.1f} GiB free"
    if free < _DISK_FULL_BYTES:
        return failed("disk", detail, "free space: uploads are refused when the disk is full")
    if free < _DISK_LOW_BYTES:
        return warning("disk", detail, "free space soon: uploads are refused when the disk is full")
    return ok("disk", detail)


def check_directory(folder: Path) -> Check:
    place = _existing(folder)
    if not place.is_dir() or not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        return failed("data directory", f"{place} cannot be written", "change its owner, or name another --data-dir")
    return ok("data directory", f"{folder} is writable" if folder.exists() else f"{folder} will be created")


def check_owner(folder: Path) -> Check:
    """Whether a server runs on the data directory, and whether it is ready."""
    url = DataDirectory(folder).owner_url()
    if url is None:
        return ok("server", "none runs on this data directory")
    try:
        response = httpx2.get(f"{url}/readyz", timeout=_PING_S)
    except httpx2.TransportError as failure:
        return failed("server", f"{url} does not answer: {failure}", "look into its log; restart it")
    if response.is_success:
        return ok("server", f"ready at {url}")
    return warning("server", f"{url} is not ready: {response.text[:200]}", "wait; if it stays so, look into its log")


def check_catalogue(folder: Path) -> Check:
    """Whether the catalogue's file is sound and its tables are those of this release. Changes nothing."""
    path = folder / "catalogue.sqlite"
    if not path.exists():
        return ok("catalogue", "not created yet")
    try:
        damage, level = _read_catalogue(path)
    except sqlite3.Error as failure:
        return failed("catalogue", f"cannot be read: {failure}", "restore the data directory from a backup")
    if damage != "ok":
        return failed("catalogue", f"the file is damaged: {damage[:200]}", "restore the data directory from a backup")
    newest = ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head()
    if level == newest:
        return ok("catalogue", f"sound, at migration {level}")
    known = {script.revision for script in ScriptDirectory(str(Path(migrations.__file__).parent)).walk_revisions()}
    if level in known or level is None:
        return warning("catalogue", f"at migration {level}, not {newest}", "start the service: it migrates at start")
    return failed(
        "catalogue", f"at migration {level}, which this release does not know", "install the newer release again"
    )


def check_embedder(settings: Settings, load: LoadEncoder) -> Check:
    def embed() -> str:
        encoder = load(settings.embedding_model, settings.embedding_revision)
        vector = encoder.encode(["ready", "就绪"], "query", fast=False)
        return f"{encoder.name} gives {vector.shape[1]} dimensions"

    return _check_model("embedding model", embed)


def check_reranker(settings: Settings) -> Check:
    def score() -> str:
        if settings.reranker_model == EMBEDDED_RERANKER:
            reader = load_reader(settings)(None)
            return f"{reader.name} of revision {reader.revision}"
        CrossEncoderScorer(settings.reranker_model, device=settings.device)
        return settings.reranker_model

    return _check_model("reranker", score)


def _check_model(name: str, use: Callable[[], str]) -> Check:
    try:
        return ok(name, use())
    except Unavailable as failure:
        return failed(name, failure.message, "name an installed model, or let the host reach the model hub once")


def _read_catalogue(path: Path) -> tuple[str, str | None]:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
    try:
        (damage,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        table = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if table else None
        return str(damage), str(row[0]) if row else None
    finally:
        connection.close()


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
