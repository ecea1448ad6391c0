"""Calls the HTTP interface, one method a route. Synchronous; one client may be shared by threads."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, TypeVar, cast
from urllib.parse import quote

import httpx2

from api.client.errors import ProblemError
from api.client.events import StreamEvent, read_events
from api.client.types import (
    Activation,
    Answer,
    Collection,
    CollectionChange,
    Document,
    Evaluation,
    EvaluationSubmission,
    Generation,
    Job,
    JobDocument,
    QuestionSet,
    Receipt,
    SearchResult,
    Submission,
)
from api.client.uploads import UploadFile, in_batches
from ingest.errors import DeadlineExceeded, Unavailable

DEFAULT_COLLECTION = "default"
_DRAFTING_S = 1_800.0
_PAGE = 200
_ENDED = frozenset({"succeeded", "partial", "failed", "cancelled"})

Mode = Literal["hybrid", "vector", "lexical"]
Seen = TypeVar("Seen")


class Client:
    """A connection to the server at `url`, or to whatever `transport` leads to (such as an application in process).

    Every method raises `ProblemError` when the server refuses, `Unavailable` (`unreachable`) when none answers.
    Collections are named `default` unless said otherwise.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        timeout_s: float = 120.0,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.url = url.rstrip("/")
        # certificates take longer to load than most requests, and without TLS nobody asks for them
        verify = not self.url.startswith("http:")
        self._http = httpx2.Client(
            base_url=self.url, headers=headers, timeout=timeout_s, transport=transport, verify=verify
        )

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Collections

    def collections(self) -> Iterator[Collection]:
        """All collections that the key may see."""
        return cast(Iterator[Collection], self._items("/v1/collections", {}))

    def collection(self, name: str = DEFAULT_COLLECTION) -> Collection:
        return cast(Collection, self._json("GET", _collection(name)))

    def put_collection(self, name: str, change: CollectionChange | None = None) -> Collection:
        """Create the collection, or change what needs no new index."""
        return cast(Collection, self._json("PUT", _collection(name), json=change or {}))

    def delete_collection(self, name: str) -> Receipt:
        return cast(Receipt, self._json("DELETE", _collection(name)))

    def reindex(
        self, collection: str = DEFAULT_COLLECTION, change: CollectionChange | None = None, *, gate: str | None = None
    ) -> str:
        """Build the index anew beside the live one, with these settings changed; returns the id of the job.

        The new one goes live when it is built, and has passed the question set `gate` where one is named.
        """
        body = {**(change or {}), **({} if gate is None else {"gate": gate})}
        return str(self._json("POST", f"{_collection(collection)}/reindex", json=body)["job_id"])

    def generations(self, collection: str = DEFAULT_COLLECTION) -> list[Generation]:
        """Index generations of the collection, oldest first."""
        return cast(list[Generation], self._json("GET", f"{_collection(collection)}/generations")["items"])

    def activate_generation(self, generation: str, *, collection: str = DEFAULT_COLLECTION) -> Activation:
        """Go back to a generation that is kept: at once, or by the job whose id is in the answer."""
        path = f"{_collection(collection)}/generations/{_segment(generation)}/activate"
        return cast(Activation, self._json("POST", path))

    # Documents

    def upload(
        self,
        files: Sequence[UploadFile],
        *,
        collection: str = DEFAULT_COLLECTION,
        metadata: Mapping[str, Any] | None = None,
        access: Sequence[str] | None = None,
        password: str | None = None,
        origin: str | None = None,
    ) -> Submission:
        """Send the files in one request, streamed from the disk; they are being ingested when this returns.

        `origin` marks them as of a folder that is kept in step (`FolderSync`).
        """
        fields: dict[str, Any] = {}
        if metadata:
            fields["metadata"] = json.dumps(metadata)
        if access is not None:
            fields["access"] = list(access)
        if password is not None:
            fields["password"] = password
        if origin is not None:
            fields["origin"] = origin
        with ExitStack() as stack:
            parts = [("files", (file.document_id, stack.enter_context(file.path.open("rb")))) for file in files]
            return cast(
                Submission, self._json("POST", f"{_collection(collection)}/documents", data=fields, files=parts)
            )

    def upload_all(
        self,
        files: Iterable[UploadFile],
        *,
        collection: str = DEFAULT_COLLECTION,
        metadata: Mapping[str, Any] | None = None,
        access: Sequence[str] | None = None,
        password: str | None = None,
        origin: str | None = None,
    ) -> Iterator[Submission]:
        """Send any number of files, some at a time; yields what became of each request."""
        for batch in in_batches(files):
            yield self.upload(
                batch, collection=collection, metadata=metadata, access=access, password=password, origin=origin
            )

    def compare_documents(
        self, hashes: Mapping[str, str], *, origin: str, collection: str = DEFAULT_COLLECTION
    ) -> dict[str, list[str]]:
        """What is to be sent and deleted so that the documents are the files of a folder (SHA-256 by document id)."""
        body = {"origin": origin, "files": dict(hashes)}
        return cast(dict[str, list[str]], self._json("POST", f"{_collection(collection)}/documents:compare", json=body))

    def put_document(
        self,
        document_id: str,
        content: bytes | BinaryIO,
        *,
        media_type: str = "text/plain",
        collection: str = DEFAULT_COLLECTION,
    ) -> Submission:
        """Store `content` as the newest version; the version before it answers until the new one is indexed."""
        headers = {"Content-Type": media_type}
        return cast(Submission, self._json("PUT", _document(collection, document_id), content=content, headers=headers))

    def documents(self, *, collection: str = DEFAULT_COLLECTION, status: str | None = None) -> Iterator[Document]:
        """Documents in order of arrival, fetched a page at a time."""
        query = {"status": status} if status else {}
        return cast(Iterator[Document], self._items(f"{_collection(collection)}/documents", query))

    def document(self, document_id: str, *, collection: str = DEFAULT_COLLECTION) -> Document:
        return cast(Document, self._json("GET", _document(collection, document_id)))

    def document_text(
        self, document_id: str, *, collection: str = DEFAULT_COLLECTION, version: int | None = None
    ) -> str:
        """The extracted text that offsets refer to; of the live version, unless one is named."""
        query = {} if version is None else {"version": version}
        return self._send("GET", f"{_document(collection, document_id)}/text", params=query).content.decode()

    def download(
        self, document_id: str, target: Path, *, collection: str = DEFAULT_COLLECTION, version: int | None = None
    ) -> None:
        """Write the stored original to `target`."""
        query = {} if version is None else {"version": version}
        path = f"{_document(collection, document_id)}/content"
        with self._open("GET", path, params=query) as response, target.open("wb") as file:
            for block in response.iter_bytes():
                file.write(block)

    def delete_document(self, document_id: str, *, collection: str = DEFAULT_COLLECTION) -> Receipt:
        """From now on no search returns the document; the receipt tells when every trace of it is gone."""
        return cast(Receipt, self._json("DELETE", _document(collection, document_id)))

    def delete_documents(self, document_ids: Sequence[str], *, collection: str = DEFAULT_COLLECTION) -> Receipt:
        """Delete several at once, or none if one of them does not exist."""
        path = f"{_collection(collection)}/documents:delete"
        return cast(Receipt, self._json("POST", path, json={"document_ids": list(document_ids)}))

    def receipt(self, receipt_id: str) -> Receipt:
        return cast(Receipt, self._json("GET", f"/v1/receipts/{_segment(receipt_id)}"))

    def wait_for_receipt(self, receipt_id: str, *, timeout_s: float | None = None, poll_s: float = 0.2) -> Receipt:
        """Wait until the deletion is complete. Raises `DeadlineExceeded` after `timeout_s`."""
        return _poll(
            lambda: self.receipt(receipt_id),
            lambda receipt: receipt["state"] == "purged",
            f"receipt {receipt_id}",
            timeout_s,
            poll_s,
        )

    # Jobs

    def jobs(self, *, collection: str | None = None, states: Sequence[str] = ()) -> Iterator[Job]:
        """Jobs that the key may see, newest first, fetched a page at a time; only those in `states`, where given."""
        query = {"collection": collection, "state": list(states)}
        return cast(Iterator[Job], self._items("/v1/jobs", {name: given for name, given in query.items() if given}))

    def job(self, job_id: str) -> Job:
        return cast(Job, self._json("GET", f"/v1/jobs/{_segment(job_id)}"))

    def job_documents(self, job_id: str, *, state: str | None = None) -> Iterator[JobDocument]:
        """The documents of a job in upload order; only those in `state`, where given."""
        query = {"state": state} if state else {}
        return cast(Iterator[JobDocument], self._items(f"/v1/jobs/{_segment(job_id)}/documents", query))

    def cancel_job(self, job_id: str) -> Job:
        return cast(Job, self._json("POST", f"/v1/jobs/{_segment(job_id)}/cancel"))

    def retry_job(self, job_id: str, *, password: str | None = None) -> Job:
        """Queue an ended job again, with its failed and cancelled documents; those are left that changed meanwhile.

        `password` opens those that are encrypted.
        """
        body = {} if password is None else {"password": password}
        return cast(Job, self._json("POST", f"/v1/jobs/{_segment(job_id)}/retry", json=body))

    def job_events(self, job_id: str, *, last_event_id: str | None = None) -> Iterator[StreamEvent]:
        """`progress` at every change after `last_event_id`, at the end `done` with the job as it ended."""
        headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
        with self._open("GET", f"/v1/jobs/{_segment(job_id)}/events", headers=headers) as response:
            yield from read_events(response.iter_lines())

    def wait_for_job(
        self,
        job_id: str,
        *,
        progress: Callable[[Job], None] | None = None,
        timeout_s: float | None = None,
        poll_s: float = 0.2,
    ) -> Job:
        """Wait until the job has ended; `progress` sees it each time. Raises `DeadlineExceeded` after `timeout_s`."""

        def look() -> Job:
            job = self.job(job_id)
            if progress is not None:
                progress(job)
            return job

        return _poll(look, lambda job: job["state"] in _ENDED, f"job {job_id}", timeout_s, poll_s)

    # Searching and asking

    def search(
        self,
        query: str,
        *,
        collection: str = DEFAULT_COLLECTION,
        top_k: int = 10,
        mode: Mode = "hybrid",
        rerank: bool = True,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the contract's name
        diversity: float | None = None,
    ) -> SearchResult:
        body = {"query": query, "top_k": top_k, "mode": mode, "rerank": rerank, "filter": dict(filter or {})}
        if diversity is not None:
            body["diversity"] = diversity
        return cast(SearchResult, self._json("POST", f"{_collection(collection)}/search", json=body))

    def ask(
        self,
        question: str,
        *,
        collection: str = DEFAULT_COLLECTION,
        top_k: int | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the contract's name
        max_risk: float | None = None,
    ) -> Answer:
        """The answer with its citations, or a refusal with its reason: both are values."""
        body = _ask_body(question, top_k, filter, max_risk)
        return cast(Answer, self._json("POST", f"{_collection(collection)}/ask", json=body))

    def ask_stream(
        self,
        question: str,
        *,
        collection: str = DEFAULT_COLLECTION,
        top_k: int | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the contract's name
        max_risk: float | None = None,
        draft: bool = False,
    ) -> Iterator[StreamEvent]:
        """Events on the way to the answer, the last is `done` with the answer. May raise `ProblemError` midway."""
        body = {**_ask_body(question, top_k, filter, max_risk), "stream": True, "draft": draft}
        with self._open("POST", f"{_collection(collection)}/ask", json=body) as response:
            for event in read_events(response.iter_lines()):
                if event.name == "error":
                    raise ProblemError(event.data, status=500)
                yield event

    def answer(self, answer_id: str) -> dict[str, Any]:
        """A past answer with its whole trace."""
        return cast(dict[str, Any], self._json("GET", f"/v1/answers/{_segment(answer_id)}"))

    # Evaluating

    def put_question_set(self, name: str, content: bytes) -> QuestionSet:
        """Store JSON lines (gzipped or not) as the current version of the set."""
        headers = {"Content-Type": "application/x-ndjson"}
        path = f"/v1/question_sets/{_segment(name)}"
        return cast(QuestionSet, self._json("PUT", path, content=content, headers=headers))

    def question_set(self, name: str) -> QuestionSet:
        return cast(QuestionSet, self._json("GET", f"/v1/question_sets/{_segment(name)}"))

    def evaluate(
        self,
        question_set: str,
        *,
        collection: str = DEFAULT_COLLECTION,
        repeats: int = 3,
        baseline: str | None = None,
        nightly: bool = False,
    ) -> EvaluationSubmission:
        """Ask a stored question set; the run is a job."""
        body = {"collection": collection, "question_set": question_set, "repeats": repeats, "nightly": nightly}
        if baseline is not None:
            body["baseline"] = baseline
        return cast(EvaluationSubmission, self._json("POST", "/v1/evaluations", json=body))

    def evaluations(self, *, collection: str | None = None, question_set: str | None = None) -> Iterator[Evaluation]:
        """Newest first, fetched a page at a time."""
        query = {"collection": collection, "question_set": question_set}
        given = {name: value for name, value in query.items() if value is not None}
        return cast(Iterator[Evaluation], self._items("/v1/evaluations", given))

    def evaluation(self, evaluation_id: str) -> Evaluation:
        return cast(Evaluation, self._json("GET", f"/v1/evaluations/{_segment(evaluation_id)}"))

    def bless(
        self, evaluation_id: str, *, together_with: Sequence[str] = (), note: str | None = None
    ) -> dict[str, Any]:
        """Make evaluations the baseline of their question set."""
        body = {"together_with": list(together_with), "note": note}
        path = f"/v1/evaluations/{_segment(evaluation_id)}/bless"
        return cast(dict[str, Any], self._json("POST", path, json=body))

    def compare(self, evaluation_id: str, baseline: str) -> dict[str, Any]:
        """What changed between two evaluations."""
        path = f"/v1/evaluations/{_segment(evaluation_id)}/comparison"
        return cast(dict[str, Any], self._json("GET", path, params={"baseline": baseline}))

    def evaluation_rows(self, evaluation_id: str) -> Iterator[dict[str, Any]]:
        """One row an ask."""
        with self._open("GET", f"/v1/evaluations/{_segment(evaluation_id)}/rows") as response:
            for line in response.iter_lines():
                yield json.loads(line)

    def evaluation_parquet(self, evaluation_id: str) -> bytes:
        """All rows as one Parquet file."""
        path = f"/v1/evaluations/{_segment(evaluation_id)}/rows"
        return self._send("GET", path, params={"format": "parquet"}).content

    def evaluation_report(self, evaluation_id: str) -> bytes:
        """One HTML page that needs nothing else."""
        return self._send("GET", f"/v1/evaluations/{_segment(evaluation_id)}/report").content

    def drafts(
        self, *, collection: str = DEFAULT_COLLECTION, source: str = "rules", count: int = 60, seed: int = 1
    ) -> bytes:
        """Draft questions as JSON lines; a language model may take minutes over them."""
        body = {"source": source, "count": count, "seed": seed}
        path = f"{_collection(collection)}/drafts"
        return self._send("POST", path, json=body, timeout=_DRAFTING_S).content

    def training_examples(self, *, collection: str = DEFAULT_COLLECTION) -> bytes:
        """Failures as training examples, JSON lines."""
        return self._send("GET", f"{_collection(collection)}/training_examples").content

    def calibrate(
        self, question_set: str, *, collection: str = DEFAULT_COLLECTION, risk: float = 0.1, confidence: float = 0.9
    ) -> str:
        """Calibrate refusal on a labelled question set; gives the job's id."""
        body = {"question_set": question_set, "risk": risk, "confidence": confidence}
        return str(self._json("POST", f"{_collection(collection)}/calibrations", json=body)["job_id"])

    def certificate(self, *, collection: str = DEFAULT_COLLECTION) -> dict[str, Any]:
        """The newest certificate as it stands now."""
        return cast(dict[str, Any], self._json("GET", f"{_collection(collection)}/certificate"))

    # Plumbing

    def _items(self, path: str, query: Mapping[str, Any]) -> Iterator[Any]:
        cursor = None
        while True:
            page = self._json("GET", path, params={**query, "limit": _PAGE, **({"cursor": cursor} if cursor else {})})
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _json(self, method: str, path: str, **options: Any) -> Any:
        return self._send(method, path, **options).json()

    def _send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        with self._open(method, path, **options) as response:
            response.read()
            return response

    @contextmanager
    def _open(self, method: str, path: str, **options: Any) -> Iterator[httpx2.Response]:
        try:
            with self._http.stream(method, path, **options) as response:
                if response.is_error:
                    response.read()
                    raise ProblemError.from_response(response)
                yield response
        except httpx2.TimeoutException as late:
            raise DeadlineExceeded(f"{self.url} did not answer in time; try again, or allow more time") from late
        except (httpx2.TransportError, httpx2.InvalidURL) as failure:
            reason = str(failure) or type(failure).__name__
            raise Unavailable(f"no citewell server answers at {self.url}: {reason}", code="unreachable") from failure


def _segment(name: str) -> str:
    return quote(name, safe="")


def _collection(name: str) -> str:
    return f"/v1/collections/{_segment(name)}"


def _document(collection: str, document_id: str) -> str:
    return f"{_collection(collection)}/documents/{_segment(document_id)}"


def _ask_body(
    question: str, top_k: int | None, wanted: Mapping[str, Any] | None, max_risk: float | None
) -> dict[str, Any]:
    options = {"top_k": top_k, "filter": wanted, "max_risk": max_risk}
    return {"question": question, **{name: value for name, value in options.items() if value is not None}}


def _poll(
    look: Callable[[], Seen], ended: Callable[[Seen], bool], what: str, timeout_s: float | None, poll_s: float
) -> Seen:
    begun = time.monotonic()
    while not ended(seen := look()):
        if timeout_s is not None and time.monotonic() - begun > timeout_s:
            raise DeadlineExceeded(f"{what} has not ended after {timeout_s:g} s; it goes on, ask for it again later")
        time.sleep(poll_s)
    return seen
