"""What a parent meets behind the letter: notice, proof, one decision for each purpose, receipt."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from agegate.domain.consent import Consent
from agegate.services.ending import forget_contact
from tests.integration.web.site import (
    BOTH,
    CHILD,
    CORE_ONLY,
    HOME,
    KIM,
    NEITHER,
    PAT,
    Site,
)

STEPS = ("parent_notice", "parent_method", "parent_proof", "parent_decision")


# -- the letter ------------------------------------------------------------------------------------


def test_law_37_the_child_never_sees_the_parent_s_link(site: Site) -> None:
    child, flow = site.child()
    link = site.link()
    for page in (child.get(flow), child.get(f"{flow}?other=1"), child.get(site.authorize(child))):
        assert link.rpartition("/")[2] not in page.text
        assert PAT not in page.text
    assert "p***@e***.org" in child.get(flow).text


def test_law_43_44_45_the_notice_page_and_both_parts_of_the_letter_say_the_same(site: Site) -> None:
    site.child()
    [letter] = site.letters()
    page = site.visitor().get(site.link()).text
    for words in (
        "Anthropic PBC",
        "AI model provider",
        "University Reading Lab",
        "Sent to the AI model to write the next part of the story.",
        "chat messages",
        "To study how children learn to read.",
    ):
        for text in (letter["text"], letter["html"], page):
            assert words in " ".join(text.split()), words


def test_law_42_a_letter_leads_nowhere_but_here_and_to_the_operator(site: Site) -> None:
    site.grant()
    for letter in site.letters():
        hosts = {urlsplit(url).netloc for url in letter["links"]}
        assert hosts == {urlsplit(HOME).netloc}
        assert "<img" not in letter["html"]


def test_law_46_a_letter_comes_in_the_language_of_the_visit(site: Site) -> None:
    site.child(ui_locales="es")
    [letter] = site.letters()
    assert "permiso" in letter["subject"]
    assert 'lang="es"' in site.visitor().get(site.link()).text


def test_law_47_the_record_keeps_notice_hash_language_and_delivery(site: Site) -> None:
    site.grant()
    [consent] = site.rows()["consents"]
    assert consent.locale == "en"
    assert consent.notified_at is not None
    [notice] = site.rows()["notices"]
    assert notice.id == consent.notice


# -- looking changes nothing -----------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_nine_scanners_may_open_a_link_and_nothing_changes(any_site: Site, step: str) -> None:
    any_site.child()
    parent, link = any_site.parent_at(step)
    before = any_site.rows(counters=True)
    for number in range(9):
        scanner = any_site.visitor()
        visit = scanner.head if number % 3 == 0 else scanner.get
        for path in (link, f"{link}?wait=1", f"{link}/withdraw", f"{link}/receipt"):
            assert visit(path).status in {200, 303, 409}
    assert any_site.rows(counters=True) == before
    assert parent.get(link).page == step


def test_scanners_of_every_other_mailed_link_change_nothing_either(site: Site) -> None:
    _, flow = site.child(client_id="quiet-web")
    parent, link = site.visitor(), site.link()
    parent.send(link, {"continue": "1"})
    parent.send(link, {"method": "email_plus"})
    parent.send(link, {"purpose.bookshelf": "grant", "submit": "1"})
    confirm = site.link(door="confirm")
    parent.send("/parent/", {"email": PAT})
    sign_in = site.link(door="sign-in")
    before = site.rows(counters=True)
    for _ in range(9):
        scanner = site.visitor()
        for path in (confirm, sign_in, link):
            assert scanner.get(path).status == 200
            assert scanner.head(path).status == 200
    assert site.rows(counters=True) == before
    assert parent.get(confirm).page == "parent_confirm"
    assert flow.startswith("/flow/")


# -- deciding --------------------------------------------------------------------------------------


def test_law_5_nothing_is_preselected_and_one_question_stands_for_one_purpose(site: Site) -> None:
    site.child()
    parent, link = site.parent_at("parent_decision")
    text = parent.get(link).text
    radios = re.findall(r'<input type="radio"[^>]*>', text)
    assert len(radios) == 4
    assert not [radio for radio in radios if "checked" in radio]
    assert not re.search(r'type="checkbox"|accept all|allow all', text, re.IGNORECASE)


def test_law_5_refusing_takes_no_more_steps_than_allowing(site: Site) -> None:
    steps = []
    for answers, to in ((BOTH, PAT), (NEITHER, KIM)):
        site.child(to)
        parent, link = site.parent_at("parent_decision", to)
        sent = parent.send(link, answers)
        steps.append((sent.status, parent.get(sent.location).page))
    assert steps[0] == steps[1] == (303, "parent_receipt")


def test_law_4_refusing_the_disclosure_still_gives_a_working_grant(site: Site) -> None:
    child, flow, _, _ = site.grant(answers=CORE_ONLY)
    seen = site.introspect(site.tokens(child, flow)["access_token"])
    assert (seen["consent"]["state"], seen["consent"]["purposes"]) == ("granted", ["ai_chat"])


def test_a_refusal_is_recorded_shown_and_told_to_the_app(site: Site) -> None:
    child, flow, parent, link = site.grant(answers=NEITHER)
    page = parent.get(link)
    assert page.page == "parent_receipt"
    assert "You refuse" in page.text
    seen = site.introspect(site.tokens(child, flow)["access_token"])
    assert (seen["consent"]["state"], seen["consent"]["purposes"]) == ("denied", [])
    assert site.rows()["contacts"] == []


def test_law_1_while_the_parent_decides_the_token_allows_nothing(site: Site) -> None:
    child, flow = site.child()
    answer = child.send(flow, {"continue_limited": "1"})
    code = re.search(r"code=([^&]+)", answer.location)
    assert code is not None
    token = site.redeem(code[1])["access_token"]
    seen = site.introspect(token)
    assert (seen["consent"]["state"], seen["consent"]["purposes"]) == ("pending", [])
    parent, link = site.parent_at("parent_decision")
    parent.send(link, BOTH)
    assert site.introspect(token)["consent"]["state"] == "granted"


def test_law_5_a_missing_answer_shows_the_page_again_with_the_others_kept(site: Site) -> None:
    site.child()
    parent, link = site.parent_at("parent_decision")
    page = parent.send(link, {"purpose.ai_chat": "grant", "submit": "1"})
    assert (page.status, page.page) == (422, "parent_decision")
    assert len(re.findall(r"<input type=\"radio\"[^>]* checked", page.text)) == 1
    assert "Share reading progress with researchers" in re.sub(r"<[^>]+>", "", page.text)
    assert 'role="alert"' in page.text


def test_deciding_again_otherwise_is_told_kindly(site: Site) -> None:
    _, _, parent, link = site.grant()
    [decided] = site.rows()["consents"]
    token = parent.get(f"{link}/withdraw").csrf
    page = parent.post(link, {"csrf_token": token, **NEITHER})
    assert (page.status, page.page) == (409, "error")
    assert "answered already" in page.text
    assert f'href="{link}"' in page.text
    assert site.rows()["consents"] == [decided]


def test_sending_the_same_decision_twice_is_one_decision(site: Site) -> None:
    site.child()
    parent, link = site.parent_at("parent_decision")
    token = parent.get(link).csrf
    for _ in range(2):
        assert parent.post(link, {"csrf_token": token, **CORE_ONLY}).status == 303
    [consent] = site.rows()["consents"]
    assert consent.granted == ("ai_chat",)


@pytest.mark.parametrize("button", ["continue", "method", "change_method", "not_my_child"])
def test_a_button_of_an_old_tab_leads_on_and_decides_nothing(site: Site, button: str) -> None:
    site.child()
    parent, link = site.parent_at("parent_decision")
    answer = parent.send(link, {button: "payment_transaction"})
    assert (answer.status, answer.location) == (303, link)
    assert parent.get(link).page == "parent_decision"


def test_not_my_child_needs_one_press_and_deletes_the_address(site: Site) -> None:
    site.child()
    parent, link = site.visitor(), site.link()
    page = parent.send(link, {"not_my_child": "1"})
    assert (page.status, page.page) == (200, "not_my_child")
    assert site.rows()["contacts"] == []
    assert parent.get(link).page == "link_expired"
    assert PAT not in page.text


def test_the_receipt_is_signed_and_leads_to_taking_it_back(site: Site) -> None:
    _, _, parent, link = site.grant()
    page = parent.get(link)
    assert page.page == "parent_receipt"
    assert f'href="{link}/withdraw"' in page.text
    receipt = parent.get(f"{link}/receipt")
    assert receipt.raw.mimetype == "application/jwt"
    assert receipt.text.count(".") == 2


def test_law_10_a_withdrawal_by_the_receipt_counts_at_once(site: Site) -> None:
    child, flow, parent, link = site.grant()
    token = site.tokens(child, flow)["access_token"]
    assert site.introspect(token)["consent"]["state"] == "granted"
    assert parent.get(f"{link}/withdraw").page == "withdraw_confirm"
    assert parent.send(f"{link}/withdraw", {"confirm": "1"}).status == 303
    seen = site.introspect(token)
    assert seen["active"] is True
    assert (seen["consent"]["state"], seen["consent"]["purposes"]) == ("withdrawn", [])
    assert "took your permission back" in parent.get(link).text


@pytest.mark.parametrize("step", STEPS)
def test_there_is_no_page_to_withdraw_what_was_not_given(site: Site, step: str) -> None:
    site.child()
    parent, link = site.parent_at(step)
    assert parent.get(f"{link}/withdraw").location == link
    token = parent.get(link).csrf
    assert parent.post(f"{link}/withdraw", {"csrf_token": token, "confirm": "1"}).status == 409


# -- proving ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["fail", "inconclusive"])
def test_law_30_a_payment_that_shows_nothing_offers_another_try(site: Site, outcome: str) -> None:
    site.child()
    parent, link = site.parent_at("parent_method")
    assert site.services.sandbox is not None
    site.services.sandbox.set_outcome("payment_transaction", outcome)
    parent.send(link, {"method": "payment_transaction"})
    page = parent.send(link, {"continue": "1"})
    assert (page.status, page.page) == (200, "parent_proof")
    assert parent.get(link).page == "parent_method"
    site.services.sandbox.set_outcome("payment_transaction", "pass")
    parent.send(link, {"method": "payment_transaction"})
    parent.send(link, {"continue": "1"})
    assert parent.get(link).page == "parent_decision"


def test_a_vendor_that_is_away_is_a_kind_page_and_nothing_is_lost(site: Site) -> None:
    site.child()
    parent, link = site.parent_at("parent_method")
    assert site.services.sandbox is not None
    site.services.sandbox.set_outcome("payment_transaction", "error")
    parent.send(link, {"method": "payment_transaction"})
    page = parent.send(link, {"continue": "1"})
    assert (page.status, page.page) == (503, "parent_proof")
    assert parent.get(link).page == "parent_proof"


def test_the_payment_page_lets_a_person_choose_and_leads_back(site: Site) -> None:
    site.child()
    parent, link = site.parent_at("parent_proof")
    shop = parent.send(link, {"continue": "1"})
    path = urlsplit(shop.location).path
    assert path.startswith("/sandbox/payment/")
    assert parent.get(path).page == "sandbox_payment"
    back = parent.post(path, {"outcome": "pass"})
    assert urlsplit(back.location).path == "/parent/back"
    assert parent.get("/parent/back").location == link
    parent.send(link, {"continue": "1"})
    assert parent.get(link).page == "parent_decision"


def test_no_vendor_learns_a_link_that_acts_for_a_parent(site: Site) -> None:
    site.child()
    _, link = site.parent_at("parent_proof")
    secret = link.rpartition("/")[2]
    stored = json.dumps([row.value for row in site.rows(counters=True).get("sandbox_settings", [])])
    assert secret not in stored


@pytest.mark.parametrize("method", ["email_plus", "fmvpi", "magic", ""])
def test_law_8_no_other_method_can_be_sent(site: Site, method: str) -> None:
    site.child()
    parent, link = site.parent_at("parent_method")
    answer = parent.send(link, {"method": method})
    assert answer.status in {409, 422}
    assert parent.get(link).page == "parent_method"


# -- email plus ------------------------------------------------------------------------------------


def test_law_33_an_e_mail_plus_consent_starts_with_its_second_step(site: Site) -> None:
    child, flow = site.child(client_id="quiet-web")
    parent, link = site.visitor(), site.link()
    parent.send(link, {"continue": "1"})
    assert "email_plus" in parent.get(link).text
    parent.send(link, {"method": "email_plus"})
    assert parent.send(link, {"purpose.bookshelf": "grant", "submit": "1"}).status == 303
    assert parent.get(link).page == "parent_confirm"
    assert child.get(flow).page == "consent_pending"
    confirm = site.link(door="confirm")
    assert parent.send(confirm, {"confirm": "1"}).status == 303
    assert parent.get(confirm).page == "parent_receipt"
    assert child.get(flow).status == 303


# -- links -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["request", "sign-in", "confirm"])
def test_law_38_forged_cut_and_foreign_links_are_one_kind_page(site: Site, door: str) -> None:
    _, _, parent, link = site.grant()
    good = link.rpartition("/")[2]
    for text in ("abc", good[:-1], good + "A", "a" * 5000, "%00", "ä", "..%2f..", good.swapcase()):
        page = parent.get(f"/parent/{door}/{text}")
        assert (page.status, page.page) in {(410, "link_expired"), (404, "error")}, text
        assert good not in page.text
    if door != "request":
        assert parent.get(f"/parent/{door}/{good}").page == "link_expired"


def test_law_3_after_fourteen_days_the_link_and_the_address_are_gone(site: Site) -> None:
    _, flow = site.child()
    link = site.link()
    assert site.services.sandbox is not None
    later = site.services.core.now() + timedelta(days=14, seconds=1)
    site.services.sandbox.set_clock(later)
    assert site.visitor().get(link).page == "link_expired"
    site.services.sweeps.sweep()
    rows = site.rows()
    assert rows["contacts"] == []
    assert [c.stage.value for c in rows["consents"]] == ["expired"]
    assert flow.startswith("/flow/")


def test_law_16_a_second_device_of_the_parent_works_as_well(site: Site) -> None:
    site.child()
    _, link = site.parent_at("parent_decision")
    other = site.visitor()
    assert other.get(link).page == "parent_decision"
    assert other.send(link, BOTH).status == 303


def test_law_37_a_letter_opened_on_the_child_s_device_is_flagged(site: Site) -> None:
    child, _ = site.child()
    assert child.send(site.link(), {"continue": "1"}).status == 303
    [consent] = site.rows()["consents"]
    assert consent.opened_in_same_browser


def test_law_39_a_letter_that_came_back_lets_the_child_try_another_address(site: Site) -> None:
    child = site.visitor()
    flow = site.authorize(child)
    child.send(flow, CHILD)
    child.send(flow, {"parent_email": PAT})
    with site.services.core.store.write() as uow:
        [consent] = uow.select(Consent)
        ended = uow.record(consent.revoke("undeliverable", now=uow.now))
        forget_contact(uow, ended)
        uow.commit()
    page = child.get(flow)
    assert page.page == "parent_contact"
    assert "came back" in page.text
    assert child.send(flow, {"parent_email": KIM}).status == 303
    assert child.get(flow).page == "consent_pending"
