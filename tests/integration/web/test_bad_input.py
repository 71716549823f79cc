"""Every field of every page: absent, empty, doubled, over-long, strange, hostile, mis-encoded.

A kind page or a way on, never a stack trace, never a half-written state. One site serves a whole
table: what a refused form leaves behind would show in the rows after it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.integration.web.site import CHILD, PAT, Site, Visitor

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "sql": "'); DROP TABLE consents; --",
    "template": "{{7*7}}${7*7}%n",
    "bidi": "\u202egro.elpmaxe@tap\u202c",
    "header": "a@b.example\r\nBcc: all@example.org",
    "nul": "a\x00b",
    "long": "9" * 4001,
    "longer": "9" * 200_000,
    "lone surrogate": "\ud800",
    "emoji": "🦄" * 30,
    "digits of another script": "२०१७",
    "huge number": "1" + "0" * 300,
    "negative": "-1",
    "float": "5.0",
    "path": "../../../../etc/passwd",
    "empty": "",
    "spaces": "   ",
}


@dataclass
class Place:
    """One page with a form, and what its fields are called."""

    visitor: Visitor
    path: str
    good: dict[str, str]


def at_age(site: Site) -> Place:
    child = site.visitor()
    return Place(child, site.authorize(child), dict(CHILD))


def at_contact(site: Site) -> Place:
    child = site.visitor()
    flow = site.authorize(child)
    child.send(flow, CHILD)
    return Place(child, flow, {"parent_email": PAT})


def at_pending(site: Site) -> Place:
    child, flow = site.child()
    return Place(child, flow, {"parent_email": "other@example.org"})


def at_notice(site: Site) -> Place:
    site.child()
    parent, link = site.parent_at("parent_notice")
    return Place(parent, link, {"continue": "1"})


def at_method(site: Site) -> Place:
    site.child()
    parent, link = site.parent_at("parent_method")
    return Place(parent, link, {"method": "payment_transaction"})


def at_decision(site: Site) -> Place:
    site.child()
    parent, link = site.parent_at("parent_decision")
    return Place(
        parent, link, {"purpose.ai_chat": "grant", "purpose.disclose:researchlab": "refuse"}
    )


def at_sign_in(site: Site) -> Place:
    return Place(site.visitor(), "/parent/", {"email": PAT})


def at_sign_in_button(site: Site) -> Place:
    site.grant()
    visitor = site.visitor()
    visitor.send("/parent/", {"email": PAT})
    return Place(visitor, site.link(door="sign-in"), {"continue": "1"})


def at_withdraw(site: Site) -> Place:
    _, _, parent, link = site.grant()
    return Place(parent, f"{link}/withdraw", {"confirm": "1"})


def at_erase(site: Site) -> Place:
    site.grant()
    [consent] = site.rows()["consents"]
    return Place(site.sign_in(), f"/parent/erase/{consent.id}", {"confirm": "1"})


def at_confirm(site: Site) -> Place:
    site.child(client_id="quiet-web")
    parent, link = site.visitor(), site.link()
    parent.send(link, {"continue": "1"})
    parent.send(link, {"method": "email_plus"})
    parent.send(link, {"purpose.bookshelf": "grant", "submit": "1"})
    return Place(parent, site.link(door="confirm"), {"confirm": "1"})


PLACES: list[Callable[[Site], Place]] = [
    at_age,
    at_contact,
    at_pending,
    at_notice,
    at_method,
    at_decision,
    at_sign_in,
    at_sign_in_button,
    at_withdraw,
    at_erase,
    at_confirm,
]


@pytest.fixture(params=PLACES, ids=lambda place: place.__name__)
def place(request: pytest.FixtureRequest, site: Site) -> Place:
    found: Place = request.param(site)
    return found


def refused(site: Site, place: Place, send: Callable[[], Any], *, why: str) -> None:
    """A kind answer, and the database as it was."""
    before = site.rows()
    answer = send()
    assert answer.status < 500, (why, answer.status)
    assert answer.status >= 400, (why, answer.status, answer.location)
    assert "Traceback" not in answer.text, why
    assert "alert(1)" not in answer.text or "<script>alert" not in answer.text, why
    assert answer.page is not None, why
    assert site.rows() == before, why


def body(fields: list[tuple[str, bytes]]) -> bytes:
    return b"&".join(quote(name).encode() + b"=" + quote(value).encode() for name, value in fields)


def test_every_field_with_every_hostile_value(site: Site, place: Place) -> None:
    token = place.visitor.get(place.path).csrf
    # A button's name counts, whatever its value; a year in a child's own digits is a year.
    digits = {"digits of another script"}
    buttons = {"nul", "long", "longer"}
    harmless = {
        "continue": set(HOSTILE) - buttons,
        "confirm": set(HOSTILE) - buttons,
        "birth_year": digits,
        "birth_month": digits,
    }
    for name in place.good:
        for why, value in HOSTILE.items():
            if why in harmless.get(name, ()):
                continue
            fields = {**place.good, name: value, "csrf_token": token}
            raw = urlencode({k: v.encode("utf-8", "surrogatepass") for k, v in fields.items()})
            refused(
                site,
                place,
                partial(_form, place, raw),
                why=f"{name}: {why}",
            )


def test_every_field_absent_or_doubled(site: Site, place: Place) -> None:
    token = place.visitor.get(place.path).csrf
    for name, value in place.good.items():
        doubled = urlencode([("csrf_token", token), *place.good.items(), (name, value)])
        refused(site, place, partial(_form, place, doubled), why=f"{name} doubled")
        if place.path.startswith("/parent/request/") and name == "continue":
            continue  # a notice sent without a button is a page looked at again
        absent = {k: v for k, v in place.good.items() if k != name}
        if place.path.startswith("/flow/") and name == "parent_email" and _is_pending(place):
            continue  # nothing was pressed: the page is shown again
        refused(
            site,
            place,
            partial(place.visitor.post, place.path, {"csrf_token": token, **absent}),
            why=f"{name} absent",
        )


def test_the_proof_absent_doubled_or_strange(site: Site, place: Place) -> None:
    token = place.visitor.get(place.path).csrf
    refused(site, place, lambda: place.visitor.post(place.path, place.good), why="absent")
    twice = urlencode([("csrf_token", token), ("csrf_token", token), *place.good.items()])
    refused(site, place, lambda: _form(place, twice), why="doubled")
    for why, value in HOSTILE.items():
        raw = urlencode({"csrf_token": value.encode("utf-8", "surrogatepass"), **place.good})
        refused(site, place, partial(_form, place, raw), why=why)


def test_other_encodings_types_and_sizes(site: Site, place: Place) -> None:
    token = place.visitor.get(place.path).csrf
    fields = {"csrf_token": token, **place.good}
    visitor, path = place.visitor, place.path
    name = next(iter(place.good))
    latin = urlencode({k: v for k, v in fields.items() if k != name}).encode() + (
        b"&" + quote(name).encode() + b"=Pe\xf1a"
    )
    text = urlencode(fields)
    attempts: dict[str, Callable[[], Any]] = {
        "utf-16": lambda: _form(place, text.encode("utf-16")),
        "json": lambda: visitor.post(path, json_of(fields), content_type="application/json"),
        "plain": lambda: visitor.post(path, text, content_type="text/plain"),
        "xml": lambda: visitor.post(path, "<a/>", content_type="application/xml"),
        "file": lambda: visitor.post(
            path,
            {**fields, "selfie": (io.BytesIO(b"x" * 100), "me.jpg")},
            content_type="multipart/form-data",
        ),
        "field as a file": lambda: visitor.post(
            path,
            {"csrf_token": token, name: (io.BytesIO(b"x"), "x.txt")},
            content_type="multipart/form-data",
        ),
        "broken multipart": lambda: visitor.post(
            path, b"--x\r\nbroken", content_type="multipart/form-data; boundary=x"
        ),
        "no boundary": lambda: visitor.post(path, b"--", content_type="multipart/form-data"),
        "huge": lambda: _form(place, f"{text}&x={'y' * 300_000}"),
        "many fields": lambda: _form(place, text + "&" + "&".join(f"f{n}=1" for n in range(5000))),
        "in the address": lambda: visitor.post(f"{path}?{text}", {}),
    }
    if name not in {"continue", "confirm"}:
        attempts["latin-1"] = lambda: _form(place, latin)
    for why, send in attempts.items():
        refused(site, place, send, why=why)


@pytest.mark.parametrize("method", ["put", "delete", "patch", "options", "trace"])
def test_other_verbs_do_nothing(site: Site, place: Place, method: str) -> None:
    before = site.rows()
    answer = place.visitor.http.open(place.path, method=method.upper())
    assert answer.status_code in {200, 405}
    assert method == "options" or answer.status_code == 405
    assert site.rows() == before


def json_of(fields: dict[str, str]) -> str:
    return json.dumps(fields)


def _form(place: Place, raw: str | bytes) -> Any:
    return place.visitor.post(place.path, raw, content_type="application/x-www-form-urlencoded")


def _is_pending(place: Place) -> bool:
    return place.visitor.get(place.path).page == "consent_pending"


# -- addresses -------------------------------------------------------------------------------------

PATHS = (
    "/flow/{}",
    "/notice/{}",
    "/parent/request/{}",
    "/parent/request/{}/withdraw",
    "/parent/request/{}/receipt",
    "/parent/confirm/{}",
    "/parent/sign-in/{}",
    "/parent/withdraw/{}",
    "/parent/erase/{}",
    "/sandbox/payment/{}",
    "/sandbox/letters/{}/html",
    "/static/{}",
)
PIECES = (
    "%00",
    "a%00b",
    "%ff%fe",
    "%ED%A0%80",
    "..%2f..%2fetc%2fpasswd",
    "%3Cscript%3E",
    "'%20OR%201=1--",
    "x" * 3000,
    "%0d%0aSet-Cookie:a=b",
    "%E2%80%AE",
    "1",
    "-1",
)


@pytest.mark.parametrize("path", PATHS)
def test_strange_addresses_are_kind_pages_on_every_database(any_site: Site, path: str) -> None:
    any_site.grant()
    parent = any_site.sign_in()
    before = any_site.rows()
    for piece in PIECES:
        for visitor in (any_site.visitor(), parent):
            answer = visitor.get(path.format(piece))
            assert answer.status in {303, 308, 404, 410}, (piece, answer.status)
            assert "Set-Cookie:a=b" not in str(answer.raw.headers), piece
            assert "<script>" not in answer.text.replace("<script src", ""), piece
    assert any_site.rows() == before


def test_strange_cookies_are_no_cookies(any_site: Site) -> None:
    any_site.child()
    _, link = any_site.parent_at("parent_notice")
    for name in ("agegate", "agegate-parent", "agegate-request"):
        for value in ("", "x", "a.b.c", "%00", '"\\000"', "é", "x" * 3900, '{"a":1}.sig'):
            for path in ("/parent/", "/parent/back", link, "/oauth/authorize"):
                answer = any_site.visitor().get(
                    path, headers={"Cookie": f"{name}={value}".encode().decode("latin-1")}
                )
                assert answer.status in {200, 303, 400, 410}, (name, value, path, answer.status)


def test_strange_languages_are_english(site: Site) -> None:
    for value in ("xx", "*", "en;q=x", "\x01", "es-419, en;q=0.5", "a" * 5000, "../es"):
        answer = site.visitor().get("/", headers={"Accept-Language": value.replace("\x01", "?")})
        assert answer.status == 200, value
        assert site.visitor().get("/", query_string={"lang": value}).status == 200
