"""What a parent may do later: see, take back, erase, keep a copy (16 CFR 312.6)."""

from __future__ import annotations

import pytest

from tests.integration.web.site import KIM, PAT, Site


def record_of(site: Site) -> str:
    [consent] = site.rows()["consents"]
    return str(consent.id)


def test_law_87_a_parent_sees_decisions_without_a_password(site: Site) -> None:
    site.grant()
    parent = site.sign_in()
    page = parent.get("/parent/")
    assert page.page == "parent_portal"
    assert "Make stories with an AI" in page.text
    assert {"withdraw", "erase", "export", "sign_out"} <= page.controls
    assert PAT not in page.text


def test_a_stranger_s_address_gets_the_same_page_and_no_letter(site: Site) -> None:
    site.grant()
    answers = []
    for address in (PAT, "stranger@example.org"):
        visitor = site.visitor()
        sent = visitor.send("/parent/", {"email": address})
        shown = visitor.get(sent.location)
        answers.append((sent.status, sent.location, shown.page, len(shown.raw.data)))
    assert answers[0] == answers[1]
    assert site.letters("stranger@example.org") == []


def test_a_sign_in_link_works_once_and_says_so(site: Site) -> None:
    site.grant()
    parent = site.sign_in()
    link = site.link(door="sign-in")
    assert parent.get(link).page == "link_expired"
    assert "/parent/" in parent.get(link).text
    assert parent.post(link, {"csrf_token": "x", "continue": "1"}).status == 400


def test_law_10_a_withdrawal_counts_at_once_for_introspection(any_site: Site) -> None:
    child, flow, _, _ = any_site.grant()
    token = any_site.tokens(child, flow)["access_token"]
    assert any_site.introspect(token)["consent"]["state"] == "granted"
    parent = any_site.sign_in()
    record = record_of(any_site)
    asked = parent.send("/parent/", {"withdraw": record})
    assert asked.location == f"/parent/withdraw/{record}"
    assert parent.get(asked.location).page == "withdraw_confirm"
    assert any_site.introspect(token)["consent"]["state"] == "granted"
    assert parent.send(asked.location, {"confirm": "1"}).status == 303
    assert any_site.introspect(token)["consent"]["state"] == "withdrawn"
    assert any_site.letters()[-1]["kind"] == "withdrawal"
    assert parent.get("/parent/").page == "parent_portal"


def test_law_89_erasing_ends_tokens_and_leaves_nothing_of_either_person(any_site: Site) -> None:
    child, flow, _, _ = any_site.grant()
    token = any_site.tokens(child, flow)["access_token"]
    parent = any_site.sign_in()
    record = record_of(any_site)
    asked = parent.send("/parent/", {"erase": record})
    assert parent.get(asked.location).page == "erase_confirm"
    done = parent.send(asked.location, {"confirm": "1"})
    shown = parent.get(done.location)
    assert (shown.page, shown.status) == ("parent_portal", 200)
    assert "being erased" in shown.text
    assert any_site.introspect(token) == {"active": False}
    assert any_site.letters()[-1]["kind"] == "erasure"
    rows = any_site.rows()
    for name in ("subjects", "parents", "parent_sessions", "contacts", "flows", "browser_subjects"):
        assert rows[name] == [], name
    assert parent.get("/parent/").page == "parent_sign_in"
    assert any_site.services.ledger.verify().first_break is None


def test_law_88_another_parent_s_record_does_not_exist(site: Site) -> None:
    site.grant()
    record = record_of(site)
    site.grant(KIM)
    kim = site.sign_in(KIM)
    token = kim.get("/parent/").csrf
    before = site.rows()
    for answer in (
        kim.get(f"/parent/withdraw/{record}"),
        kim.get(f"/parent/erase/{record}"),
        kim.post(f"/parent/withdraw/{record}", {"csrf_token": token, "confirm": "1"}),
        kim.post(f"/parent/erase/{record}", {"csrf_token": token, "confirm": "1"}),
        kim.post("/parent/", {"csrf_token": token, "withdraw": record}),
        kim.post("/parent/", {"csrf_token": token, "erase": record}),
        kim.post("/parent/", {"csrf_token": token, "export": record}),
    ):
        assert (answer.status, answer.page) == (404, "error")
    assert site.rows() == before
    assert record not in kim.get("/parent/").text


def test_a_copy_to_keep_is_a_file_without_addresses(site: Site) -> None:
    site.grant()
    parent = site.sign_in()
    copy = parent.send("/parent/", {"export": record_of(site)})
    assert copy.raw.mimetype == "application/json"
    assert "attachment" in copy.raw.headers["Content-Disposition"]
    assert copy.raw.get_json()["state"] == "granted"
    assert PAT not in copy.text


def test_signing_out_ends_the_session_also_for_a_copied_cookie(site: Site) -> None:
    site.grant()
    parent = site.sign_in()
    cookie = parent.http.get_cookie("agegate-parent", domain="127.0.0.1")
    assert cookie is not None
    parent.send("/parent/", {"sign_out": "1"})
    thief = site.visitor()
    thief.http.set_cookie("agegate-parent", cookie.value, domain="127.0.0.1")
    assert thief.get("/parent/").page == "parent_sign_in"


@pytest.mark.parametrize("path", ["/parent/withdraw/cr_x", "/parent/erase/cr_x"])
def test_without_a_sign_in_every_wish_leads_to_it(site: Site, path: str) -> None:
    visitor = site.visitor()
    assert visitor.get(path).location == "/parent/"
    token = visitor.get("/parent/").csrf
    assert visitor.post(path, {"csrf_token": token, "confirm": "1"}).location == "/parent/"


def test_pressing_erase_twice_is_one_erasure(site: Site) -> None:
    site.grant()
    first = record_of(site)
    site.grant()  # a second child of the same parent
    parent = site.sign_in()
    token = parent.get(f"/parent/erase/{first}").csrf
    for _ in range(2):
        answer = parent.post(f"/parent/erase/{first}", {"csrf_token": token, "confirm": "1"})
        assert answer.status == 303
    assert parent.get("/parent/").page == "parent_portal"
    erased = [f for f in site.rows()["facts"] if f.kind.value == "subject.erased"]
    assert len(erased) == 1
