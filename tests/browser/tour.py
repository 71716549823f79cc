"""Every page in every state a person may meet, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from playwright.sync_api import Page

from tests.browser.live import ChildPages, Live, ParentPages


def tour(page: Page, live: Live, language: str) -> Iterator[str]:
    """Yield a name each time the page has come to something new."""
    yield from _child(page, live, language)
    yield from _parent(page, live, language)
    yield from _portal(page, live, language)
    yield from _email_plus(page, live, language)
    yield from _others(page, live, language)


def _child(page: Page, live: Live, language: str) -> Iterator[str]:
    child = ChildPages(page, live).comes_from_the_app(ui_locales=language)
    yield "age_screen"
    child.answers("99", "")
    yield "age_screen-wrong"
    child.answers("5", "2017").is_at("parent_contact")
    yield "parent_contact"
    page.fill('[name="parent_email"]', "mum@@example")
    child.press("main form button")
    page.locator(".errors").wait_for()
    yield "parent_contact-wrong"
    child.gives_address(live.new_parent())
    yield "consent_pending"
    child.press('[name="change_contact"]')
    child.is_at("parent_contact")
    yield "parent_contact-change"
    page.context.clear_cookies()
    ChildPages(page, live).comes_from_the_app(ui_locales=language).answers("5", "2012")
    page.context.clear_cookies()
    # A younger teen where the law asks a parent.
    teen = ChildPages(page, live).comes_from_the_app(ui_locales=language, age_region="DE")
    teen.answers("5", "2011").is_at("parent_contact")
    yield "parent_contact-teen"
    teen.gives_address(live.new_parent())
    yield "consent_pending-teen"
    page.context.clear_cookies()
    page.goto(live.authorize("storybuddy-forum", ui_locales=language))
    ChildPages(page, live).answers("5", "2017").is_at("age_result")
    yield "age_result-blocked"
    page.context.clear_cookies()


def _asked(page: Page, live: Live, language: str, **parameters: str) -> ParentPages:
    address = live.new_parent()
    child = ChildPages(page, live).comes_from_the_app(ui_locales=language, **parameters)
    child.answers("5", "2017").gives_address(address)
    page.context.clear_cookies()
    return ParentPages(page, live, address).open_letter()


def _parent(page: Page, live: Live, language: str) -> Iterator[str]:
    stranger = _asked(page, live, language)
    stranger.is_at("parent_notice")
    yield "parent_notice"
    stranger.press('[name="not_my_child"]')
    stranger.is_at("not_my_child")
    yield "not_my_child"
    stranger.page.reload()
    parent = _asked(page, live, language).reads_on()
    yield "parent_method"
    parent.press("main form button:not([name=change_method])")
    page.locator(".errors").wait_for()
    yield "parent_method-wrong"
    live.choose_outcome("fail")
    _begin_proof(parent)
    yield "parent_proof"
    parent.press('[name="continue"]')
    parent.is_at("parent_proof")
    yield "parent_proof-failed"
    parent.open_letter().is_at("parent_method")
    live.choose_outcome("wait")
    _begin_proof(parent)
    parent.press('[name="continue"]')
    page.wait_for_url("**?wait=1")
    yield "parent_proof-waiting"
    parent = _asked(page, live, language).reads_on()
    _begin_proof(parent)
    parent.press('[name="continue"]')
    parent.is_at("sandbox_payment")
    yield "sandbox_payment"
    parent.press('[name="outcome"][value="pass"]')
    parent.is_at("parent_proof")
    parent.press('[name="continue"]')
    parent.is_at("parent_decision")
    yield "parent_decision"
    parent.decides(ai_chat="grant")
    page.locator(".errors").wait_for()
    yield "parent_decision-wrong"
    parent.decides(ai_chat="grant", disclose__researchlab="refuse").is_at("parent_receipt")
    yield "parent_receipt"
    page.goto(f"{page.url}/withdraw")
    parent.is_at("withdraw_confirm")
    yield "withdraw_confirm"
    parent.press('[name="confirm"]')
    parent.is_at("parent_receipt")
    yield "parent_receipt-withdrawn"
    other = _asked(page, live, language).reads_on().pays()
    other.decides(ai_chat="refuse", disclose__researchlab="refuse").is_at("parent_receipt")
    yield "parent_receipt-denied"


def _begin_proof(parent: ParentPages) -> None:
    parent.page.check('[name="method"][value="payment_transaction"]')
    parent.press("main form button:not([name=change_method])")
    parent.is_at("parent_proof")


def _portal(page: Page, live: Live, language: str) -> Iterator[str]:
    parent = _asked(page, live, language).reads_on().pays()
    parent.decides(ai_chat="grant", disclose__researchlab="grant").is_at("parent_receipt")
    page.context.clear_cookies()
    page.goto(f"{live.home}/parent/?lang={language}")
    yield "parent_sign_in"
    page.fill('[name="email"]', parent.address)
    before = len(live.letters(parent.address))
    parent.press("main form button")
    page.wait_for_url("**?sent=1")
    yield "parent_sign_in-sent"
    parent.open_letter(door="sign-in", after=before).is_at("parent_opened")
    yield "parent_opened"
    parent.press('[name="continue"]')
    parent.is_at("parent_portal")
    yield "parent_portal"
    parent.press('[name="erase"]')
    parent.is_at("erase_confirm")
    yield "erase_confirm"
    parent.press('[name="confirm"]')
    parent.is_at("parent_portal")
    yield "parent_portal-erased"


def _email_plus(page: Page, live: Live, language: str) -> Iterator[str]:
    parent = _asked(page, live, language, client="quiet-web").reads_on()
    yield "parent_method-two"
    page.check('[name="method"][value="email_plus"]')
    parent.press("main form button:not([name=change_method])")
    parent.is_at("parent_decision")
    yield "parent_decision-one"
    parent.decides(bookshelf="grant").is_at("parent_confirm")
    yield "parent_confirm-coming"
    parent.open_letter(door="confirm").is_at("parent_confirm")
    yield "parent_confirm-ready"
    parent.confirm()


def _others(page: Page, live: Live, language: str) -> Iterator[str]:
    for name, path in {
        "home": "/",
        "online_notice": "/notice/storybuddy",
        "sandbox_mailbox": "/sandbox/mailbox",
        "error-not_found": "/nowhere",
        "link_expired": "/parent/request/old",
        "oauth_error": "/oauth/authorize?client_id=x",
    }.items():
        joint = "&" if "?" in path else "?"
        page.goto(f"{live.home}{path}{joint}lang={language}")
        yield name
