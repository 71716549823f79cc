"""The browser under the tests is real, small as a phone, and sees what a visitor would."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.support.browser import DESKTOP, accessibility_problems, foreign_requests

_GOOD = "<!doctype html><html lang=en><title>t</title><main><h1>Hello</h1></main>"


def test_a_page_is_the_size_of_a_phone(page: Page) -> None:
    assert page.evaluate("innerWidth") == 390


@pytest.mark.parametrize("page", [{"viewport": DESKTOP, "color_scheme": "dark"}], indirect=True)
def test_a_page_can_be_dark_and_wide(page: Page) -> None:
    assert page.evaluate("[innerWidth, matchMedia('(prefers-color-scheme: dark)').matches]") == [
        DESKTOP["width"],
        True,
    ]


def test_an_accessible_page_has_no_problems(page: Page) -> None:
    page.set_content(_GOOD)
    assert accessibility_problems(page) == []


def test_a_picture_without_words_is_a_problem(page: Page) -> None:
    page.set_content(_GOOD + "<img src='data:,'>")
    [problem] = accessibility_problems(page)
    assert problem.startswith("image-alt")


def test_requests_to_others_are_seen(page: Page) -> None:
    seen = foreign_requests(page, "http://127.0.0.1:1")
    page.set_content(_GOOD + "<img alt='' src='http://127.0.0.1:2/pixel.gif'>")
    assert seen == ["http://127.0.0.1:2/pixel.gif"]
