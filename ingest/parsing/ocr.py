"""Recognises the text of one rendered page with the Tesseract program, where it is installed.

Knows no PDF: it takes grey pixels. Nothing is written to disk.
"""

from __future__ import annotations

import ctypes
import functools
import os
import resource
import shutil
import signal
import subprocess
from dataclasses import dataclass

from ingest.parsing.cjk import close_gaps

DPI = 300
PAGE_PROCESSOR_S = 90
"""Of processor time: a page of noise can keep Tesseract busy for minutes; an honest one takes 15 s at most. By the
clock it may take long on a busy machine, and must not be left out for that.
"""
_PAGE_TIMEOUT_S = 600.0
OCR_QUALITY = 0.7
"""Quality given to recognised text: readable, with wrong characters here and there."""

_PREFERRED_LANGUAGES = ("eng", "chi_sim")
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)  # loaded before the fork, where loading would not be safe


@dataclass(frozen=True, slots=True)
class GreyImage:
    """8-bit grey pixels, row after row without padding: `len(pixels) == width * height`."""

    width: int
    height: int
    pixels: bytes


def find_tesseract() -> str | None:
    """Path of the Tesseract program, or None where it is not installed."""
    return shutil.which("tesseract")


def recognise(image: GreyImage, tesseract: str) -> str:
    """The text of a page in reading order; empty where nothing was recognised, in time, or the program failed.

    Takes 1-5 seconds per page at `DPI`. Automatic page segmentation with orientation (`--psm 1`) needs the
    `osd` data that Debian installs with the program.
    """
    command = [tesseract, "-", "-", "-l", _languages(tesseract), "--psm", "1", "--dpi", str(DPI)]
    header = f"P5 {image.width} {image.height} 255\n".encode()
    try:
        done = subprocess.run(  # noqa: S603 - no shell, no part of the command comes from the document
            command,
            input=header + image.pixels,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},  # more threads make one page slower, not faster
            preexec_fn=_bound,
            check=False,
            timeout=_PAGE_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return ""
    text = done.stdout.decode("utf-8", errors="replace").replace("\f", "") if done.returncode == 0 else ""
    return close_gaps(text).strip()


@functools.cache
def _languages(tesseract: str) -> str:
    """English and simplified Chinese as far as they are installed, else whatever is."""
    command = [tesseract, "--list-langs"]
    listing = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    installed = [line.strip() for line in listing.stdout.splitlines()[1:] if line.strip() not in ("", "osd")]
    return "+".join([name for name in _PREFERRED_LANGUAGES if name in installed] or installed or ["eng"])


def _bound() -> None:
    """Bound the processor time of what is about to run, and have it end with its parent."""
    resource.setrlimit(resource.RLIMIT_CPU, (PAGE_PROCESSOR_S, PAGE_PROCESSOR_S))
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:
        os._exit(1)
