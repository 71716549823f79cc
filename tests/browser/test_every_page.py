"""Each page in each state: accessible, narrow enough, nothing from elsewhere.

In both themes and both languages. `AGEGATE_TEST_PICTURES=folder` keeps a picture of each.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page

from tests.browser.live import Live
from tests.browser.tour import tour
from tests.support.browser import DESKTOP, PHONE, accessibility_problems, foreign_requests

THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where pictures go: the named folder, or one that pytest clears away."""
    folder = Path(os.environ.get("AGEGATE_TEST_PICTURES") or tmp_path / "pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize(
    ("page", "language"),
    [({"locale": "en-US"}, "en"), ({"locale": "es-ES"}, "es")],
    indirect=["page"],
    ids=["en", "es"],
)
def test_every_page_is_fit_for_everybody(
    page: Page, live: Live, language: str, pictures: Path
) -> None:
    left = foreign_requests(page, "http://127.0.0.1")
    wrong: list[str] = []
    seen: list[str] = []
    for name in tour(page, live, language):
        seen.append(name)
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            wrong += [f"{name} {theme}: {problem}" for problem in accessibility_problems(page)]
            _take(page, pictures / f"{name}.{language}.{theme}")
        wrong += [f"{name}: {problem}" for problem in _too_wide(page)]
        wrong += [f"{name}: {problem}" for problem in _not_spoken(page, language)]
    assert wrong == []
    assert left == []
    assert len(seen) == len(set(seen)) >= 35


def _too_wide(page: Page) -> list[str]:
    """At 320 px, which is also 1280 px at 400 %, nothing runs off to the side (WCAG 1.4.10)."""
    page.set_viewport_size({"width": 320, "height": 640})
    width = page.evaluate("document.documentElement.scrollWidth")
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    return [f"{width} px wide at 320 px"] if width > 320 else []


def _not_spoken(page: Page, language: str) -> list[str]:
    spoken = page.evaluate("document.documentElement.lang")
    return [] if spoken == language else [f"is in {spoken}"]


def _take(page: Page, stem: Path) -> None:
    if "AGEGATE_TEST_PICTURES" not in os.environ:
        return
    for size, name in ((DESKTOP, "desktop"), (PHONE, "phone")):
        page.set_viewport_size({"width": size["width"], "height": size["height"]})
        page.screenshot(path=f"{stem}.{name}.png", full_page=True)
