"""An encrypted file through the interfaces: asked for, refused when wrong, opened when right."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
from typer.testing import CliRunner

from api.cli import application
from tests.api.live import finish
from tests.ingest.parsing.samples import make_pdf, text_page

DOCUMENTS = "/v1/collections/default/documents"
SECRET = make_pdf([text_page("Ferries leave at nine.")], password="tide")


def sent(client: httpx.Client, **fields: str) -> tuple[str, str | None]:
    """Status and error code after sending the file."""
    reply = client.post(DOCUMENTS, files={"files": ("secret.pdf", SECRET)}, data=fields)
    finish(client, reply.json()["job_id"])
    record = client.get(f"{DOCUMENTS}/secret.pdf").json()
    return record["status"], (record["error"] or {}).get("code")


def test_the_form_field_opens_it(client: httpx.Client) -> None:
    """The same bytes may be sent again and again until the password is right."""
    assert sent(client) == ("failed", "password_required")
    assert sent(client, password="ebb") == ("failed", "wrong_password")
    assert sent(client, password="tide") == ("ready", None)
    assert client.get(f"{DOCUMENTS}/secret.pdf/text").text == "Ferries leave at nine."


def test_a_retry_takes_a_password(client: httpx.Client) -> None:
    """Of the file that is there already; without one, or with a wrong one, it fails as before."""
    job_id = client.post(DOCUMENTS, files={"files": ("secret.pdf", SECRET)}).json()["job_id"]
    assert finish(client, job_id)["state"] == "failed"
    for body, code in ((None, "password_required"), ({"password": "ebb"}, "wrong_password")):
        assert client.post(f"/v1/jobs/{job_id}/retry", json=body).status_code == 202
        finish(client, job_id)
        assert client.get(f"{DOCUMENTS}/secret.pdf").json()["error"]["code"] == code
    assert client.post(f"/v1/jobs/{job_id}/retry", json={"password": "tide"}).status_code == 202
    assert finish(client, job_id)["state"] == "succeeded"
    assert client.get(f"{DOCUMENTS}/secret.pdf").json()["status"] == "ready"
    assert client.post(f"/v1/jobs/{job_id}/retry", json={"word": "tide"}).status_code == 422


def test_the_option_opens_it(url: str, tmp_path: Path) -> None:
    """On the command line as well; without it the code tells what is missing."""
    path = tmp_path / "secret.pdf"
    path.write_bytes(SECRET)
    runner = CliRunner()
    refused = runner.invoke(application(), ["ingest", str(path), "--url", url, "--json"])
    assert refused.exit_code != 0
    assert "password_required" in refused.output
    opened = runner.invoke(application(), ["ingest", str(path), "--password", "tide", "--url", url, "--json"])
    assert opened.exit_code == 0, opened.output
    assert json.loads(opened.stdout)
