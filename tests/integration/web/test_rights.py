"""Every address and verb, and what strangers get from it.

Nobody in particular, another browser, another parent, another operator's back end. A new address
without a line here fails the build.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.web.site import KIM, Answer, Site, Visitor

OPEN = frozenset({200})
NO_PAGE = frozenset({404, 410})
SIGN_IN = frozenset({303})
NO_PROOF = frozenset({400})
NO_CREDENTIALS = frozenset({400, 401})
FOREIGN = frozenset({403, 404})

PUBLIC = (OPEN, OPEN, OPEN, OPEN)
OWN = (NO_PAGE, NO_PAGE, NO_PAGE, NO_PAGE)
"""Addresses of one visit or one record: to everybody else they do not exist."""
PARENT = (SIGN_IN, SIGN_IN, frozenset({404}), SIGN_IN)
FORM = (NO_PROOF, NO_PROOF, NO_PROOF, NO_PROOF)
BACK_END = (NO_CREDENTIALS, NO_CREDENTIALS, NO_CREDENTIALS, frozenset({200, 400, 415}))
BACK_END_OF_ITS_OWN = (NO_CREDENTIALS, NO_CREDENTIALS, NO_CREDENTIALS, FOREIGN)
PRETEND = tuple([frozenset({200, 204, 303, 400, 404, 409})] * 4)

# nobody, another browser, another signed-in parent, another operator's back end
RIGHTS: dict[tuple[str, str], tuple[frozenset[int], ...]] = {
    ("GET", "/"): PUBLIC,
    ("GET", "/static/<path:filename>"): PUBLIC,
    ("GET", "/notice/<operator_id>"): PUBLIC,
    ("GET", "/healthz"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("GET", "/openapi.json"): PUBLIC,
    ("GET", "/schemas/consent-record.json"): PUBLIC,
    ("GET", "/.well-known/oauth-authorization-server"): PUBLIC,
    ("GET", "/.well-known/openid-configuration"): PUBLIC,
    ("GET", "/oauth/jwks.json"): PUBLIC,
    ("GET", "/oauth/status/<int(max=1000000):list_id>"): PUBLIC,
    ("GET", "/oauth/authorize"): tuple([frozenset({400})] * 4),
    ("POST", "/oauth/authorize"): tuple([frozenset({303, 400})] * 4),
    ("POST", "/oauth/token"): BACK_END,
    ("POST", "/oauth/introspect"): BACK_END,
    ("POST", "/oauth/revoke"): BACK_END,
    ("GET", "/oauth/userinfo"): tuple([frozenset({401})] * 4),
    ("POST", "/oauth/userinfo"): tuple([frozenset({401})] * 4),
    ("GET", "/flow/<flow_id>"): OWN,
    ("POST", "/flow/<flow_id>"): OWN,
    # The link itself is the right: these are asked with one that is not theirs.
    ("GET", "/parent/request/<link>"): OWN,
    ("POST", "/parent/request/<link>"): OWN,
    ("GET", "/parent/request/<link>/withdraw"): OWN,
    ("POST", "/parent/request/<link>/withdraw"): OWN,
    ("GET", "/parent/request/<link>/receipt"): OWN,
    ("GET", "/parent/confirm/<link>"): OWN,
    ("POST", "/parent/confirm/<link>"): OWN,
    ("GET", "/parent/sign-in/<link>"): OWN,
    ("POST", "/parent/sign-in/<link>"): tuple([NO_PROOF | NO_PAGE] * 4),
    ("GET", "/parent/back"): OWN,
    ("GET", "/parent/"): PUBLIC,
    ("POST", "/parent/"): FORM,
    ("GET", "/parent/withdraw/<record>"): PARENT,
    ("GET", "/parent/erase/<record>"): PARENT,
    ("POST", "/parent/withdraw/<record>"): FORM,
    ("POST", "/parent/erase/<record>"): FORM,
    ("POST", "/access/v1/evaluation"): BACK_END,
    ("POST", "/access/v1/evaluations"): BACK_END,
    ("GET", "/v1/subjects/<sub>/consents"): BACK_END_OF_ITS_OWN,
    ("GET", "/v1/consents/<record>"): BACK_END_OF_ITS_OWN,
    ("GET", "/v1/consents/<record>/receipt"): BACK_END_OF_ITS_OWN,
    ("GET", "/v1/events"): BACK_END,
    ("GET", "/sandbox/clock"): PUBLIC,
    ("POST", "/sandbox/clock"): PRETEND,
    ("POST", "/sandbox/outcome"): PRETEND,
    ("GET", "/sandbox/letters"): PUBLIC,
    ("GET", "/sandbox/letters/<letter_id>/html"): PRETEND,
    ("GET", "/sandbox/mailbox"): PUBLIC,
    ("GET", "/sandbox/payment/<payment_id>"): PRETEND,
    ("POST", "/sandbox/payment/<payment_id>"): PRETEND,
}


@dataclass
class Family:
    """A granted consent of one family, and everybody who has no business with it."""

    site: Site
    values: dict[str, str]
    secrets: tuple[str, ...]
    strangers: tuple[tuple[str, Visitor, dict[str, Any]], ...]

    def address(self, rule: str) -> str:
        for name, value in self.values.items():
            rule = rule.replace(f"<{name}>", value)
        assert "<" not in rule, rule
        return rule


@pytest.fixture
def family(site: Site) -> Family:
    child, flow, _, link = site.grant()
    token = site.tokens(child, flow)["access_token"]
    sub = str(site.introspect(token)["sub"])
    [consent] = site.rows()["consents"]
    site.grant(KIM)
    kim = site.sign_in(KIM)
    other_child = site.visitor()
    site.authorize(other_child)
    quiet: dict[str, Any] = {"auth": ("quiet-api", site.secrets["quiet-api"])}
    return Family(
        site=site,
        values={
            "path:filename": "agegate.css",
            "operator_id": "storybuddy",
            "int(max=1000000):list_id": "1",
            "flow_id": flow.rpartition("/")[2],
            "link": link.rpartition("/")[2][:-4] + "AAAA",
            "record": consent.id,
            "sub": sub,
            "letter_id": "1",
            "payment_id": "sp_1",
        },
        secrets=(sub, link.rpartition("/")[2], token),
        strangers=(
            ("nobody", site.visitor(), {}),
            ("another browser", other_child, {}),
            ("another parent", kim, {}),
            ("another back end", site.visitor(), quiet),
        ),
    )


def test_every_address_has_its_line(site: Site) -> None:
    known = {
        (method, rule.rule)
        for rule in site.app.url_map.iter_rules()
        for method in rule.methods or ()
        if method not in {"HEAD", "OPTIONS"}
    }
    assert known == set(RIGHTS)


def test_every_blueprint_named_who_may_call_it(site: Site) -> None:
    assert set(site.app.blueprints) == set(site.app.extensions["agegate.access"])


def test_nobody_gets_at_another_family(family: Family) -> None:
    before = _kept(family.site)
    for (method, rule), allowed in RIGHTS.items():
        if rule.startswith("/sandbox/") and method == "POST":
            continue  # the pretend world is everybody's
        for (who, visitor, options), statuses in zip(family.strangers, allowed, strict=True):
            call = visitor.get if method == "GET" else visitor.post
            answer: Answer = call(family.address(rule), **options)
            assert answer.status in statuses, (method, rule, who, answer.status)
            if rule != "/sandbox/letters" and not rule.startswith("/sandbox/mailbox"):
                for secret in family.secrets:
                    assert secret not in answer.text, (method, rule, who)
            answer.raw.close()
    assert _kept(family.site) == before


def _kept(site: Site) -> dict[str, list[Any]]:
    """All rows but visits that strangers may begin; facts and events numbered first."""
    site.services.ledger.integrate()
    return {name: rows for name, rows in site.rows().items() if name != "flows"}


def test_without_a_sandbox_its_doors_do_not_exist(migrated_sqlite_url: str) -> None:
    site = Site(migrated_sqlite_url, AGEGATE_SANDBOX="0")
    assert site.services.sandbox is None
    doors = [rule.rule for rule in site.app.url_map.iter_rules() if "sandbox" in rule.rule]
    page = site.visitor().get("/")
    site.close()
    assert doors == []
    assert "TEST SYSTEM" not in page.text
