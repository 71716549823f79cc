from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from string import Formatter
from typing import Any

import pytest

from agegate.domain.errors import ConfigurationError, UnlawfulError
from agegate.domain.ids import PurposeId, RecipientId
from agegate.domain.notice_parts import parse_section, purpose_in_words
from agegate.domain.notice_texts import AIMS, DIRECT, METHODS, UNITS
from agegate.domain.notices import (
    DirectNotice,
    digest_of,
    missing_items,
    require_complete,
    sections_from_content,
)
from agegate.domain.online_notice_texts import ONLINE
from agegate.domain.online_notices import online_notice
from agegate.domain.operators import Aim, RecipientRole
from agegate.domain.rule_values import VPC_METHODS
from agegate.domain.words import LANGUAGES, Language
from tests.factories import (
    a_client,
    a_disclosure,
    a_purpose,
    a_quiet_operator,
    a_recipient,
    a_research_lab,
    an_operator,
)
from tests.letter_factories import PORTAL, a_direct_notice, reading_grade, text_of


def section(notice: DirectNotice, key: str) -> str:
    return text_of(tuple(s for s in notice.sections if s.key == key))


# --- the seven items ---------------------------------------------------------------------------


def test_law_40_a_full_notice_lacks_nothing() -> None:
    for language in LANGUAGES:
        assert missing_items(a_direct_notice(language=language)) == ()
        require_complete(a_direct_notice(language=language))


@pytest.mark.parametrize(
    ("overrides", "missing"),
    [
        ({"client_name": " "}, ("(i)", "(ii)")),
        ({"client_name": "", "contact_from_child": False}, ("(ii)",)),
        ({"operator": replace(a_direct_notice().operator, name="\u202e")}, ("(i)", "(ii)")),
        ({"uses": ()}, ("(iii)",)),
        ({"uses": (replace(a_direct_notice().uses[0], data=()),)}, ("(iii)",)),
        ({"uses": (replace(a_direct_notice().uses[0], data=("",)),)}, ("(iii)",)),
        ({"uses": (replace(a_direct_notice().uses[0], use=""),)}, ("(iii)",)),
        ({"uses": (replace(a_direct_notice().uses[0], title=""),)}, ("(iii)",)),
        ({"uses": (replace(a_direct_notice().uses[0], retention_days=0),)}, ("(iii)",)),
        ({"receivers": (replace(a_direct_notice().receivers[0], name=""),)}, ("(iv)",)),
        ({"receivers": ()}, ("(iv)",)),
        ({"online_notice_url": ""}, ("(v)",)),
        ({"online_notice_url": "javascript:alert(1)"}, ("(v)",)),
        ({"methods": ()}, ("(vi)",)),
        ({"methods": ("telepathy",)}, ("(vi)",)),
        ({"expires_on": None}, ("(vii)",)),
    ],
)
def test_law_40_each_empty_item_is_named(
    overrides: dict[str, Any], missing: tuple[str, ...]
) -> None:
    assert missing_items(a_direct_notice(**overrides)) == missing


@pytest.mark.parametrize("field", ["name", "category", "reason"])
def test_law_40_a_receiver_without_its_words_is_item_iv(field: str) -> None:
    notice = a_direct_notice()
    integral, refusable = notice.receivers
    empty: dict[str, Any] = {field: ""}
    damaged = replace(integral, **empty)
    assert missing_items(replace(notice, receivers=(damaged, refusable))) == ("(iv)",)


def test_law_40_sending_an_incomplete_notice_is_refused_with_its_source() -> None:
    with pytest.raises(UnlawfulError, match=r"\(vi\) of 16 CFR 312\.4\(c\)\(1\)"):
        require_complete(a_direct_notice(methods=()))


def test_no_deletion_date_is_owed_where_no_address_came_from_the_child() -> None:
    notice = a_direct_notice(contact_from_child=False, expires_on=None)
    assert missing_items(notice) == ()
    assert "gave us your e-mail address" not in text_of(notice.sections)


# --- what a parent reads -----------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_law_43_every_receiver_stands_with_name_category_and_purpose(language: Language) -> None:
    who = section(a_direct_notice(language=language), "who")
    model = next(line for line in who.split("\n") if "Anthropic PBC" in line)
    assert "AI model provider" in model
    assert "Make stories with an AI" in model
    assert "Without the model there is no story to tell." in model
    lab = next(line for line in who.split("\n") if "University Reading Lab" in line)
    assert "research" in lab
    assert "Share reading progress with researchers" in lab
    assert AIMS[language]["analytics"] in lab


@pytest.mark.parametrize("language", LANGUAGES)
def test_law_44_every_data_item_stands_with_its_use_and_its_end(language: Language) -> None:
    operator = an_operator()
    lines = section(a_direct_notice(operator, language=language), "data").split("\n")
    for purpose in operator.purposes:
        line = next(line for line in lines if purpose.title in line)
        assert all(item in line for item in purpose.data)
        assert purpose.use in line
        assert str(purpose.retention_days) in line


def test_law_45_collection_can_be_allowed_and_sharing_refused() -> None:
    english = section(a_direct_notice(), "choice")
    assert (
        "You may allow StoryBuddy Inc. to collect and use the information and still refuse the "
        "sharing with University Reading Lab."
    ) in english
    assert "What goes to Anthropic PBC is part of StoryBuddy itself" in english
    spanish = section(a_direct_notice(language="es"), "choice")
    assert "negarse a que los comparta con University Reading Lab." in spanish


def test_an_operator_that_shares_nothing_says_so() -> None:
    notice = a_direct_notice(a_quiet_operator())
    assert missing_items(notice) == ()
    assert "Nobody. StoryBuddy Inc. passes none of it on" in section(notice, "who")
    assert "does not allow sharing it with third parties" in section(notice, "choice")
    assert "second letter" in section(notice, "how")


def test_where_a_refusable_receiver_is_absent_nothing_is_offered_to_refuse() -> None:
    client = a_client(purposes=(PurposeId("ai_chat"),))
    notice = a_direct_notice(an_operator(clients=(client,)))
    assert "University Reading Lab" not in text_of(notice.sections)
    assert "still refuse" not in text_of(notice.sections)
    assert missing_items(notice) == ()


def test_a_service_provider_that_no_purpose_names_is_still_named() -> None:
    host = a_recipient(
        id=RecipientId("host"),
        name="Hosting Ltd.",
        category="hosting",
        role=RecipientRole.SERVICE_PROVIDER,
        integral=False,
        integral_reason=None,
    )
    operator = an_operator(recipients=(a_recipient(), a_research_lab(), host))
    who = section(a_direct_notice(operator), "who")
    assert "Hosting Ltd. (hosting) helps to run StoryBuddy. Its aims: running the service." in who


def test_a_service_provider_of_a_purpose_may_use_the_data_for_nothing_else() -> None:
    host = a_recipient(role=RecipientRole.SERVICE_PROVIDER, integral=False, integral_reason=None)
    operator = an_operator(recipients=(host, a_research_lab()))
    assert "may use the information for nothing else" in section(a_direct_notice(operator), "who")


def test_an_integral_third_party_that_no_purpose_names_is_still_named() -> None:
    operator = an_operator(purposes=(a_purpose(recipients=()), a_disclosure()))
    notice = a_direct_notice(operator)
    assert "Anthropic PBC (AI model provider) receives information from" in section(notice, "who")
    assert missing_items(notice) == ()


def test_the_address_is_deleted_by_a_named_day() -> None:
    assert "by 6 December 2026, which is no more than 14 days after" in section(
        a_direct_notice(), "silence"
    )
    assert "el 6 de diciembre de 2026" in section(a_direct_notice(language="es"), "silence")
    assert "The request ends on 6 December 2026." in section(
        a_direct_notice(contact_from_child=False), "silence"
    )


def test_withdrawing_is_explained_with_and_without_a_page_for_it() -> None:
    with_page = next(s for s in a_direct_notice().sections if s.key == "undo")
    assert with_page.link == PORTAL
    without = next(s for s in a_direct_notice(portal_url=None).sections if s.key == "undo")
    assert without.link == ""
    assert "at any time" in without.paragraphs[0]


def test_the_full_notice_and_the_operator_are_one_step_away() -> None:
    more = next(s for s in a_direct_notice().sections if s.key == "more")
    assert more.link == "https://storybuddy.example/children"
    for field in ("StoryBuddy Inc.", "1 Main Street", "+1 217 555 0100", "privacy@storybuddy"):
        assert field in more.paragraphs[0]


def test_law_42_the_only_addresses_are_ours_and_the_online_notice() -> None:
    found = set(re.findall(r"https?://\S+", text_of(a_direct_notice().sections)))
    assert found == {PORTAL, "https://storybuddy.example/children"}


def test_a_name_can_not_dress_up_a_sentence() -> None:
    client = a_client(branding=None, name="Story\u202eydduB\r\nBcc: a@b.example\x00")
    notice = a_direct_notice(an_operator(clients=(client,)))
    assert notice.client_name == "StoryydduB Bcc: a@b.example"
    assert not re.search("[\u202a-\u202e\x00-\x1f]", text_of(notice.sections).replace("\n", ""))


def test_an_abbreviated_name_does_not_end_a_sentence_twice() -> None:
    for language in LANGUAGES:
        assert ".." not in text_of(a_direct_notice(language=language).sections)
        assert ".." not in text_of(online_notice(an_operator(), language=language).sections)


# --- reading grade -----------------------------------------------------------------------------


def test_law_46_our_own_sentences_are_plain_language() -> None:
    # Names and addresses are the operator's: they would weigh more than what we write.
    names = {"client": "it", "operator": "the firm", "names": "them", "name": "Ann"}
    ours = "\n".join(
        text.format_map({**dict.fromkeys(fields_of(text), "so"), **names})
        for text in DIRECT["en"].values()
        if not text.startswith("{operator}, {address}")
    )
    assert reading_grade(ours) <= 8


# --- the catalogues ----------------------------------------------------------------------------


def fields_of(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("table", [DIRECT, METHODS, AIMS, UNITS, ONLINE])
def test_every_language_has_the_same_sentences(table: dict[Language, dict[str, Any]]) -> None:
    assert set(table) == set(LANGUAGES)
    for language in LANGUAGES:
        assert set(table[language]) == set(table["en"])


@pytest.mark.parametrize("table", [DIRECT, ONLINE])
def test_every_language_fills_in_the_same_values(table: dict[Language, dict[str, str]]) -> None:
    for key, english in table["en"].items():
        for language in LANGUAGES:
            assert fields_of(table[language][key]) == fields_of(english), key


def test_every_consent_method_and_aim_has_words() -> None:
    assert set(METHODS["en"]) == VPC_METHODS
    assert set(AIMS["en"]) == {aim.value for aim in Aim}


@pytest.mark.parametrize("language", LANGUAGES)
def test_law_109_no_sentence_promises_too_much(language: Language) -> None:
    texts = [*DIRECT[language].values(), *METHODS[language].values(), *ONLINE[language].values()]
    for text in texts:
        assert not re.search(
            r"verified age|edad verificada|ftc|approved by|aprobad[oa] por|guarante|garantiz",
            text.lower(),
        )


# --- the stored notice -------------------------------------------------------------------------


def test_law_47_a_stored_notice_is_shown_exactly() -> None:
    for language in LANGUAGES:
        notice = a_direct_notice(language=language)
        assert sections_from_content(notice.content()) == notice.sections
        assert digest_of(notice.content()) == notice.digest
        assert json.loads(notice.content())["language"] == language


def test_the_digest_is_the_same_for_the_same_notice_and_another_for_any_other() -> None:
    digests = {
        a_direct_notice().digest,
        a_direct_notice(language="es").digest,
        a_direct_notice(expires_on=date(2026, 12, 7)).digest,
        a_direct_notice(methods=("fmvpi",)).digest,
        a_direct_notice(an_operator(phone="+1 217 555 0101")).digest,
    }
    assert len(digests) == 5
    assert a_direct_notice().digest == a_direct_notice().digest


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"v":2,"kind":"direct_notice","sections":[{}]}',
        '{"v":1,"kind":"direct_notice","sections":[]}',
        '{"v":1,"kind":"direct_notice","sections":["x"]}',
        '{"v":1,"kind":"direct_notice","sections":[{"key":"a","heading":"b"}]}',
    ],
)
def test_what_is_not_a_stored_notice_is_refused(content: str) -> None:
    with pytest.raises(ConfigurationError):
        sections_from_content(content)


def test_a_section_survives_json() -> None:
    for part in a_direct_notice().sections:
        assert parse_section(json.loads(json.dumps(part.to_json()))) == part


# --- a purpose in a receipt --------------------------------------------------------------------


def test_a_purpose_in_words_says_what_whose_hands_and_how_long() -> None:
    operator = an_operator()
    assert purpose_in_words(operator, operator.purposes[1], language="en") == (
        "“Share reading progress with researchers”: reading level and time spent. "
        "Receiver: University Reading Lab. Kept for at most 365 days."
    )
    quiet = a_quiet_operator()
    assert purpose_in_words(quiet, quiet.purposes[0], language="es") == (
        "«Make stories with an AI»: chat messages y account identifier. "
        "Se guarda como máximo 30 días."
    )
