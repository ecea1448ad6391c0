"""The chat completions of the OpenAI interface, as far as they make sense for answers from documents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from api.models import AnswerResponse, CitationResponse, Filter
from api.problems import Problem
from generate.answer import Answer, Citation, Usage
from ingest.errors import FieldProblem, InvalidInput

_MESSAGES_MAX = 1_000


class TextPart(BaseModel):
    """A part of a message; only text can be answered."""

    model_config = ConfigDict(extra="allow")

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """A message of the conversation; other fields are ignored."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[TextPart] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(BaseModel):
    """Whether a stream tells of the tokens at its end."""

    model_config = ConfigDict(extra="allow")

    include_usage: bool | None = None


class AskOptions(BaseModel):
    """What `ask` takes beside the question; sent as `extra_body={"citewell": {…}}`."""

    model_config = ConfigDict(extra="forbid")

    top_k: int | None = Field(None, ge=1, le=100)
    filter: Filter = {}
    template: str | None = None
    max_risk: float | None = Field(None, gt=0, le=1)
    cache: bool = True


class ChatRequest(BaseModel):
    """A question with the turns before it. Parameters of sampling are taken and ignored: the service has its own."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(max_length=100, description="Name of the collection.")
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=_MESSAGES_MAX)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = Field(None, description="One answer.")
    citewell: AskOptions | None = None

    def question_and_history(self) -> tuple[str, tuple[str, ...]]:
        """The last message, which must be the user's, and the questions before it, oldest first. Answers before it
        are no evidence, and system messages no instructions. Raises `InvalidInput` (`no_question`).
        """
        last = self.messages[-1]
        if last.role != "user" or not last.text.strip():
            message = "the last message is to be the user's question, in words"
            raise InvalidInput(message, code="no_question", problems=(FieldProblem("messages", message),))
        before = (message.text for message in self.messages[:-1] if message.role == "user")
        return last.text, tuple(text for text in before if text.strip())


class UrlCitation(BaseModel):
    """Where the quote stands: its document's text, with the characters as the fragment (RFC 5147)."""

    start_index: int
    end_index: int
    title: str
    url: str


class Annotation(BaseModel):
    """A citation of the answer, in the shape that clients know, and in full."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlCitation
    citewell: CitationResponse


class AssistantMessage(BaseModel):
    """The answer. A refusal is told in `content` too, so that every client shows it."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: str | None
    annotations: list[Annotation]


class Choice(BaseModel):
    """The one choice."""

    index: int = 0
    message: AssistantMessage
    finish_reason: Literal["stop"] = "stop"
    logprobs: None = None


class ChatUsage(BaseModel):
    """Tokens of the language model; zero where there is none."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, usage: Usage) -> ChatUsage:
        both = usage.prompt_tokens + usage.completion_tokens
        return cls(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens, total_tokens=both)


class ChatCompletion(BaseModel):
    """An answer; `citewell` is the whole of it, as `ask` gives it."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: ChatUsage
    system_fingerprint: str
    citewell: AnswerResponse

    @classmethod
    def of(cls, answer: Answer, model: str, base_url: str, *, documents_pending: int) -> ChatCompletion:
        return cls(
            id=completion_id(answer),
            created=created(answer),
            model=model,
            choices=[Choice(message=message_of(answer, model, base_url))],
            usage=ChatUsage.of(answer.usage),
            system_fingerprint=answer.fingerprint,
            citewell=AnswerResponse.of(answer, documents_pending=documents_pending),
        )


class Delta(BaseModel):
    """What a chunk adds."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    refusal: str | None = None
    annotations: list[Annotation] | None = None


class ChunkChoice(BaseModel):
    """The one choice of a chunk."""

    index: int = 0
    delta: Delta
    finish_reason: Literal["stop"] | None = None
    logprobs: None = None


class ChatChunk(BaseModel):
    """A piece of a streamed answer; the last one with a choice holds citations and the whole answer."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: ChatUsage | None = None
    citewell: AnswerResponse | None = None


class Model(BaseModel):
    """A collection, as a model that answers from it."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["citewell"] = "citewell"


class ModelList(BaseModel):
    """The collections that the key may use."""

    object: Literal["list"] = "list"
    data: list[Model]


def message_of(answer: Answer, collection: str, base_url: str) -> AssistantMessage:
    """The answer's text, or why there is none."""
    refusal = answer.refusal.message if answer.refusal else None
    return AssistantMessage(
        content=answer.text if answer.text is not None else refusal or "",
        refusal=refusal,
        annotations=annotations_of(answer.citations, collection, base_url),
    )


def annotations_of(citations: Sequence[Citation], collection: str, base_url: str) -> list[Annotation]:
    """A URL citation for each citation."""
    return [
        Annotation(
            url_citation=UrlCitation(
                start_index=one.answer_start,
                end_index=one.answer_end,
                title=one.title or one.document_id,
                url=_text_url(one, collection, base_url),
            ),
            citewell=CitationResponse.of(one),
        )
        for one in citations
    ]


def completion_id(answer: Answer) -> str:
    return f"chatcmpl-{answer.answer_id}"


def created(answer: Answer) -> int:
    """Seconds since 1970."""
    return seconds_of(answer.created_at)


def seconds_of(moment: str) -> int:
    """Seconds since 1970 of an ISO 8601 time."""
    return int(datetime.fromisoformat(moment).timestamp())


def error_body(problem: Problem) -> BaseModel:
    """A problem as clients of this interface expect an error within a stream."""
    return _ErrorBody(error=_Error(message=problem.detail, type=problem.code, code=problem.code, citewell=problem))


class _Error(BaseModel):
    message: str
    type: str
    code: str
    citewell: Problem


class _ErrorBody(BaseModel):
    error: _Error


def _text_url(citation: Citation, collection: str, base_url: str) -> str:
    path = f"v1/collections/{quote(collection, safe='')}/documents/{quote(citation.document_id, safe='')}/text"
    return f"{base_url}{path}?version={citation.version}#char={citation.char_start},{citation.char_end}"
