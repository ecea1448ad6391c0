"""A small OpenAI-compatible server that says what a test wants, well or badly. Left to itself it quotes the first
passage, and then passes the contract suite that a real vLLM passes too (`tests/generate/llm/contract.py`).
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

MODEL = "scripted"
_CONTEXT = 2048
_TOKEN = re.compile(r"\w+|[^\w\s]|\s+")
_PASSAGE = re.compile(r"\[1\] (?P<code>[0-9a-f]{16})\nFrom: .*\n(?P<text>[\s\S]*?)\n(?P=code)\n")
_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？]")


@dataclass(frozen=True)
class Say:
    """Text, in one delta for each piece."""

    pieces: tuple[str, ...]


@dataclass(frozen=True)
class Raw:
    """Bytes as they are, in the place of an event."""

    data: bytes


@dataclass(frozen=True)
class Pause:
    """Nothing for a time."""

    seconds: float


@dataclass(frozen=True)
class HangUp:
    """The connection breaks."""


@dataclass(frozen=True)
class Status:
    """Another status than 200, before anything else."""

    status: int
    body: bytes = b'{"error": {"message": "scripted failure"}}'


@dataclass(frozen=True)
class Finish:
    """The proper end, with usage; what a script that has none never comes to."""

    reason: str = "stop"
    usage: bool = True


Action = Say | Raw | Pause | HangUp | Status | Finish
Script = Callable[[dict[str, Any]], Sequence[Action]]


def saying(*pieces: str) -> Script:
    """Always the same words."""
    return lambda body: (Say(pieces), Finish())


def doing(*actions: Action) -> Script:
    """Always the same actions."""
    return lambda body: actions


def in_turn(*scripts: Script) -> Script:
    """A script for each request; the last one for all that follow."""
    left = list(scripts)
    return lambda body: (left.pop(0) if len(left) > 1 else left[0])(body)


def quoting_the_first_passage(body: dict[str, Any]) -> Sequence[Action]:
    """The first sentence of the first passage with its marker, a word at a time; no answer without a passage."""
    found = _PASSAGE.search(body["messages"][-1]["content"])
    sentence = _SENTENCE.search(found["text"].split("\n\n")[-1]) if found else None
    words = f"{sentence.group().strip()} [1]" if sentence else "NO ANSWER"
    tokens = _TOKEN.findall(words)
    if len(tokens) > body["max_tokens"]:
        return (Say(tuple(tokens[: body["max_tokens"]])), Finish("length"))
    return (Say(tuple(tokens)), Finish())


@dataclass
class ScriptedServer:
    """Serves in a thread while the block lasts. `requests` are the bodies received, `running` the answers under way,
    `connections` those that are open, of the `accepted` ones; `counted` prompts were counted against the `context`.
    """

    script: Script = quoting_the_first_passage
    counts_tokens: bool = True
    context: int = _CONTEXT
    token_s: float = 0.0
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    running: int = 0
    finished: int = 0
    connections: int = 0
    accepted: int = 0
    counted: int = 0

    def __enter__(self) -> ScriptedServer:
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,))
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve(started))

    async def _serve(self, started: threading.Event) -> None:
        self._stop, self._tasks = asyncio.Event(), set[asyncio.Task[None]]()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        started.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.accepted += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._answered(reader, writer):
                    pass
        finally:
            self.connections -= 1
            self._tasks.discard(task)
            writer.close()

    async def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])}
        content = await reader.readexactly(int(headers.get("content-length", "0")))
        body = json.loads(content) if content else {}
        path = head.split(" ", 2)[1]
        if path == "/v1/models":
            return await self._json(writer, {"object": "list", "data": [{"id": MODEL, "max_model_len": self.context}]})
        if path == "/tokenize" and self.counts_tokens:
            self.counted += 1
            return await self._json(writer, {"count": prompt_tokens(body["messages"]), "max_model_len": self.context})
        if path != "/v1/chat/completions":
            return await self._json(writer, {"detail": "Not Found"}, 404)
        self.requests.append(body)
        self.keys.append(headers.get("authorization"))
        if body["model"] != MODEL:
            return await self._json(writer, {"error": {"message": f"no model {body['model']}"}}, 404)
        if prompt_tokens(body["messages"]) + body["max_tokens"] > self.context:
            return await self._json(writer, {"error": {"message": "longer than the context"}}, 400)
        return await self._streamed(reader, writer, body)

    async def _json(self, writer: asyncio.StreamWriter, body: object, status: int = 200) -> bool:
        await _send(writer, status, json.dumps(body).encode())
        return True

    async def _streamed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: dict[str, Any]) -> bool:
        self.running += 1
        playing = asyncio.create_task(self._play(writer, body))
        left = asyncio.create_task(_eof(reader))
        try:
            await asyncio.wait({playing, left}, return_when=asyncio.FIRST_COMPLETED)
            if not playing.done():
                return False
            self.finished += 1
            return playing.result()
        finally:
            self.running -= 1
            for task in (playing, left):
                task.cancel()
            await asyncio.gather(playing, left, return_exceptions=True)

    async def _play(self, writer: asyncio.StreamWriter, body: dict[str, Any]) -> bool:
        begun, said = False, 0
        for action in self.script(body):
            if isinstance(action, Status):
                await _send(writer, action.status, action.body)
                return True
            if not begun:
                begun = True
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n")
                writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
                _event(writer, _choice({"role": "assistant", "content": ""}))
            match action:
                case Say(pieces):
                    for piece in pieces:
                        await asyncio.sleep(self.token_s)
                        said += 1
                        _event(writer, _choice({"content": piece}))
                        await writer.drain()
                case Raw(data):
                    _chunk(writer, data)
                case Pause(seconds):
                    await asyncio.sleep(seconds)
                case HangUp():
                    await writer.drain()
                    writer.transport.abort()
                    return False
                case Finish(reason, usage):
                    _event(writer, _choice({}, reason))
                    prompt = prompt_tokens(body["messages"])
                    counts = {"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said}
                    if usage:
                        _event(writer, {"choices": [], "usage": counts})
                    _chunk(writer, b"data: [DONE]\n\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


async def _eof(reader: asyncio.StreamReader) -> None:
    """Wait until the client has left; nothing is taken from what it sends."""
    while not reader.at_eof() and reader.exception() is None:  # noqa: ASYNC110 - it tells nobody of its end
        await asyncio.sleep(0.005)


def prompt_tokens(messages: list[dict[str, str]]) -> int:
    """Tokens of a prompt, as this server counts them."""
    return sum(len(_TOKEN.findall(message["content"])) + 4 for message in messages) + 2


def _choice(delta: dict[str, str], reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def _event(writer: asyncio.StreamWriter, body: object) -> None:
    _chunk(writer, f"data: {json.dumps(body)}\n\n".encode())


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


async def _send(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
