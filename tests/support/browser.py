"""A real browser: the system's Chromium, driven by playwright, which downloads nothing here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
_ARGUMENTS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


def find_browser() -> str | None:
    """Return the path of a Chromium: `$CHROMIUM`, else the first one on the PATH."""
    if named := os.environ.get("CHROMIUM"):
        return named
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    return str(_MAC) if _MAC.exists() else None


# Module, not session: playwright's synchronous driver keeps an event loop running in this thread,
# and a test in another file that calls asyncio.run would then fail. A launch takes under a second.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A running browser, or a skip that says why there is none."""
    executable = find_browser()
    if executable is None:
        pytest.skip("no browser: install chromium or set CHROMIUM to its path")
    arguments = [*_ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=arguments, headless=True)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Page]:
    """A fresh page of the size of a phone. Options by `@pytest.mark.parametrize(…, indirect)`.

    For instance `{"viewport": DESKTOP, "color_scheme": "dark", "java_script_enabled": False}`.
    """
    options: dict[str, Any] = {
        "viewport": PHONE,
        "locale": "en-US",
        **getattr(request, "param", {}),
    }
    context = browser.new_context(**options)
    context.set_default_timeout(10_000)
    page = context.new_page()
    yield page
    context.close()


def accessibility_problems(page: Page) -> list[str]:
    """Run axe-core in the page and return one line per violation of WCAG 2.2 A and AA.

    The script goes in through the debugger, so the page's own content security policy holds.
    """
    script = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
    page.evaluate(script)
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    result = page.evaluate("rules => axe.run(document, {runOnly: rules})", rules)
    return [
        f"{violation['id']}: {violation['help']} at "
        + ", ".join(" ".join(node["target"]) for node in violation["nodes"])
        for violation in result["violations"]
    ]


def foreign_requests(page: Page, origin: str) -> list[str]:
    """Return a list that grows with every request that leaves `origin`; it should stay empty."""
    seen: list[str] = []

    def note(request: Any) -> None:
        if not request.url.startswith((origin, "data:", "blob:")):
            seen.append(request.url)

    page.on("request", note)
    return seen
