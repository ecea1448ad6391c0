"""A real worker whose one extra parser does, on demand, what hostile documents make parsers do."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from pathlib import Path

from ingest.parsing import ParsedDocument, ParseLimits, SourceFile, notices
from ingest.parsing.document import Parser
from ingest.parsing.registry import parser_for
from ingest.parsing.worker import main

HOSTILE = "application/x-hostile"


class HostileParser:
    """Does what the file says: its first word is a deed, the rest an argument."""

    name = "hostile"

    def parse(self, source: SourceFile, limits: ParseLimits) -> ParsedDocument:
        deed, _, argument = source.path.read_text().partition(" ")
        if deed == "hang":
            child = subprocess.Popen(["sleep", "600"])
            Path(argument).write_text(f"{os.getpid()} {child.pid}")
            time.sleep(600)
        elif deed == "pages":
            for _ in range(int(argument)):
                time.sleep(0.4)
                notices.page_recognised()
        elif deed == "crash":
            ctypes.string_at(0)
        elif deed == "exit":
            os._exit(3)
        elif deed == "hog":
            bytearray(int(argument))
        elif deed == "raise":
            raise ZeroDivisionError("private detail")
        elif deed == "print":
            print("noise", flush=True)
            os.write(1, b"\0" * 100)
        elif deed == "environment":
            return ParsedDocument("\n".join(f"{k}={v}" for k, v in os.environ.items()), None, parser=self.name)
        elif deed == "garble":
            return ParsedDocument("", None)
        elif deed == "large":
            return ParsedDocument("x" * int(argument), None)
        return ParsedDocument(str(os.getpid()), None, parser=self.name)


def find_parser(media_type: str) -> Parser:
    """The hostile parser, or the real ones."""
    return HostileParser() if media_type == HOSTILE else parser_for(media_type)


if __name__ == "__main__":
    main(find_parser)
