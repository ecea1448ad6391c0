"""The parser process: takes one document after the other on standard input and answers on standard output.

Started by `ParserPool` as `python -m ingest.parsing.worker`. It limits its own memory, dies with its parent,
and keeps whatever libraries print away from the answers. It imports parser libraries only when a document
needs them.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import BinaryIO

from ingest.errors import ExtractionFailed
from ingest.parsing import failures, notices, wire
from ingest.parsing.document import ParseLimits, Parser, SourceFile
from ingest.parsing.registry import parser_for

_PR_SET_PDEATHSIG = 1

FindParser = Callable[[str], Parser]


def main(find_parser: FindParser = parser_for) -> None:
    """Serve documents until standard input ends."""
    options = argparse.ArgumentParser()
    options.add_argument("--memory-bytes", type=int, required=True)
    options.add_argument("--parent", type=int, required=True)
    arguments = options.parse_args()
    _die_with_parent(arguments.parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (arguments.memory_bytes, arguments.memory_bytes))
    serve(sys.stdin.buffer, _own_stdout(), find_parser)


def serve(requests: BinaryIO, answers: BinaryIO, find_parser: FindParser) -> None:
    """Answer requests until there are no more, or until one used up the memory: then a fresh process is
    safer.
    """
    _send(answers, wire.READY)
    notices.listener = lambda: _send(answers, wire.PAGE_RECOGNISED)
    while body := _receive(requests):
        source, limits = wire.read_request(wire.unpack(body))
        _limit_memory(limits.memory_bytes)
        try:
            answer = _answer(source, limits, find_parser)
        except MemoryError:
            _send(answers, wire.failure(_out_of_memory(source, limits)) | wire.LAST)
            return
        _send(answers, answer)


def _answer(source: SourceFile, limits: ParseLimits, find_parser: FindParser) -> wire.Message:
    """The outermost boundary: whatever a library raises on a document is an answer about that document."""
    try:
        return wire.success(find_parser(source.media_type).parse(source, limits))
    except ExtractionFailed as error:
        return wire.failure(error)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - hostile files make libraries raise anything
        return wire.failure(failures.broken(source.filename, f"its parser gave up ({type(error).__name__})"))


def _out_of_memory(source: SourceFile, limits: ParseLimits) -> ExtractionFailed:
    return failures.too_large(source.filename, "needs more than", limits.memory_bytes >> 20, "MiB of memory to read")


def _limit_memory(memory_bytes: int) -> None:
    """Lower the limit for one document; the ceiling set at the start stays."""
    ceiling = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (min(memory_bytes, ceiling), ceiling))


def _die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends; leave if that has happened
    already.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(0)


def _own_stdout() -> BinaryIO:
    """Keep the real standard output for answers; whatever else writes to descriptor 1 lands on standard
    error.
    """
    answers = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(answers, "wb")


def _receive(requests: BinaryIO) -> bytes:
    """The next request, or nothing at the end of input."""
    length = requests.read(wire.LENGTH.size)
    return requests.read(wire.LENGTH.unpack(length)[0]) if len(length) == wire.LENGTH.size else b""


def _send(answers: BinaryIO, message: wire.Message) -> None:
    answers.write(wire.pack(message))
    answers.flush()


if __name__ == "__main__":
    main()
