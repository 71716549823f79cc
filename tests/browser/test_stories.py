"""What people do, from the first page to the last, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browser.live import ChildPages, Live, ParentPages
from tests.support.browser import PHONE, foreign_requests

SMALL: ViewportSize = {"width": PHONE["width"], "height": PHONE["height"]}
NO_SCRIPT = {"java_script_enabled": False}
WITH_SCRIPT: dict[str, object] = {}


@pytest.fixture
def other_page(browser: Browser, page: Page) -> Iterator[Page]:
    """The parent's phone: a browser of its own, like the child's in all else."""
    context = browser.new_context(viewport=SMALL, locale="en-US")
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("page", [NO_SCRIPT, WITH_SCRIPT], indirect=True, ids=["plain", "script"])
def test_a_child_asks_a_parent_allows_and_the_child_goes_on(page: Page, live: Live) -> None:
    left = foreign_requests(page, "http://127.0.0.1")
    address = live.new_parent()
    child = ChildPages(page, live).comes_from_the_app().answers("5", "2017").gives_address(address)
    waiting = page.url
    parent = ParentPages(page, live, address).open_letter().reads_on().pays()
    parent.decides(ai_chat="grant", disclose__researchlab="refuse")
    parent.is_at("parent_receipt")
    assert "Make stories with an AI" in page.inner_text("main")
    page.goto(waiting)
    expect(page).to_have_url(re.compile(re.escape(live.app) + "/callback"))
    assert "code=" in page.url
    assert "iss=" in page.url
    assert left == []
    assert child.presses == 2


def test_an_adult_is_through_with_one_question(page: Page, live: Live) -> None:
    child = ChildPages(page, live).comes_from_the_app().answers("5", "1980")
    expect(page).to_have_url(re.compile(re.escape(live.app) + "/callback"))
    assert child.presses == 1


def test_a_child_goes_on_in_limited_mode_meanwhile(page: Page, live: Live) -> None:
    child = ChildPages(page, live).comes_from_the_app().answers("5", "2017")
    child.gives_address(live.new_parent())
    child.press('[name="continue_limited"]')
    expect(page).to_have_url(re.compile(re.escape(live.app) + "/callback"))


def test_the_waiting_page_moves_on_by_itself(page: Page, other_page: Page, live: Live) -> None:
    address = live.new_parent()
    ChildPages(page, live).comes_from_the_app().answers("5", "2017").gives_address(address)
    parent = ParentPages(other_page, live, address).open_letter().reads_on().pays()
    parent.decides(ai_chat="grant", disclose__researchlab="grant").is_at("parent_receipt")
    expect(page).to_have_url(re.compile(re.escape(live.app) + "/callback"), timeout=25_000)


def test_law_5_refusing_takes_exactly_as_many_presses_as_allowing(
    browser: Browser, live: Live
) -> None:
    presses = {}
    for answer in ("grant", "refuse"):
        context = browser.new_context(viewport=SMALL, java_script_enabled=False)
        page = context.new_page()
        address = live.new_parent()
        ChildPages(page, live).comes_from_the_app().answers("5", "2017").gives_address(address)
        parent = ParentPages(page, live, address).open_letter().reads_on().pays()
        parent.decides(ai_chat=answer, disclose__researchlab=answer).is_at("parent_receipt")
        presses[answer] = parent.presses
        context.close()
    assert presses["refuse"] == presses["grant"]


def test_law_5_both_answers_look_alike(page: Page, live: Live) -> None:
    address = live.new_parent()
    ChildPages(page, live).comes_from_the_app().answers("5", "2017").gives_address(address)
    ParentPages(page, live, address).open_letter().reads_on().pays()
    pairs = page.locator(".yes-no")
    assert pairs.count() == 2
    for number in range(2):
        looks = pairs.nth(number).locator("label").evaluate_all(
            """labels => labels.map(label => {
                const box = label.getBoundingClientRect(), style = getComputedStyle(label)
                return [box.height, style.color, style.backgroundColor, style.borderColor,
                        style.fontSize, style.fontWeight].join('|')
            })"""
        )  # fmt: skip
        widths = [
            box["width"]
            for label in pairs.nth(number).locator("label").all()
            if (box := label.bounding_box())
        ]
        assert looks[0] == looks[1]
        assert abs(widths[0] - widths[1]) <= 1


def test_e_mail_plus_needs_the_second_letter(page: Page, live: Live) -> None:
    address = live.new_parent()
    child = ChildPages(page, live).comes_from_the_app(client="quiet-web")
    child.answers("5", "2017").gives_address(address)
    waiting = page.url
    parent = ParentPages(page, live, address).open_letter().reads_on()
    page.check('[name="method"][value="email_plus"]')
    parent.press("main form button:not([name=change_method])")
    parent.is_at("parent_decision")
    parent.decides(bookshelf="grant").is_at("parent_confirm")
    page.goto(waiting)
    child.is_at("consent_pending")
    parent.open_letter(door="confirm").confirm()
    page.goto(waiting)
    expect(page).to_have_url(re.compile(re.escape(live.app) + "/callback"))


def test_a_parent_takes_it_back_in_the_portal(page: Page, live: Live) -> None:
    address = live.new_parent()
    ChildPages(page, live).comes_from_the_app().answers("5", "2017").gives_address(address)
    parent = ParentPages(page, live, address).open_letter().reads_on().pays()
    parent.decides(ai_chat="grant", disclose__researchlab="grant").is_at("parent_receipt")
    parent.signs_in()
    parent.press('[name="withdraw"]')
    parent.is_at("withdraw_confirm")
    parent.press('[name="confirm"]')
    parent.is_at("parent_portal")
    assert "You took your permission back" in page.inner_text("main")


def test_everything_can_be_done_with_the_keyboard_alone(page: Page, live: Live) -> None:
    """Tab, Space, arrows and Enter; focus is always to be seen."""
    address = live.new_parent()
    page.goto(live.authorize())
    _tab_to(page, '[name="birth_month"]')
    page.keyboard.type("5")
    _tab_to(page, '[name="birth_year"]')
    page.keyboard.type("2017")
    page.keyboard.press("Enter")
    _tab_to(page, '[name="parent_email"]')
    page.keyboard.type(address)
    page.keyboard.press("Enter")
    page.locator('main[data-page="consent_pending"]').wait_for()
    page.goto(live.link(address))
    _press(page, '[name="continue"]')
    _tab_to(page, '[name="method"]')
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.locator('main[data-page="parent_proof"]').wait_for()
    _press(page, '[name="continue"]')
    _press(page, '[name="outcome"][value="pass"]')
    _press(page, '[name="continue"]')
    for purpose in ("ai_chat", "disclose:researchlab"):
        _tab_to(page, f'[name="purpose.{purpose}"]')
        page.keyboard.press("Space")
    _press(page, '[name="submit"]')
    page.locator('main[data-page="parent_receipt"]').wait_for()


def test_an_error_is_said_first_and_focus_goes_there(page: Page, live: Live) -> None:
    child = ChildPages(page, live).comes_from_the_app()
    child.press("main form button")
    page.locator(".errors").wait_for()
    assert page.evaluate("document.activeElement.className") == "errors"
    page.click('.errors a[href="#field-birth_month"]')
    assert page.evaluate("document.activeElement.name") == "birth_month"
    assert page.title().startswith("Error:")


def _tab_to(page: Page, selector: str) -> None:
    target = page.locator(selector).first
    target.wait_for()
    for _ in range(60):
        if target.evaluate("element => element === document.activeElement"):
            outline = target.evaluate(
                """element => {
                    const near = element.closest('label') ?? element
                    return [element, near].some(e => {
                        const style = getComputedStyle(e)
                        return style.outlineStyle !== 'none' || style.boxShadow !== 'none'
                    })
                }"""
            )
            assert outline, f"no focus to be seen on {selector}"
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard never gets to {selector}")


def _press(page: Page, selector: str) -> None:
    _tab_to(page, selector)
    page.keyboard.press("Enter")
