from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegate.domain.words import (
    counted,
    is_wanting,
    joined,
    language_of,
    long_date,
    plain,
    quoted,
    sentence,
    single_stops,
)


@pytest.mark.parametrize(
    ("locale", "language"),
    [("en", "en"), ("es", "es"), ("es-MX", "es"), ("ES_es", "es"), ("de", "en"), ("", "en")],
)
def test_a_locale_leads_to_a_language_we_write(locale: str, language: str) -> None:
    assert language_of(locale) == language


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Story\r\nBuddy", "Story Buddy"),
        ("a\u202eb\u2066c\u200b\ufeffd", "abcd"),
        ("\u2028line", "line"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("  Zoë  ", "Zoë"),
    ],
)
def test_plain_text_is_one_visible_line(text: str, expected: str) -> None:
    assert plain(text) == expected


@given(st.text())
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert plain(plain(text)) == plain(text)
    assert "\n" not in plain(text)


@pytest.mark.parametrize(
    ("parts", "english", "spanish"),
    [
        ((), "", ""),
        (("a",), "a", "a"),
        (("a", "b"), "a and b", "a y b"),
        (("a", "b", "imagen"), "a, b and imagen", "a, b e imagen"),
        (("a", "hielo"), "a and hielo", "a y hielo"),
        (("a", "«Historia»"), "a and «Historia»", "a e «Historia»"),
    ],
)
def test_things_are_joined_as_people_do(parts: tuple[str, ...], english: str, spanish: str) -> None:
    assert joined(parts, language="en") == english
    assert joined(parts, language="es") == spanish


def test_dates_read_the_same_on_both_sides_of_the_ocean() -> None:
    assert long_date(date(2028, 2, 29), language="en") == "29 February 2028"
    assert long_date(date(2028, 2, 29), language="es") == "29 de febrero de 2028"


def test_sentences_end_once() -> None:
    assert sentence("To study") == "To study."
    assert sentence("Why?") == "Why?"
    assert sentence(" ") == ""
    assert single_stops("by StoryBuddy Inc.. And so on...") == "by StoryBuddy Inc. And so on..."


def test_quotation_marks_are_those_of_the_language() -> None:
    assert (quoted("a", language="en"), quoted("a", language="es")) == ("“a”", "«a»")


def test_numbers_agree_with_what_they_count() -> None:
    assert (counted(1, "day", "days"), counted(2, "day", "days")) == ("1 day", "2 days")


@pytest.mark.parametrize(
    ("texts", "wanting"), [((), True), (("a", " "), True), (("\u200b",), True), (("a", "b"), False)]
)
def test_nothing_and_invisible_words_are_wanting(texts: tuple[str, ...], wanting: bool) -> None:
    assert is_wanting(texts) is wanting
