"""Every page in every state, with made-up people: what template tests and previews render."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import agegate
from agegate.domain.online_notices import online_notice
from tests.factories import an_operator

WEB = Path(agegate.__file__).parent / "web"
LANGUAGES = ("en", "es")

Words = Callable[..., str]


@cache
def catalogue(lang: str) -> dict[str, str]:
    """The messages of one language, `page.key` to words; nested tables are joined with dots."""

    def flat(prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for key, value in table.items():
            if isinstance(value, str):
                yield prefix + key, value
            else:
                yield from flat(f"{prefix}{key}.", value)

    return dict(flat("", tomllib.loads((WEB / "i18n" / f"{lang}.toml").read_text("utf-8"))))


def words_of(lang: str) -> Words:
    """The function `t` of the pages. A missing message or value is an error, not a blank."""
    messages = catalogue(lang)

    def t(key: str, **values: object) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: str(values[match[1]]), messages[key])

    return t


@dataclass(frozen=True, slots=True)
class Client:
    name: str = "StoryBuddy"
    colour: str | None = "#3b5bdb"


@dataclass(frozen=True, slots=True)
class Operator:
    legal_name: str = "StoryBuddy Inc."
    address: str = "1 Main Street, Springfield, IL 62701, USA"
    phone: str = "+1 217 555 0100"
    email: str = "privacy@storybuddy.example"
    notice_url: str = "/notice/storybuddy"


@dataclass(frozen=True, slots=True)
class Recipient:
    name: str = "Anthropic PBC"
    category: str = "AI model provider"
    integral_reason: str | None = "Without the model there is no story to tell."
    aims: str = "running the app"
    role: str = "third_party"


@dataclass(frozen=True, slots=True)
class Purpose:
    id: str = "ai_chat"
    title: str = "Make stories with an AI"
    kind: str = "collect_use"
    core: bool = True
    data: tuple[str, ...] = ("chat messages", "account identifier")
    use: str = "Sent to the AI model to write the next part of the story."
    retention: str = "30 days, then erased"
    recipients: tuple[Recipient, ...] = (Recipient(),)
    decision: str | None = None


@dataclass(frozen=True, slots=True)
class Method:
    key: str
    title: str
    needs: str
    kept: str
    seen_by: str
    minutes: int


@dataclass(frozen=True, slots=True)
class Section:
    heading: str
    paragraphs: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    link: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    title: str
    decision: str


@dataclass(frozen=True, slots=True)
class Record:
    record: str
    state: str
    since: str
    until: str | None
    purposes: tuple[Decided, ...]
    can_withdraw: bool
    can_erase: bool
    can_export: bool
    receipt_url: str | None


@dataclass(frozen=True, slots=True)
class Event:
    when: str
    kind: str


@dataclass(frozen=True, slots=True)
class ChildAccount:
    account_made_on: str
    client: Client
    operator: Operator
    records: tuple[Record, ...]
    history: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Letter:
    id: str
    kind: str
    to: str
    subject: str
    sent_at: str
    text: str
    links: tuple[str, ...]
    html_url: str | None


@dataclass(frozen=True, slots=True)
class Sample:
    """One page in one state. `name` is the template, `state` says which state in a word."""

    name: str
    state: str
    context: dict[str, Any]


RESEARCH = Purpose(
    id="disclose:researchlab",
    title="Share reading progress with researchers",
    kind="disclose",
    core=False,
    data=("reading level", "time spent"),
    use="To study how children learn to read.",
    retention="365 days, then erased",
    recipients=(Recipient("University Reading Lab", "research", None, "study and statistics"),),
)
ALONE = Purpose(
    id="streaks",
    title="Remember which stories were read",
    core=False,
    data=("story titles",),
    use="To show the bookshelf again next time.",
    retention="90 days, then erased",
    recipients=(),
)
LONG_CLIENT = Client(
    "The Wonderful and Very Long Winded Storytelling Companion for Curious Little Readers",
    "#ffd43b",
)
LONG_OPERATOR = Operator(
    legal_name="Donaudampfschifffahrtsgesellschaftsverlagsanstalt & Söhne Kinderbuch GmbH <Co> KG",
    email="datenschutzbeauftragte@donaudampfschifffahrtsgesellschaft.example",
)

DAY = {"en": "3 May 2026", "es": "3 de mayo de 2026"}
LATER = {"en": "17 May 2026", "es": "17 de mayo de 2026"}
NEXT_YEAR = {"en": "3 May 2027", "es": "3 de mayo de 2027"}
MOMENT = {"en": "3 May 2026 at 14:05", "es": "3 de mayo de 2026 a las 14:05"}
SOON = {"en": "in about 10 minutes", "es": "en unos 10 minutos"}

NOTICE = (
    Section(
        "Why you get this",
        ("A child gave us your address so that we can ask you. We use it for this alone.",),
    ),
    Section(
        "What happens without your permission",
        ("Nothing. StoryBuddy may not collect, use or share anything until you say yes.",),
    ),
    Section(
        "What StoryBuddy would like to do",
        (),
        (
            "Make stories with an AI: chat messages. Sent to the AI model. Kept for 30 days.",
            "Share progress with researchers: reading level, time spent. Kept for 365 days.",
        ),
    ),
    Section(
        "Who else gets it",
        ("You can allow StoryBuddy's own use and refuse sharing with the Reading Lab.",),
        ("Anthropic PBC (AI model provider), needed to write the story.",),
    ),
    Section("The full notice", ("https://age.example/notice/storybuddy",)),
)


def common(lang: str, **more: object) -> dict[str, Any]:
    """What every page gets."""
    base: dict[str, Any] = {
        "t": words_of(lang),
        "lang": lang,
        "dir": "ltr",
        "sandbox": False,
        "csrf": "csrf-value",
        "client": Client(),
        "operator": Operator(),
    }
    return base | more


def _children(lang: str) -> tuple[ChildAccount, ...]:
    both = (Decided("Make stories with an AI", "grant"), Decided(RESEARCH.title, "refuse"))
    return (
        ChildAccount(
            DAY[lang],
            Client(),
            Operator(),
            (
                Record(
                    "cr_1", "granted", DAY[lang], NEXT_YEAR[lang], both, True, True, True, "/r/cr_1"
                ),
            ),
            tuple(
                Event(MOMENT[lang], kind)
                for kind in ("requested", "notified", "opened", "proved", "decided", "granted")
            ),
        ),
        ChildAccount(
            LATER[lang],
            LONG_CLIENT,
            LONG_OPERATOR,
            (
                Record("cr_2", "withdrawn", LATER[lang], None, both, False, True, True, "/r/cr_2"),
                Record("cr_3", "stale", LATER[lang], None, (), False, False, False, None),
            ),
            (),
        ),
    )


def _child_pages(lang: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    t = words_of(lang)
    yield "age_screen", "plain", {"needs_day": False}
    yield "age_screen", "full_date", {"needs_day": True}
    wrong = {"birth_month": t("errors.month_wrong"), "birth_year": t("errors.year_missing")}
    yield "age_screen", "wrong", {"needs_day": False, "errors": wrong}
    for tone in ("child", "teen"):
        for kind in ("email", "phone"):
            asked = {"contact_kind": kind, "tone": tone, "keep_days": 14, "value": ""}
            yield "parent_contact", f"{tone}_{kind}", asked
    yield (
        "parent_contact",
        "wrong",
        {
            "contact_kind": "email",
            "tone": "child",
            "keep_days": 14,
            "value": "mama@@example",
            "errors": {"parent_email": t("errors.email_wrong")},
        },
    )
    for why in ("came_back", "expired", "changed"):
        once_more = {"contact_kind": "email", "tone": "child", "keep_days": 14, "value": ""}
        yield "parent_contact", why, once_more | {"why_again": why}
    waiting: dict[str, Any] = {
        "tone": "child",
        "state": "sent",
        "sent_at": MOMENT[lang],
        "to": "m•••••@example.com",
        "expires_on": LATER[lang],
        "limited": True,
        "resend_after": None,
        "can_resend": True,
        "resent": False,
        "code": None,
        "code_url": None,
        "refresh_s": 30,
    }
    yield "consent_pending", "plain", waiting
    yield (
        "consent_pending",
        "queued",
        waiting | {"state": "queued", "sent_at": "", "limited": False},
    )
    yield "consent_pending", "resent", waiting | {"resent": True, "resend_after": SOON[lang]}
    coded = {"code": "KESTREL 4729", "code_url": "age.example/parent"}
    yield "consent_pending", "code", waiting | coded | {"can_resend": False}
    yield "consent_pending", "bounced", waiting | {"state": "bounced"}
    yield "consent_pending", "teen", waiting | {"tone": "teen"}
    for outcome in ("done", "limited", "denied", "blocked", "stopped", "expired"):
        back = None if outcome == "blocked" else "https://storybuddy.example/"
        yield "age_result", outcome, {"outcome": outcome, "return_url": back}


def _parent_pages(lang: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    t = words_of(lang)
    made = {"account_made_on": DAY[lang]}
    notice = made | {"expires_on": LATER[lang], "host": "age.example", "sections": NOTICE}
    yield "parent_notice", "plain", notice
    methods = tuple(
        Method(
            key,
            t(f"method.{key}.title"),
            t(f"method.{key}.needs"),
            t(f"method.{key}.kept"),
            t(f"method.{key}.seen_by", app="StoryBuddy"),
            minutes,
        )
        for key, minutes in (("email_plus", 1), ("payment_transaction", 3))
    )
    yield "parent_method", "plain", {"methods": methods}
    yield "parent_method", "one", {"methods": methods[1:]}
    unsaid = {"errors": {"method": t("errors.method_missing")}}
    yield "parent_method", "wrong", {"methods": methods} | unsaid
    for state in ("ready", "waiting", "failed", "inconclusive", "error"):
        proof = {"method": methods[1], "state": state, "can_change": True, "refresh_s": 10}
        yield "parent_proof", state, proof
    yield (
        "parent_proof",
        "ready_email",
        {"method": methods[0], "state": "ready", "can_change": False, "refresh_s": 10},
    )
    purposes = (Purpose(), RESEARCH, ALONE)
    yield "parent_decision", "plain", made | {"purposes": purposes}
    missing = {
        f"purpose.{purpose.id}": t("errors.decision_missing", title=purpose.title)
        for purpose in (RESEARCH, ALONE)
    }
    begun = (Purpose(decision="grant"), RESEARCH, ALONE)
    yield "parent_decision", "wrong", made | {"purposes": begun, "errors": missing}
    decided = made | {"allowed": [Purpose().title, ALONE.title], "refused": [RESEARCH.title]}
    second = decided | {"channel": "email", "to": "m•••••@example.com", "decided_on": DAY[lang]}
    yield "parent_confirm", "coming", second | {"state": "coming", "comes": SOON[lang]}
    texted = second | {"channel": "phone", "to": "+1 ••• ••• 0100", "state": "coming"}
    yield "parent_confirm", "coming_phone", texted | {"comes": SOON[lang]}
    yield "parent_confirm", "ready", second | {"state": "ready", "comes": ""}
    receipt = decided | {
        "state": "granted",
        "decided_on": DAY[lang],
        "until": NEXT_YEAR[lang],
        "record": "cr_01JV7Q8M3ZC5",
        "receipt_url": "/parent/receipts/cr_01JV7Q8M3ZC5",
        "withdraw_url": "/parent/withdraw",
        "portal_url": "/parent/",
    }
    yield "parent_receipt", "granted", receipt
    refused = {"state": "denied", "allowed": [], "refused": [p.title for p in purposes]}
    yield "parent_receipt", "denied", receipt | refused | {"until": None, "withdraw_url": None}
    for ended in ("withdrawn", "stale", "replaced"):
        yield (
            "parent_receipt",
            ended,
            receipt | {"state": ended, "until": None, "withdraw_url": None},
        )
    yield "not_my_child", "plain", {}
    nobody = {"client": None, "operator": None}
    yield "parent_sign_in", "ask", nobody | {"state": "ask", "minutes": 15, "value": ""}
    yield "parent_sign_in", "sent", nobody | {"state": "sent", "minutes": 15, "value": ""}
    unsaid = {"errors": {"email": t("errors.email_missing")}}
    yield "parent_sign_in", "wrong", nobody | {"state": "ask", "minutes": 15, "value": ""} | unsaid
    yield "parent_opened", "plain", nobody | {"host": "age.example"}
    portal = nobody | {"children": _children(lang), "notice": None, "sign_out_url": "/parent/out"}
    yield "parent_portal", "plain", portal
    yield "parent_portal", "withdrawn", portal | {"notice": "withdrawn"}
    yield "parent_portal", "erased", portal | {"notice": "erased"}
    yield "parent_portal", "empty", portal | {"children": ()}
    confirm = made | {"record": "cr_1", "back_url": "/parent/"}
    yield "withdraw_confirm", "plain", confirm | {"allowed": [Purpose().title, ALONE.title]}
    yield "erase_confirm", "plain", confirm


def _other_pages(lang: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    nobody = {"client": None, "operator": None}
    for kind in ("request", "sign_in", "confirm", "unknown"):
        url = "/parent/" if kind == "sign_in" else None
        yield "link_expired", kind, nobody | {"kind": kind, "sign_in_url": url}
    kinds = "bad_request forbidden not_found method_not_allowed conflict not_now too_large too_many"
    for kind in f"{kinds} vendor unavailable internal".split():
        again = SOON[lang] if kind == "too_many" else None
        known = {"kind": kind, "request_id": "rq_4f1c9a", "retry_after": again, "home_url": "/"}
        yield "error", kind, nobody | known
    first = {"kind": "conflict", "request_id": "rq_4f1c9a", "retry_after": None, "home_url": "/x"}
    yield "error", "stays", nobody | first | {"stays": True}
    written = online_notice(an_operator(), language="es" if lang == "es" else "en")
    notice = {
        "client": None,
        "title": written.title,
        "sections": written.sections,
        "updated_on": DAY[lang],
        "parent_url": "/parent/",
    }
    yield "online_notice", "plain", notice
    yield "sandbox_payment", "plain", {"sandbox": True, "amount": "$0.50"}
    letter = Letter(
        "2",
        "direct_notice",
        "parent@example.com",
        "StoryBuddy asks for your permission, for a child who gave your address",
        MOMENT[lang],
        "A child gave us your address.\n\nRead and decide here:\n"
        "https://age.example/parent/request/WyJscV8wMUpWN1E4TTNaQzUiXQ.aBcDeFgHiJkLmNoPqRsTuVwXyZ\n",
        ("https://age.example/parent/request/WyJscV8wMUpWN1E4TTNaQzUiXQ",),
        "/sandbox/mailbox/2.html",
    )
    box = nobody | {"sandbox": True, "refresh_s": 5}
    other = Letter(
        "1", "sign_in", "parent@example.com", "Your sign-in link", DAY[lang], "Hello", (), None
    )
    yield "sandbox_mailbox", "letters", box | {"letters": (letter, other)}
    yield "sandbox_mailbox", "empty", box | {"letters": ()}
    told = {"error": "invalid_request", "description": "redirect_uri is not registered."}
    yield "oauth_error", "plain", nobody | told | {"request_id": "rq_4f1c9a"}
    home = {"parent_url": "/parent/", "mailbox_url": "/sandbox/mailbox", "docs_url": None}
    yield "home", "sandbox", nobody | home | {"sandbox": True}
    yield "home", "plain", nobody | home | {"mailbox_url": None, "docs_url": "/docs/"}


def samples(lang: str) -> list[Sample]:
    """Every page in every state in one language."""
    found: list[Sample] = []
    for pages in (_child_pages, _parent_pages, _other_pages):
        found += [Sample(name, state, common(lang) | more) for name, state, more in pages(lang)]
    return found
