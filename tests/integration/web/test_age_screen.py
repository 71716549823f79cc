"""The neutral age screen over the wire (16 CFR 312.2, 'mixed audience')."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.integration.web.site import ADULT, CHILD, Site, Visitor

HINTS = re.compile(
    r"\b(1[0-9]|under|over|older|younger|old enough|too young|parents?|guardian|grown-ups?|mum|dad"
    r"|adults?|child(ren)?|kids?|teen\w*|minor|consent|permission|allowed|unlock|full)\b",
    re.IGNORECASE,
)
PISTAS = re.compile(
    r"\b(1[0-9]|menor(es)?|mayor(es)?|padres?|madres?|tutor\w*|adult\w*|niñ\w*|adolescente\w*"
    r"|permiso|consentimiento)\b",
    re.IGNORECASE,
)


def words_of(html: str) -> str:
    """What a person or a screen reader may meet: text, title, labels and descriptions."""
    attributes = " ".join(
        re.findall(r'(?:title|aria-label|alt|content|placeholder)="([^"]*)"', html)
    )
    shown = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)
    return f"{re.sub(r'<[^>]+>', ' ', shown)} {attributes}"


def start(site: Site, **parameters: str) -> tuple[Visitor, str]:
    child = site.visitor()
    return child, site.authorize(child, **parameters)


# -- neutral ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "hints"), [("en", HINTS), ("es", PISTAS)], ids=["en", "es"])
@pytest.mark.parametrize("place", ["US", "DE"])
def test_law_14_nothing_on_the_page_hints_at_an_answer(
    site: Site, language: str, hints: re.Pattern[str], place: str
) -> None:
    child, flow = start(site, ui_locales=language, age_region=place)
    page = child.get(flow)
    assert page.page == "age_screen"
    body = re.sub(r"TEST SYSTEM\..*?</p>", "", page.text, flags=re.DOTALL)
    assert hints.findall(words_of(body)) == []
    assert hints.findall(flow) == []


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"birth_month": "5"},
        {"birth_month": "99", "birth_year": "2017"},
        {"birth_month": "5", "birth_year": "17"},
        {"birth_month": "5", "birth_year": "2999"},
        {"birth_month": "5", "birth_year": "1700"},
        {"birth_month": "x", "birth_year": "y"},
    ],
)
@pytest.mark.parametrize(("language", "hints"), [("en", HINTS), ("es", PISTAS)], ids=["en", "es"])
def test_law_14_no_error_hints_at_an_answer_either(
    site: Site, answer: dict[str, str], language: str, hints: re.Pattern[str]
) -> None:
    child, flow = start(site, ui_locales=language)
    page = child.send(flow, answer)
    assert (page.status, page.page) == (422, "age_screen")
    # "1 to 12" is the number of months.
    assert {found[0] for found in hints.finditer(_errors_of(page.text))} <= {"12"}


def _errors_of(html: str) -> str:
    return " ".join(re.findall(r'class="wrong"[^>]*>([^<]*)<', html))


def test_law_13_nothing_is_filled_in_before_or_after_an_error(site: Site) -> None:
    child, flow = start(site)
    for page in (child.get(flow), child.send(flow, {"birth_month": "7", "birth_year": "x"})):
        fields = re.findall(r"<input[^>]*name=\"birth_\w+\"[^>]*>", page.text)
        assert len(fields) == 2
        for field in fields:
            assert "value=" not in field
            assert "placeholder" not in field
            assert 'type="text"' in field
        assert "<select" not in page.text


def test_law_15_there_is_no_checkbox_and_no_puzzle(site: Site) -> None:
    child, flow = start(site)
    assert child.get(flow).controls == {"birth_month", "birth_year"}
    assert not re.search(r'type="(checkbox|radio)"', child.get(flow).text)


def test_law_14_every_answer_leads_to_the_same_kind_of_redirect(site: Site) -> None:
    answers = []
    for birth in (CHILD, ADULT):
        child, flow = start(site)
        answer = child.send(flow, birth)
        answers.append((answer.status, answer.location == flow, len(answer.raw.data)))
    assert answers[0] == answers[1]


def test_law_18_the_first_page_asks_for_the_birth_and_fetches_nothing_from_elsewhere(
    site: Site,
) -> None:
    child, flow = start(site)
    text = child.get(flow).text
    fetched = re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="([^"]+)"', text)
    assert fetched
    assert all(address.startswith("/static/") for address in fetched)
    assert "parent_email" not in text


# -- no way to a better answer ---------------------------------------------------------------------


def test_law_16_back_and_a_second_answer_change_nothing(site: Site) -> None:
    child, flow = start(site)
    before = child.get(flow)
    child.send(flow, CHILD)
    again = child.post(flow, {"csrf_token": before.csrf, **ADULT})
    assert again.status == 303
    assert child.get(again.location).page == "parent_contact"


def test_law_16_reload_new_tab_and_new_request_show_the_same(site: Site) -> None:
    child, flow = start(site)
    child.send(flow, CHILD)
    for _ in range(3):
        assert child.get(flow).page == "parent_contact"
    for _ in range(2):
        another = site.authorize(child)
        assert another != flow
        assert child.get(another).page == "parent_contact"
        assert child.get(site.authorize(child, prompt="age")).page == "parent_contact"
        assert child.get(site.authorize(child, prompt="login")).page == "parent_contact"


def test_law_16_a_tab_that_was_open_before_the_answer_is_bound_by_it(site: Site) -> None:
    child, first = start(site)
    second = site.authorize(child)
    page = child.get(second)
    assert page.page == "age_screen"
    child.send(first, CHILD)
    child.post(second, {"csrf_token": page.csrf, **ADULT})
    assert child.get(second).page == "parent_contact"


def test_law_16_a_blocked_child_stays_blocked(site: Site) -> None:
    child = site.visitor()
    flow = site.authorize(child, client_id="storybuddy-forum")
    child.send(flow, CHILD)
    page = child.get(flow)
    assert page.page == "age_result"
    assert "13" not in words_of(page.text)
    assert child.get(site.authorize(child, client_id="storybuddy-forum")).page == "age_result"


def test_law_16_a_changed_cookie_is_a_new_browser_and_no_key_to_the_visit(site: Site) -> None:
    child, flow = start(site)
    child.send(flow, CHILD)
    stranger = site.visitor()
    assert stranger.get(flow).page == "link_expired"
    stranger.http.set_cookie("agegate", "forged.value", domain="127.0.0.1")
    assert stranger.get(flow).status == 410


# -- nothing of it is kept -------------------------------------------------------------------------


def test_law_19_no_birth_is_in_the_database_the_logs_an_address_or_a_cookie(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    child, flow = start(site)
    answer = child.send(flow, {"birth_month": "7", "birth_year": "1961"})
    wrong = child.post(flow, {"csrf_token": "x", "birth_month": "7", "birth_year": "1961"})
    assert answer.location == flow
    done = child.get(flow)
    seen = parse_qs(urlsplit(done.location).query)
    assert set(seen) == {"code", "iss", "state"}
    cookies = " ".join(str(a.raw.headers.getlist("Set-Cookie")) for a in (answer, wrong, done))
    told = f"{caplog.text} {flow} {done.location} {cookies}"
    year = re.compile(r"(?<![0-9a-f])1961(?![0-9a-f])")
    assert not year.search(told)
    assert "birth" not in caplog.text
    url = site.settings.database
    folder = Path(url.removeprefix("sqlite:///")).parent
    site.close()
    for file in folder.glob("agegate.db*"):
        assert not year.search(file.read_bytes().decode("latin-1")), file.name
    assert not year.search(str(site.rows()))


def test_law_17_the_cookie_holds_a_random_id_and_nothing_else(site: Site) -> None:
    child, flow = start(site)
    answer = child.send(flow, CHILD)
    assert answer.raw.headers.getlist("Set-Cookie") == []
    cookie = child.http.get_cookie("agegate", domain="127.0.0.1")
    assert cookie is not None
    assert re.fullmatch(r'"?[\w-]{40,}\.[\w-]+"?', cookie.value)
    other = site.visitor()
    other_flow = site.authorize(other)
    other.send(other_flow, ADULT)
    theirs = other.http.get_cookie("agegate", domain="127.0.0.1")
    assert theirs is not None
    assert len(theirs.value) == len(cookie.value)


def test_law_17_the_online_notice_tells_of_the_cookie(site: Site) -> None:
    text = words_of(site.visitor().get("/notice/storybuddy").text)
    assert "36 hours" in text


def test_a_head_request_asks_and_changes_nothing(site: Site) -> None:
    child, flow = site.child()
    before = site.rows()
    answer = child.head(flow)
    assert answer.raw.headers["X-Agegate-Waiting"] == "1"
    assert answer.text == ""
    assert site.rows() == before
