"""What a server's refusal looks like on the client's side."""

from __future__ import annotations

from typing import Any

import httpx2

from ingest.errors import CitewellError, FieldProblem


class ProblemError(CitewellError):
    """The server answered with a problem (RFC 9457); `code` is stable, `problems` names every wrong field."""

    def __init__(self, problem: dict[str, Any], *, status: int) -> None:
        super().__init__(
            str(problem.get("detail") or problem.get("title") or f"the server answered with status {status}"),
            code=str(problem.get("code") or f"http_{status}"),
            problems=tuple(
                FieldProblem(str(error.get("field", "")), str(error.get("message", "")))
                for error in problem.get("errors") or ()
            ),
        )
        self.status = int(problem.get("status", status))
        self.retryable = bool(problem.get("retryable", False))
        self.title = str(problem.get("title", ""))
        self.type = str(problem.get("type", "about:blank"))
        self.instance: str | None = problem.get("instance")
        self.request_id: str | None = problem.get("request_id")

    @classmethod
    def from_response(cls, response: httpx2.Response) -> ProblemError:
        """The problem in a (read) response; one without a problem body, as proxies send, is told by its status."""
        try:
            problem = response.json()
        except ValueError:
            problem = None
        if not isinstance(problem, dict):
            problem = {"title": f"{response.url.host} answered {response.status_code} {response.reason_phrase}"}
        return cls(problem, status=response.status_code)
