"""The web page: what it may not contain, and what it does in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from api.app import WEB
from ingest.jobs import Jobs
from tests.api.browser import Browser, browsing, missing_programs
from tests.api.live import SHIPS, upload

HOSTILE = '<script>window.hacked = 1</script><img src="x" onerror="window.hacked = 2">'
TEXT = f"😀 港口 {HOSTILE}\n\nThe harbour cat is called Mackerel. She lives in the ticket office.\n"


class Page(HTMLParser):
    """What of a page a strict content policy, or a reader without a mouse, would trip over."""

    def __init__(self) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.labelled: set[str] = set()
        self.fields: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        self.inline += [tag] if tag == "style" or (tag == "script" and "src" not in given) else []
        self.links += [value for name in ("src", "href", "action") if (value := given.get(name))]
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag == "label" and (target := given.get("for")):
            self.labelled.add(target)
        if tag in ("input", "select", "textarea"):
            self.fields.append(given)


@pytest.fixture(scope="module")
def page() -> Page:
    """The page as it is served, taken apart."""
    parsed = Page()
    parsed.feed((WEB / "index.html").read_text(encoding="utf-8"))
    return parsed


def test_everything_on_the_page_comes_from_the_service(page: Page, client: httpx.Client) -> None:
    """No inline script, style or handler; every link leads to a file that is served."""
    assert page.inline == []
    for link in page.links:
        assert link.startswith(("/web/", "#"))
        if link.startswith("/"):
            assert client.get(link).status_code == 200
    response = client.get("/")
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in response.headers["content-security-policy"]


@pytest.mark.parametrize("path", sorted(WEB.glob("*.*")), ids=lambda path: path.name)
def test_no_file_names_another_host_or_writes_markup(path: Path) -> None:
    """Not even in a style sheet; text of documents goes through text nodes only."""
    content = path.read_text(encoding="utf-8")
    hosts = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", content)) - {"http://www.w3.org"}
    assert hosts == set()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", content)


def test_ids_are_unique_and_every_field_has_a_label(page: Page) -> None:
    """A label of its own, or one around it."""
    assert len(page.ids) == len(set(page.ids))
    wrapped = {"mode", "top-k", "rerank", "password", "status-filter"}
    assert {str(field.get("id")) for field in page.fields} == page.labelled | wrapped


@pytest.fixture
def browser(url: str, tmp_path: Path) -> Iterator[Browser]:
    """A browser on the page of a server with two documents, one of them hostile."""
    if missing := missing_programs():
        pytest.skip(f"needs {' and '.join(missing)} (Debian: apt install chromium chromium-driver)")
    with httpx.Client(base_url=url, timeout=30) as client:
        upload(client, {"ships.txt": SHIPS, "cat.txt": TEXT})
    with browsing(tmp_path / "profile") as opened:
        opened.open(url)
        opened.wait_for(lambda: opened.text("#collection"))
        yield opened


def test_a_question_is_answered_with_the_quote_marked_in_its_text(browser: Browser) -> None:
    """Offsets are code points: an emoji before the quote must not move the mark. Nothing of the document runs."""
    browser.type("#question", "What is the harbour cat called?")
    browser.click("#ask-form button")
    browser.wait_for(lambda: browser.text("#answer .evidence mark"))
    browser.wait_for(lambda: browser.text(".evidence .facts:not(.break)").startswith("✓ Found word for word"))
    assert browser.text("#answer .evidence mark") == "The harbour cat is called Mackerel."
    assert HOSTILE in browser.text("#answer .context")
    assert "ticket office" in browser.text("#answer .context")
    assert browser.run("return window.hacked ?? null") is None
    assert re.match(r"Answered with \d+ citations? in", browser.text("#ask-status"))
    browser.click("#answer .marker")
    assert browser.run("return document.activeElement.id") == "evidence-1"
    assert browser.errors() == []


def test_a_refusal_is_shown_with_its_reason_and_the_nearest_passages(browser: Browser) -> None:
    """As a result of its own, not as an error."""
    browser.type("#question", "Who won the chess tournament on Saturday?")
    browser.click("#ask-form button")
    assert browser.wait_for(lambda: browser.text("#answer .refusal h2"))
    assert "needed" in browser.text("#answer .refusal .gauge")
    assert browser.text("#problem") == ""
    assert browser.errors() == []


def test_documents_still_coming_in_are_told(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the answer or refusal, which knows nothing of them."""
    monkeypatch.setattr(Jobs, "documents_pending", lambda self, collection_pk: 1)
    browser.type("#question", "Who won the chess tournament on Saturday?")
    browser.click("#ask-form button")
    assert browser.wait_for(lambda: "1 document was still being ingested" in browser.text("#answer .pending"))


def test_files_are_uploaded_listed_and_deleted(browser: Browser, tmp_path: Path) -> None:
    """Failures say why; deleting asks first."""
    (tmp_path / "note.txt").write_text("A short note on the tide tables.")
    (tmp_path / "empty.txt").write_text(" ")
    browser.click("#tab-documents")
    browser.type("#files", f"{tmp_path / 'note.txt'}\n{tmp_path / 'empty.txt'}")
    browser.wait_for(lambda: browser.text("#upload-status") == "1 ingested, 1 failed")
    assert "empty.txt" in browser.text("#upload-failures")
    assert "empty_document" in browser.text("#upload-failures")
    browser.wait_for(lambda: "note.txt" in browser.text("#document-list"))
    browser.click("#document-list [aria-label='Delete note']")
    assert browser.text("#delete-name") == "note.txt"
    browser.click("#delete-dialog [value='cancel']")
    browser.click("#document-list [aria-label='Delete note']")
    browser.click("#delete-dialog [value='delete']")
    browser.wait_for(lambda: browser.text("#list-status").startswith("Deleted note.txt. Receipt: rcpt_"))
    assert "note.txt" not in browser.text("#document-list")
    assert browser.errors() == []


def test_search_shows_the_score_of_every_stage(browser: Browser) -> None:
    """For each passage, by rank."""
    browser.click("#tab-search")
    browser.type("#query", "ferry Aurora")
    browser.click("#search-form button")
    shown = browser.wait_for(lambda: browser.text("#hits li"))
    assert "ships.txt" in shown
    assert re.search(r"lexical\s+\d", shown)
    assert browser.errors() == []


def test_code_points_are_counted_as_the_service_counts_them(browser: Browser) -> None:
    """Beyond the basic plane, a JavaScript string has two units for one character; cuts never split one."""
    script = """
        const done = arguments[arguments.length - 1];
        import("/web/text.js").then(({ surroundings }) => { window.found = surroundings(...arguments[0]); });
    """
    text = "a😀" * 200 + " the quote 😀 here " + "😀b" * 200
    start = text.index("the quote")
    browser.run(script, [text, start, start + len("the quote 😀 here"), 21])
    found = browser.wait_for(lambda: browser.run("return window.found"))
    assert found["quote"] == "the quote 😀 here"
    assert found["before"].encode() in text.encode()
    assert found["after"].encode() in text.encode()
    assert (found["cutBefore"], found["cutAfter"]) == (True, True)


def test_the_page_fits_a_narrow_screen(browser: Browser) -> None:
    """Nothing is wider than 360 pixels, in any view."""
    browser.narrow(360)
    browser.type("#question", "What is the harbour cat called?")
    browser.click("#ask-form button")
    browser.wait_for(lambda: browser.text("#answer .evidence mark"))
    for tab in ("ask", "search", "documents"):
        browser.click(f"#tab-{tab}")
        assert browser.run("return document.documentElement.scrollWidth") <= 360
