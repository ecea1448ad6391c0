"""Collections over HTTP."""

from __future__ import annotations

import httpx

from tests.api.live import finish, problem, upload


def test_a_collection_is_created_then_unchanged_then_changed(client: httpx.Client) -> None:
    """201, then 200; what needs no new index may change."""
    path = "/v1/collections/manuals"
    created = client.put(path, json={"chunk_tokens": 40, "overlap_tokens": 8, "language": "en"})
    assert created.status_code == 201
    assert (created.json()["chunk_tokens"], created.json()["language"]) == (40, "en")
    assert client.put(path, json={}).status_code == 200
    changed = client.put(path, json={"source_priors": {"board/*": 0.9}, "templates": {"short": "Be brief."}})
    assert changed.status_code == 200
    assert client.get(path).json() == changed.json()
    assert changed.json()["chunk_tokens"] == 40


def test_what_would_need_a_new_index_is_a_conflict(client: httpx.Client) -> None:
    """409 names the way to do it."""
    body = problem(client.put("/v1/collections/default", json={"chunk_tokens": 500}), 409, "needs_reindex")
    assert "reindex" in body["detail"]


def test_sizes_are_counted(filled: httpx.Client) -> None:
    """Documents, chunks and bytes of what is live."""
    found = filled.get("/v1/collections/default").json()
    assert found["documents"] == 2
    assert found["chunks"] >= 2
    assert found["bytes"] > 100
    assert found["index_generation"]
    assert found["pipeline_fingerprint"]


def test_listing_goes_by_name_in_pages(client: httpx.Client) -> None:
    """`default` is always there."""
    client.put("/v1/collections/apples", json={})
    first = client.get("/v1/collections", params={"limit": 1}).json()
    second = client.get("/v1/collections", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [page["items"][0]["name"] for page in (first, second)] == ["apples", "default"]
    assert second["next_cursor"] is None


def test_generations_are_listed(client: httpx.Client) -> None:
    """A new collection has one, live."""
    items = client.get("/v1/collections/default/generations").json()["items"]
    assert [item["state"] for item in items] == ["live"]
    assert items[0]["generation"] == client.get("/v1/collections/default").json()["index_generation"]


def test_a_reindex_swaps_generations_and_can_be_taken_back(filled: httpx.Client) -> None:
    """202 with a job; then the new generation is live, the old one retired, and one call goes back to it."""
    path = "/v1/collections/default"
    before = filled.get(path).json()["index_generation"]
    queued = filled.post(f"{path}/reindex", json={"chunk_tokens": 40})
    assert queued.status_code == 202
    assert finish(filled, queued.json()["job_id"])["state"] == "succeeded"
    assert filled.get(path).json()["chunk_tokens"] == 40
    listed = {item["generation"]: item["state"] for item in filled.get(f"{path}/generations").json()["items"]}
    after = filled.get(path).json()["index_generation"]
    assert listed == {before: "retired", after: "live"}
    back = filled.post(f"{path}/generations/{before}/activate")
    assert (back.status_code, back.json()["state"], back.json()["job_id"]) == (200, "live", None)
    assert filled.get(path).json()["index_generation"] == before


def test_a_reindex_that_cannot_be_is_refused(filled: httpx.Client) -> None:
    """A gate without a runner, an overlap too large, an unknown model, generation, collection, field."""
    path = "/v1/collections/default"
    problem(filled.post(f"{path}/reindex", json={"gate": "sample"}), 404, "question_set_not_found")
    problem(filled.post(f"{path}/reindex", json={"chunk_tokens": 20, "overlap_tokens": 15}), 422, "invalid_chunking")
    problem(filled.post(f"{path}/reindex", json={"chunks": 20}), 422, "invalid_request")
    problem(filled.post(f"{path}/generations/nix/activate"), 404, "generation_not_found")
    problem(filled.post("/v1/collections/nix/reindex", json={}), 404, "collection_not_found")


def test_deleting_a_collection_takes_it_away_with_its_documents(client: httpx.Client) -> None:
    """The receipt outlives it."""
    client.put("/v1/collections/manuals", json={})
    upload(client, {"a.txt": "alpha"}, collection="manuals")
    receipt = client.delete("/v1/collections/manuals").json()
    while receipt["state"] != "purged" or client.get("/v1/collections/manuals").status_code != 404:
        receipt = client.get(f"/v1/receipts/{receipt['receipt_id']}").json()
    assert (receipt["documents"], receipt["removed"]["versions"]) == (1, 1)


def test_deleting_default_empties_it(filled: httpx.Client) -> None:
    """A collection of that name always exists."""
    receipt = filled.delete("/v1/collections/default").json()
    while receipt["state"] != "purged":
        receipt = filled.get(f"/v1/receipts/{receipt['receipt_id']}").json()
    assert receipt["documents"] == 2
    assert filled.get("/v1/collections/default").json()["documents"] == 0


def test_bad_settings_are_all_named(client: httpx.Client) -> None:
    """Every wrong field at once, unknown ones too; a bad name; nothing is created."""
    body = {"chunk_tokens": 1, "source_priors": {"a": 2}, "colour": "red"}
    fields = problem(client.put("/v1/collections/x", json=body), 422, "invalid_request")["errors"]
    assert {field["field"] for field in fields} == {"chunk_tokens", "source_priors.a", "colour"}
    problem(client.put("/v1/collections/-x", json={}), 422, "invalid_collection_name")
    problem(client.put("/v1/collections/x", json={"chunk_tokens": 16, "overlap_tokens": 9}), 422, "invalid_chunking")
    problem(client.get("/v1/collections/x"), 404, "collection_not_found")
