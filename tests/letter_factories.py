"""Notices and letters, valid by default, about the operator that `tests.factories` knows."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

from agegate.domain.ids import Digest
from agegate.domain.letters import (
    ConfirmationLetter,
    ErasureLetter,
    Letter,
    ReceiptLetter,
    SignInLetter,
    WithdrawalLetter,
    direct_notice_letter,
)
from agegate.domain.notice_parts import Section, purpose_in_words
from agegate.domain.notices import DirectNotice, direct_notice
from agegate.domain.operators import Operator
from agegate.domain.words import Language
from tests.factories import an_operator

PORTAL = "https://age.example/parent/"
LINK = f"{PORTAL}request/WyJsaW5rXzEiXQ.aZk0vA.u3dF7Q2pQm1yYt0xkq5r8w2l3E4"
ENDS = date(2026, 12, 6)


def a_direct_notice(
    operator: Operator | None = None, /, *, language: Language = "en", **overrides: Any
) -> DirectNotice:
    """Asks for everything that the operator's first client declares."""
    operator = operator or an_operator()
    client = operator.clients[0]
    notice = direct_notice(
        operator,
        client,
        operator.purposes_of(client),
        language=language,
        methods=client.vpc_methods,
        online_notice_url=operator.online_notice_url or "",
        expires_on=ENDS,
        contact_from_child=True,
        portal_url=PORTAL,
    )
    return replace(notice, **overrides)


def all_letters(language: Language) -> tuple[Letter, ...]:
    """One of each kind."""
    operator = an_operator()
    story, research = (
        purpose_in_words(operator, purpose, language=language) for purpose in operator.purposes
    )
    about: dict[str, Any] = {
        "language": language,
        "client_name": "StoryBuddy",
        "operator_name": "StoryBuddy Inc.",
    }
    return (
        direct_notice_letter(a_direct_notice(operator, language=language), link_url=LINK),
        ConfirmationLetter(
            **about,
            allowed=(story,),
            refused=(research,),
            link_url=LINK,
            portal_url=PORTAL,
            expires_on=ENDS,
        ),
        ReceiptLetter(
            **about,
            decided_on=date(2026, 11, 22),
            allowed=(story,),
            refused=(research,),
            until=date(2027, 11, 22),
            receipt_url=f"{PORTAL}receipt/cr_storybuddy_1",
            portal_url=PORTAL,
            ledger_head=Digest("ab" * 32),
        ),
        WithdrawalLetter(
            **about,
            withdrawn_on=date(2026, 11, 23),
            withdrawn=(story,),
            portal_url=PORTAL,
            operator_email="privacy@storybuddy.example",
        ),
        ErasureLetter(
            **about, erased_on=date(2026, 11, 24), operator_email="privacy@storybuddy.example"
        ),
        SignInLetter(language=language, link_url=LINK, minutes=30),
    )


def a_receipt(language: Language = "en", **overrides: Any) -> ReceiptLetter:
    letter = next(x for x in all_letters(language) if isinstance(x, ReceiptLetter))
    return replace(letter, **overrides)


def text_of(sections: tuple[Section, ...]) -> str:
    return "\n".join(
        line for s in sections for line in (s.heading, *s.paragraphs, *s.items, s.link) if line
    )


def reading_grade(text: str) -> float:
    """Flesch-Kincaid grade of English text, with vowel groups as syllables."""
    sentences = [s for s in re.split(r"[.!?:]\s|\n", text + "\n") if s.strip()]
    words = re.findall(r"[A-Za-z’'-]+", text)
    syllables = sum(
        max(1, len(re.findall(r"[aeiouy]+", re.sub(r"e$", "", word.lower())))) for word in words
    )
    return 0.39 * len(words) / len(sentences) + 11.8 * syllables / len(words) - 15.59
