"""A headless Chromium driven over the W3C WebDriver protocol, as far as the tests of the web page need it."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_WAIT_S = 30.0
Seen = TypeVar("Seen")


def missing_programs() -> list[str]:
    """What is not installed of what `browsing` needs (Debian: chromium and chromium-driver)."""
    return [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]


class Browser:
    """One window."""

    def __init__(self, session: httpx.Client, path: str) -> None:
        self._session = session
        self._path = path

    def open(self, url: str) -> None:
        self._call("url", url=url)

    def run(self, script: str, *arguments: object) -> Any:
        """The value that the body of a JavaScript function returns."""
        return self._call("execute/sync", script=script, args=list(arguments))

    def type(self, css: str, text: str) -> None:
        """Into a field; into a file field, the paths of files, a line each."""
        element = self._call("element", using="css selector", value=css)[_ELEMENT]
        self._call(f"element/{element}/value", text=text)

    def click(self, css: str) -> None:
        element = self._call("element", using="css selector", value=css)[_ELEMENT]
        self._call(f"element/{element}/click")

    def text(self, css: str) -> str:
        """The text of the first match; empty when there is none, or it is not shown."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", css))

    def wait_for(self, look: Callable[[], Seen]) -> Seen:
        """The first true value of `look`."""
        deadline = time.monotonic() + _WAIT_S
        while not (seen := look()):
            assert time.monotonic() < deadline, self.text("body")
            time.sleep(0.05)
        return seen

    def narrow(self, width: int) -> None:
        """Be as wide as a telephone, which no window can be."""
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        self._call("goog/cdp/execute", cmd="Emulation.setDeviceMetricsOverride", params=metrics)

    def errors(self) -> list[str]:
        """What the browser complained of since the last call: errors of scripts, refusals by the content policy."""
        entries = self._call("se/log", type="browser")
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def _call(self, command: str, **body: object) -> Any:
        response = self._session.post(f"{self._path}/{command}", json=body)
        assert response.is_success, response.text
        return response.json()["value"]


@contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """A browser until the block ends; `profile` is an empty folder."""
    options = [
        "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--window-size=1280,900", f"--user-data-dir={profile}",
    ]  # fmt: skip
    capabilities = {
        "goog:chromeOptions": {"args": options, "binary": shutil.which("chromium")},
        "goog:loggingPrefs": {"browser": "ALL"},
    }
    with _driver() as session:
        made = session.post("/session", json={"capabilities": {"alwaysMatch": capabilities}})
        assert made.is_success, made.text
        path = f"/session/{made.json()['value']['sessionId']}"
        try:
            yield Browser(session, path)
        finally:
            session.delete(path)


@contextmanager
def _driver() -> Iterator[httpx.Client]:
    command = ["chromedriver", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as driver:
        try:
            assert driver.stdout is not None
            started = next(line for line in driver.stdout if "started successfully on port" in line)
            port = started.strip().rstrip(".").rpartition(" ")[2]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as session:
                yield session
        finally:
            driver.terminate()
