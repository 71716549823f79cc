"""Several people press at the same moment: one wins, the others are told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from tests.integration.web.site import BOTH, CHILD, KIM, NEITHER, PAT, Answer, Site


def at_once(acts: list[Callable[[], Answer]]) -> list[Answer]:
    """Start all together; the answers in the order of `acts`."""
    barrier = threading.Barrier(len(acts))
    answers: list[Answer | None] = [None] * len(acts)

    def run(place: int) -> None:
        barrier.wait()
        answers[place] = acts[place]()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [answer for answer in answers if answer is not None]
    assert len(found) == len(acts)
    return found


def test_two_parents_decide_at_once_and_the_second_is_told(any_site: Site) -> None:
    for round_ in range(3):
        to = f"family{round_}@example.org"
        any_site.child(to)
        parent, link = any_site.parent_at("parent_decision", to)
        token = parent.get(link).csrf
        other = any_site.visitor()
        answers = at_once(
            [
                partial(parent.post, link, {"csrf_token": token, **BOTH}),
                partial(other.post, link, {"csrf_token": token, **NEITHER}),
            ]
        )
        assert sorted(a.status for a in answers) == [303, 409]
        [told] = [a for a in answers if a.status == 409]
        assert told.page == "error"
        assert "answered already" in told.text
        page = parent.get(link)
        assert page.page == "parent_receipt"
    decided = [
        f for f in any_site.rows()["facts"] if f.kind.value in {"consent.granted", "consent.denied"}
    ]
    assert len(decided) == 3
    assert any_site.services.ledger.verify().first_break is None


def test_a_double_click_is_one_decision_and_no_reproach(any_site: Site) -> None:
    any_site.child()
    parent, link = any_site.parent_at("parent_decision")
    token = parent.get(link).csrf
    twins = [any_site.visitor() for _ in range(4)]
    answers = at_once([partial(v.post, link, {"csrf_token": token, **BOTH}) for v in twins])
    assert [a.status for a in answers] == [303] * 4
    granted = [f for f in any_site.rows()["facts"] if f.kind.value == "consent.granted"]
    assert len(granted) == 1
    assert [x["kind"] for x in any_site.letters()] == ["direct_notice", "receipt"]


def test_a_child_s_double_click_asks_once(any_site: Site) -> None:
    child = any_site.visitor()
    flow = any_site.authorize(child)
    child.send(flow, CHILD)
    token = child.get(flow).csrf
    cookie = child.http.get_cookie("agegate", domain="127.0.0.1")
    assert cookie is not None
    tabs = [any_site.visitor() for _ in range(4)]
    for tab in tabs:
        tab.http.set_cookie("agegate", cookie.value, domain="127.0.0.1")
    answers = at_once(
        [
            partial(tab.post, flow, {"csrf_token": token, "parent_email": address})
            for tab, address in zip(tabs, (PAT, PAT, KIM, KIM), strict=True)
        ]
    )
    assert [a.status for a in answers] == [303] * 4
    rows = any_site.rows()
    assert len(rows["consents"]) == len(rows["contacts"]) == len(rows["outbox"]) == 1


def test_law_16_two_tabs_answer_at_once_and_make_one_subject(any_site: Site) -> None:
    child = any_site.visitor()
    flows = [any_site.authorize(child) for _ in range(2)]
    token = child.get(flows[0]).csrf
    cookie = child.http.get_cookie("agegate", domain="127.0.0.1")
    assert cookie is not None
    tabs = [any_site.visitor() for _ in flows]
    for tab in tabs:
        tab.http.set_cookie("agegate", cookie.value, domain="127.0.0.1")
    older = {"birth_month": "5", "birth_year": "1980"}
    answers = at_once(
        [
            partial(tab.post, flow, {"csrf_token": token, **birth})
            for tab, flow, birth in zip(tabs, flows, (CHILD, older), strict=True)
        ]
    )
    assert [a.status for a in answers] == [303, 303]
    [subject] = any_site.rows()["subjects"]
    pages = {child.get(flow).page for flow in flows}
    assert len(pages) == 1, (pages, subject.upper)


def test_signing_in_twice_at_once_gives_one_session(any_site: Site) -> None:
    any_site.grant()
    any_site.visitor().send("/parent/", {"email": PAT})
    link = any_site.link(door="sign-in")
    token = any_site.visitor().get(link).csrf
    visitors = [any_site.visitor() for _ in range(3)]
    answers = at_once(
        [partial(v.post, link, {"csrf_token": token, "continue": "1"}) for v in visitors]
    )
    assert min(a.status for a in answers) == 303
    assert {a.status for a in answers} <= {303, 409, 410}
    assert len(any_site.rows()["parent_sessions"]) == 1
