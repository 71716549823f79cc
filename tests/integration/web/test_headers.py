"""What stands around every page: policies, cookies, proof that a form is ours."""

from __future__ import annotations

import re

import pytest

from tests.integration.web.site import BOTH, CHILD, PAT, Answer, Site, Visitor


@pytest.fixture
def pages(site: Site) -> dict[str, Answer]:
    """Each page once, as a person meets it."""
    child = site.visitor()
    seen: dict[str, Answer] = {}

    def meet(answer: Answer) -> Answer:
        assert answer.page is not None
        return seen.setdefault(answer.page, answer)

    flow = site.authorize(child)
    meet(child.get(flow))
    child.send(flow, CHILD)
    meet(child.get(flow))
    child.send(flow, {"parent_email": PAT})
    meet(child.get(flow))
    parent, link = site.parent_at("parent_notice")
    meet(parent.get(link))
    parent.send(link, {"continue": "1"})
    meet(parent.get(link))
    assert site.services.sandbox is not None
    site.services.sandbox.set_outcome("payment_transaction", "pass")
    parent.send(link, {"method": "payment_transaction"})
    meet(parent.get(link))
    parent.send(link, {"continue": "1"})
    meet(parent.get(link))
    parent.send(link, BOTH)
    meet(parent.get(link))
    meet(parent.get(f"{link}/withdraw"))
    meet(parent.get("/parent/"))
    parent.send("/parent/", {"email": PAT})
    meet(parent.get(site.link(door="sign-in")))
    site.sign_in(parent=parent)
    meet(parent.get("/parent/"))
    [consent] = site.rows()["consents"]
    meet(parent.get(f"/parent/erase/{consent.id}"))
    meet(parent.get("/parent/request/forged"))
    meet(parent.get("/nowhere"))
    meet(parent.get("/"))
    meet(parent.get("/notice/storybuddy"))
    meet(parent.get("/oauth/authorize"))
    meet(parent.get("/sandbox/mailbox"))
    return seen


def test_every_page_is_under_one_strict_policy(pages: dict[str, Answer]) -> None:
    assert len(pages) >= 17
    for name, answer in pages.items():
        headers = answer.raw.headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy, name
        assert "unsafe" not in policy, name
        assert "frame-ancestors 'none'" in policy, name
        assert "base-uri 'none'" in policy, name
        assert headers["X-Content-Type-Options"] == "nosniff", name
        assert headers["Referrer-Policy"] == "no-referrer", name
        assert headers["X-Frame-Options"] == "DENY", name
        assert headers["Cache-Control"] == "no-store", name
        assert headers["X-Request-ID"], name
        assert not re.search(r"<script(?![^>]* src=)|style=|\son\w+=|javascript:", answer.text), (
            name
        )


def test_a_form_may_lead_exactly_to_the_client_and_only_on_its_visit(
    pages: dict[str, Answer],
) -> None:
    for name, answer in pages.items():
        [targets] = re.findall(
            r"form-action ([^;]+)", answer.raw.headers["Content-Security-Policy"]
        )
        if name in {"age_screen", "parent_contact", "consent_pending"}:
            assert targets == "'self' https://storybuddy.example", name
        else:
            assert targets in {"'self'", "'self' http://127.0.0.1:8000"}, name


def test_every_form_carries_its_proof(pages: dict[str, Answer]) -> None:
    for name, answer in pages.items():
        forms = re.findall(r"<form.*?</form>", answer.text, flags=re.DOTALL)
        for form in forms:
            assert 'method="post"' in form, name
            assert 'name="csrf_token"' in form, name


def test_a_private_page_says_who_asks_and_leads_to_the_notice(pages: dict[str, Answer]) -> None:
    for name in ("age_screen", "parent_contact", "parent_notice", "parent_decision"):
        text = pages[name].text
        assert "StoryBuddy Inc." in text, name
        assert "agegate checks ages for StoryBuddy" in text, name
        assert 'href="/notice/storybuddy"' in text, name


@pytest.mark.parametrize("https", [True, False])
def test_cookies_are_closed_to_scripts_and_other_sites(
    migrated_sqlite_url: str, https: bool
) -> None:
    env = {"AGEGATE_PUBLIC_URL": "https://age.example"} if https else {}
    site = Site(migrated_sqlite_url, **env)
    answer = site.visitor().get("/oauth/authorize", query_string=site.request())
    [cookie] = answer.raw.headers.getlist("Set-Cookie")
    site.close()
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    assert ("Secure" in cookie) is https
    assert cookie.startswith("__Host-agegate=" if https else "agegate=")
    assert ("Strict-Transport-Security" in answer.raw.headers) is https


def test_the_page_of_a_letter_sets_no_cookie_for_a_mere_look(site: Site) -> None:
    site.child()
    assert site.visitor().get(site.link()).raw.headers.getlist("Set-Cookie") == []


@pytest.mark.parametrize("given", ["", "x", "0" * 64, "ä", "\x00"])
def test_a_form_without_our_proof_changes_nothing(site: Site, given: str) -> None:
    child = site.visitor()
    flow = site.authorize(child)
    before = site.rows()
    answer = child.post(flow, {"csrf_token": given, **CHILD})
    assert (answer.status, answer.page) == (400, "error")
    assert site.rows() == before


def test_another_browser_s_proof_is_no_proof(site: Site) -> None:
    child, other = site.visitor(), site.visitor()
    flow, others = site.authorize(child), site.authorize(other)
    token = other.get(others).csrf
    assert child.post(flow, {"csrf_token": token, **CHILD}).status == 400
    assert _age_is_open(child, flow)


def test_one_letter_s_proof_does_not_serve_another_letter(site: Site) -> None:
    site.child()
    first = site.link()
    site.child()
    second = site.link()
    assert first != second
    token = site.visitor().get(first).csrf
    answer = site.visitor().post(second, {"csrf_token": token, "continue": "1"})
    assert (answer.status, answer.page) == (400, "error")


@pytest.mark.parametrize("given", ["abc-123", "x" * 64])
def test_a_request_id_is_taken_over_and_shown(site: Site, given: str) -> None:
    answer = site.visitor().get("/nowhere", headers={"X-Request-ID": given})
    assert answer.raw.headers["X-Request-ID"] == given
    assert given in answer.text


@pytest.mark.parametrize("given", ["x" * 65, "<script>", "ä"])
def test_a_strange_request_id_is_not_echoed_raw(site: Site, given: str) -> None:
    headers = {"X-Request-ID": given.encode().decode("latin-1")}
    answer = site.visitor().get("/nowhere", headers=headers)
    assert "<script>" not in answer.text
    assert len(answer.raw.headers["X-Request-ID"]) <= 64


def _age_is_open(child: Visitor, flow: str) -> bool:
    return child.get(flow).page == "age_screen"
