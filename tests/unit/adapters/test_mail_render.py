from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter

import pytest

from agegate.adapters.mail import render as module
from agegate.adapters.mail.render import catalogue, render
from agegate.domain.letters import (
    ConfirmationLetter,
    DirectNoticeLetter,
    Letter,
    ReceiptLetter,
    WithdrawalLetter,
)
from agegate.domain.outgoing import OutgoingKind
from agegate.domain.words import LANGUAGES, Language
from tests.letter_factories import LINK, PORTAL, a_receipt, all_letters
from tests.support.golden_letters import FOLDER, letters_as_files

EVERY_LETTER = [letter for language in LANGUAGES for letter in all_letters(language)]
every_letter = pytest.mark.parametrize(
    "letter", EVERY_LETTER, ids=lambda x: f"{x.kind}-{x.language}"
)


class Page(HTMLParser):
    """The visible text, and what a mail reader would fetch or follow."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self._hidden = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag in {"head", "style", "title"}:
            self._hidden += 1
        if tag == "a":
            self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_endtag(self, tag: str) -> None:
        if tag in {"head", "style", "title"}:
            self._hidden -= 1

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text.append(data)


def words(text: str) -> list[str]:
    """Without the marks that only the text part needs: bullets, underlines, the colon of a link."""
    return [word.rstrip(":") for word in text.split() if not re.fullmatch(r"-|-{3,}|={3,}", word)]


# --- both parts --------------------------------------------------------------------------------


@every_letter
def test_law_46_text_and_html_say_the_same_in_the_same_order(letter: Letter) -> None:
    rendered = render(letter)
    assert words(rendered.text) == words(" ".join(Page(rendered.html).text))


@every_letter
def test_a_letter_says_first_why_then_what_then_not_you(letter: Letter) -> None:
    texts = catalogue(letter.language)[letter.kind.value]
    heads = [re.escape(texts[key].split("{")[0].strip()) for key in ("why", "do", "not_mine")]
    flat = " ".join(render(letter).text.split())
    assert re.search(".*".join(heads), flat)
    assert flat.index(texts["not_mine"].split("{")[0].strip()) < 600


@every_letter
def test_every_button_is_also_printed_as_an_address(letter: Letter) -> None:
    rendered = render(letter)
    page = Page(rendered.html)
    for link in page.links:
        assert any(part.strip() == link for part in page.text)
        assert link in rendered.text


@every_letter
def test_law_42_nothing_is_fetched_and_no_link_is_unrelated(letter: Letter) -> None:
    rendered = render(letter)
    page = Page(rendered.html)
    assert not {"img", "script", "link", "iframe", "object", "video", "form", "svg"} & set(
        page.tags
    )
    assert "url(" not in rendered.html
    assert "@import" not in rendered.html
    assert not [a for a in page.attributes if a[1] in {"src", "srcset", "background", "onclick"}]
    ours = {url for url in page.links if url.startswith(PORTAL)}
    assert set(page.links) - ours <= {"https://storybuddy.example/children"}
    assert not re.search(r"utm_|[?&]", " ".join(page.links))


@every_letter
def test_a_letter_is_readable_in_every_reader(letter: Letter) -> None:
    html = render(letter).html
    page = Page(html)
    assert ("html", "lang", letter.language) in page.attributes
    assert page.tags.count("h1") == 1
    assert "max-width:600px" in html
    assert "prefers-color-scheme: dark" in html
    # Tables only place things; a screen reader must not count cells.
    tables = page.tags.count("table")
    assert page.attributes.count(("table", "role", "presentation")) == tables
    # Some mail readers cut a letter at 102,400 bytes.
    assert len(html.encode()) < 50_000


@every_letter
def test_no_text_line_is_too_long_for_mail(letter: Letter) -> None:
    for line in render(letter).text.split("\n"):
        assert len(line) <= 76 or line.startswith("https://")


# --- subjects ----------------------------------------------------------------------------------


def test_the_subject_says_who_and_what() -> None:
    notice = next(x for x in all_letters("en") if isinstance(x, DirectNoticeLetter))
    assert render(notice).subject == (
        "StoryBuddy asks for your permission, for a child who gave your address"
    )


@every_letter
def test_a_subject_names_the_app_and_nothing_of_the_child(letter: Letter) -> None:
    subject = catalogue(letter.language)[letter.kind.value]["subject"]
    assert {name for _, name, _, _ in Formatter().parse(subject) if name} <= {"client"}
    assert "\n" not in render(letter).subject


def test_a_name_is_shown_as_written_and_never_as_markup() -> None:
    letter = a_receipt(client_name="<b>Tom & Jerry</b>", allowed=("<script>alert(1)</script>",))
    rendered = render(letter)
    assert "<script>" not in rendered.html
    assert "&lt;b&gt;Tom &amp; Jerry&lt;/b&gt;" in rendered.html
    assert "<b>Tom & Jerry</b>" in rendered.subject
    assert "<script>alert(1)</script>" in rendered.text


def test_a_name_in_braces_is_not_a_place_holder() -> None:
    letter = a_receipt(client_name="{operator}{{ t.why }}")
    assert "{operator}{{ t.why }}" in render(letter).subject
    assert "{operator}{{ t.why }}" in render(letter).text


def test_control_and_direction_characters_never_leave() -> None:
    letter = a_receipt(client_name="Story\u202eyddub\r\nBcc: x", operator_name="A\u2066B")
    rendered = render(letter)
    everything = rendered.subject + rendered.text + rendered.html
    assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069\r]", everything)


# --- what each letter must carry ---------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_law_33_both_email_plus_letters_say_how_to_revoke(language: Language) -> None:
    notice, confirmation = all_letters(language)[:2]
    assert isinstance(notice, DirectNoticeLetter)
    assert isinstance(confirmation, ConfirmationLetter)
    phrase = {"en": "withdraw your permission at any time", "es": "retirar su permiso cuando"}
    for letter in (notice, confirmation):
        text = " ".join(render(letter).text.split())
        assert phrase[language] in text
        assert PORTAL in text.split()


def test_a_direct_notice_prints_all_of_its_sections() -> None:
    for letter in EVERY_LETTER:
        if isinstance(letter, DirectNoticeLetter):
            text = " ".join(render(letter).text.split())
            for section in letter.sections:
                for part in (section.heading, *section.paragraphs, *section.items, section.link):
                    assert " ".join(part.split()) in text.replace(" - ", " ")
            assert text.count(LINK) == 2


def test_a_receipt_of_a_refusal_says_that_nothing_is_allowed() -> None:
    text = render(a_receipt(allowed=(), until=None, ledger_head=None)).text
    assert "You refused. StoryBuddy Inc. may not collect" in " ".join(text.split())
    assert "You allow" not in text
    assert "ends by itself" not in text
    assert "ledger" not in text


def test_a_receipt_without_refusals_or_end_says_nothing_of_them() -> None:
    text = render(a_receipt(refused=(), until=None)).text
    assert "You refuse" not in text
    assert "ends by itself" not in text


def test_a_confirmation_of_everything_has_no_empty_list() -> None:
    letter = next(x for x in all_letters("en") if isinstance(x, ConfirmationLetter))
    both = (*letter.allowed, *letter.refused)
    for allowed, refused in ((both, ()), ((), both)):
        made = ConfirmationLetter(
            language="en",
            client_name="StoryBuddy",
            operator_name="StoryBuddy Inc.",
            allowed=allowed,
            refused=refused,
            link_url=LINK,
            portal_url=PORTAL,
            expires_on=letter.expires_on,
        )
        text = render(made).text
        assert ("The answer allows" in text) is bool(allowed)
        assert ("The answer refuses" in text) is bool(refused)


def test_a_receipt_and_a_withdrawal_lead_back_to_the_pages_for_parents() -> None:
    for letter in EVERY_LETTER:
        if isinstance(letter, ReceiptLetter | WithdrawalLetter):
            assert PORTAL in Page(render(letter).html).links


# --- the catalogue and the templates -----------------------------------------------------------


def test_every_letter_has_three_templates_and_its_sentences() -> None:
    folder = Path(module.__file__).parent / "templates"
    for kind in OutgoingKind:
        assert {f.name for f in (folder / kind.value).iterdir()} == {
            "subject.txt",
            "body.txt",
            "body.html",
        }
        for language in LANGUAGES:
            assert kind.value in catalogue(language)


def test_every_language_has_the_same_sentences_with_the_same_values() -> None:
    for language in LANGUAGES:
        assert set(catalogue(language)) == set(catalogue("en"))
        for kind, texts in catalogue("en").items():
            assert set(catalogue(language)[kind]) == set(texts)
            for key, text in texts.items():
                assert _fields(catalogue(language)[kind][key]) == _fields(text), (kind, key)


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_letters_are_frozen() -> None:
    """Byte for byte. Meant to change? `.venv/bin/python -m tests.support.golden_letters`."""
    frozen = {f.name: f.read_bytes().decode() for f in FOLDER.iterdir()}
    assert letters_as_files() == frozen
