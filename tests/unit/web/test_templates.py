"""The pages keep their promises: neutral, unhurried, whole without scripts, in every language."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, render_template
from jinja2 import StrictUndefined

from tests.unit.web.page_samples import (
    LANGUAGES,
    WEB,
    Client,
    Operator,
    Purpose,
    Sample,
    catalogue,
    common,
    samples,
    words_of,
)

TEMPLATES = WEB / "templates"
PAGES = sorted(path.stem for path in TEMPLATES.glob("*.html") if path.stem != "base")
CHILD_PAGES = ("age_screen", "parent_contact", "consent_pending", "age_result")
VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr")
)  # fmt: skip
CSS = (WEB / "static" / "agegate.css").read_text("utf-8")
JS = (WEB / "static" / "agegate.js").read_text("utf-8")


@dataclass(slots=True)
class Element:
    """One element of a parsed page."""

    tag: str
    attrs: dict[str, str]
    parent: Element | None = None
    children: list[Element | str] = field(default_factory=list)

    def walk(self) -> Iterator[Element]:
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def all(self, *tags: str) -> list[Element]:
        return [element for element in self.walk() if element.tag in tags]

    def text(self) -> str:
        parts = (child if isinstance(child, str) else child.text() for child in self.children)
        return " ".join(" ".join(parts).split())

    def inside(self, tag: str) -> bool:
        above = self.parent
        while above is not None and above.tag != tag:
            above = above.parent
        return above is not None


class _Tree(HTMLParser):
    """Builds the tree and complains about tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.root = self.here = Element("document", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> names an attribute twice: {names}"
        element = Element(tag, {name: value or "" for name, value in attrs}, self.here)
        self.here.children.append(element)
        if tag not in VOID:
            self.here = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.here.tag == tag, f"</{tag}> closes <{self.here.tag}>"
        assert self.here.parent is not None
        self.here = self.here.parent

    def handle_data(self, data: str) -> None:
        self.here.children.append(data)


def parse(html: str) -> Element:
    tree = _Tree()
    tree.feed(html)
    tree.close()
    assert tree.here is tree.root, f"<{tree.here.tag}> is never closed"
    return tree.root


def _app() -> Flask:
    app = Flask(__name__, template_folder=str(TEMPLATES), static_folder=str(WEB / "static"))
    app.jinja_env.undefined = StrictUndefined  # a variable no template comment promises is an error
    return app


APP = _app()


def render(name: str, context: dict[str, Any]) -> str:
    with APP.test_request_context("/"):
        return render_template(f"{name}.html", **context)


ALL = [sample for lang in LANGUAGES for sample in samples(lang)]
HTML = {id(sample): render(sample.name, sample.context) for sample in ALL}


def every_page(*names: str, lang: str | None = None) -> list[Any]:
    return [
        pytest.param(sample, id=f"{sample.context['lang']}-{sample.name}-{sample.state}")
        for sample in ALL
        if (not names or sample.name in names) and lang in (None, sample.context["lang"])
    ]


@cache
def _parsed(key: int) -> Element:
    return parse(HTML[key])


def page_of(sample: Sample) -> Element:
    return _parsed(id(sample))


def radios(page: Element) -> list[Element]:
    return [one for one in page.all("input") if one.attrs["type"] == "radio"]


# Words ---------------------------------------------------------------------------------------


def _placeholders(message: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(message) if name}


def test_every_language_has_the_same_messages_with_the_same_values() -> None:
    english = {key: _placeholders(message) for key, message in catalogue("en").items()}
    for lang in LANGUAGES:
        found = {key: _placeholders(message) for key, message in catalogue(lang).items()}
        assert found == english


def test_no_message_is_empty_or_carries_markup() -> None:
    for lang in LANGUAGES:
        for key, message in catalogue(lang).items():
            assert message == message.strip() != "", key
            assert not re.search(r"[<>]|&\w+;", message), key


def test_spanish_is_not_english_left_over() -> None:
    english, spanish = catalogue("en"), catalogue("es")
    same = {key for key in english if english[key] == spanish[key] and " " in english[key]}
    assert same == set()


def test_every_message_is_used_by_a_page_or_an_error() -> None:
    asked: set[str] = set()
    for sample in samples("en"):
        real = sample.context["t"]

        def t(key: str, *, _real: Any = real, **values: object) -> str:
            asked.add(key)
            return str(_real(key, **values))

        render(sample.name, sample.context | {"t": t})
    spare = {
        key
        for key in set(catalogue("en")) - asked
        # words that a view puts into a value
        if key.split(".")[0] not in {"errors", "method", "state", "history"}
        and key != "common.days"
    }
    assert spare == set()


def test_templates_hold_no_words_of_their_own() -> None:
    for path in TEMPLATES.rglob("*.html"):
        source = re.sub(
            r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", path.read_text("utf-8"), flags=re.DOTALL
        )
        words = re.findall(r"[^\W\d_]{2,}", re.sub(r"<[^>]*>", " ", source))
        assert set(words) <= {"agegate"}, path.name


@pytest.mark.parametrize("sample", every_page())
def test_law_109_no_page_says_verified_age_failed_or_too_young(sample: Sample) -> None:
    words = page_of(sample).text().lower()
    for never in ("verified age", "edad verificada", "ftc", "you failed", "too young", "demasiado"):
        if never == "demasiado" and sample.name == "error":
            continue  # "too big", "too many tries"
        assert never not in words


def _syllables(word: str) -> int:
    word = word.lower()
    groups = len(re.findall(r"[aeiouy]+", word))
    silent = word.endswith("e") and not word.endswith(("le", "ee")) and groups > 1
    return max(1, groups - silent)


def reading_grade(text: str) -> float:
    """The Flesch-Kincaid grade level of English text."""
    sentences = [part for part in re.split(r"[.!?:]+\s+|\n", text) if re.search(r"[a-z]", part)]
    words = re.findall(r"[A-Za-z']+", text)
    syllables = sum(_syllables(word) for word in words)
    return 0.39 * len(words) / len(sentences) + 11.8 * syllables / len(words) - 15.59


def _prose(page: Element) -> str:
    """The sentences alone: headings and labels are short and would flatter the grade."""
    blocks = page.all("main")[0].all("p", "li")
    return "\n".join(block.text() for block in blocks)


def test_the_reading_grade_tells_easy_from_hard() -> None:
    assert reading_grade("The cat sat. It was a big cat.\nWe like it.") < 1
    assert reading_grade("Verifiable parental authorisation necessitates documentation.") > 15


@pytest.mark.parametrize("sample", every_page(*CHILD_PAGES, lang="en"))
def test_a_child_can_read_the_pages_for_children(sample: Sample) -> None:
    limit = 7 if str(sample.context.get("tone")) == "teen" else 5
    assert reading_grade(_prose(page_of(sample))) <= limit


@pytest.mark.parametrize("sample", every_page(lang="en"))
def test_a_tired_parent_can_read_every_page(sample: Sample) -> None:
    assert reading_grade(_prose(page_of(sample))) <= 8


@pytest.mark.parametrize("sample", every_page(*CHILD_PAGES, lang="en"))
def test_pages_for_children_avoid_the_words_of_lawyers(sample: Sample) -> None:
    said = page_of(sample).text().lower()
    assert not re.search(r"consent|data process|verif|legal", said)


# Frame ---------------------------------------------------------------------------------------


def test_every_template_has_a_sample_in_every_language() -> None:
    for lang in LANGUAGES:
        assert sorted({sample.name for sample in samples(lang)}) == PAGES


def test_every_template_begins_by_naming_what_it_needs() -> None:
    for path in [*TEMPLATES.rglob("*.html"), *TEMPLATES.rglob("*.svg")]:
        assert path.read_text("utf-8").startswith("{#"), path.name


@pytest.mark.parametrize("sample", every_page())
def test_a_page_names_itself_its_language_and_its_one_question(sample: Sample) -> None:
    page = page_of(sample)
    (html,) = page.all("html")
    assert (html.attrs["lang"], html.attrs["dir"]) == (sample.context["lang"], "ltr")
    (main,) = page.all("main")
    assert main.attrs["data-page"] == sample.name
    assert len(page.all("h1")) == 1
    assert page.all("h1")[0].inside("main")
    (title,) = page.all("title")
    assert title.text()
    assert page.all("header")
    assert page.all("footer")


@pytest.mark.parametrize("sample", every_page())
def test_headings_come_in_order(sample: Sample) -> None:
    main = page_of(sample).all("main")[0]
    # The error summary stands above the question on purpose.
    levels = [
        int(heading.tag[1])
        for heading in main.all("h1", "h2", "h3")
        if heading.parent is not None and "errors" not in heading.parent.attrs.get("class", "")
    ]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("sample", every_page())
def test_ids_are_unique_and_every_reference_finds_its_target(sample: Sample) -> None:
    page = page_of(sample)
    ids = [element.attrs["id"] for element in page.walk() if "id" in element.attrs]
    assert len(ids) == len(set(ids))
    for element in page.walk():
        for name in ("for", "aria-describedby", "aria-labelledby", "data-copy"):
            for target in element.attrs.get(name, "").split():
                assert target in ids
        href = element.attrs.get("href", "")
        if href.startswith("#"):
            assert href[1:] in ids


@pytest.mark.parametrize("sample", every_page())
def test_every_field_has_a_label(sample: Sample) -> None:
    page = page_of(sample)
    labelled = {label.attrs["for"] for label in page.all("label") if "for" in label.attrs}
    for control in page.all("input", "select", "textarea"):
        if control.attrs["type"] != "hidden":
            assert control.inside("label") or control.attrs["id"] in labelled


@pytest.mark.parametrize("sample", every_page())
def test_pages_live_under_a_strict_content_security_policy(sample: Sample) -> None:
    page = page_of(sample)
    assert not page.all("style", "iframe", "object", "embed", "base", "template")
    for script in page.all("script"):
        assert script.attrs["src"].startswith("/static/")
        assert not script.children
    for element in page.walk():
        assert "style" not in element.attrs
        assert not [name for name in element.attrs if name.startswith("on")]
        for name in ("href", "src", "action"):
            assert not element.attrs.get(name, "").lower().startswith(("javascript:", "data:"))


@pytest.mark.parametrize("sample", every_page())
def test_law_18_a_page_asks_nobody_but_us(sample: Sample) -> None:
    page = page_of(sample)
    for element in page.walk():
        loads = [element.attrs.get(name, "") for name in ("src", "srcset", "action", "poster")]
        if element.tag in {"link", "use", "image"}:
            loads.append(element.attrs.get("href", ""))
        assert not [url for url in loads if "//" in url]


def test_law_18_no_template_knows_another_host() -> None:
    for path in TEMPLATES.rglob("*.html"):
        assert "//" not in re.sub(r"\{#.*?#\}", "", path.read_text("utf-8"), flags=re.DOTALL), path


@pytest.mark.parametrize("sample", every_page())
def test_whatever_changes_something_is_a_post_with_its_csrf_value(sample: Sample) -> None:
    page = page_of(sample)
    for form in page.all("form"):
        assert form.attrs["method"] == "post"
        assert [
            one.attrs["value"] for one in form.all("input") if one.attrs.get("name") == "csrf_token"
        ] == [sample.context["csrf"]]
    for button in page.all("button"):
        scripted = button.attrs.get("type") == "button"
        assert scripted or button.inside("form")


@pytest.mark.parametrize("sample", every_page())
def test_each_error_is_said_on_top_and_beside_its_field(sample: Sample) -> None:
    page = page_of(sample)
    errors: dict[str, str] = sample.context.get("errors", {})
    boxes = [one for one in page.walk() if one.attrs.get("role") == "alert"]
    assert len(boxes) == bool(errors)
    for box in boxes:
        assert {"tabindex", "autofocus"} <= box.attrs.keys()
        assert [link.text() for link in box.all("a")] == list(errors.values())
    beside = [one.text() for one in page.walk() if one.attrs.get("class") == "wrong"]
    assert sorted(beside) == sorted(errors.values())


def test_the_sandbox_shouts_on_every_page() -> None:
    banner = words_of("en")("sandbox.banner_words")
    for sample in {sample.name: sample for sample in samples("en")}.values():
        for on in (True, False):
            page = parse(render(sample.name, sample.context | {"sandbox": on}))
            assert (banner in page.all("header")[0].text()) is on


HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}"


@pytest.mark.parametrize("sample", every_page(lang="en"))
def test_hostile_names_stay_text(sample: Sample) -> None:
    context = sample.context | {
        "client": sample.context["client"] and Client(HOSTILE, HOSTILE),
        "operator": sample.context["operator"]
        and Operator(HOSTILE, HOSTILE, HOSTILE, HOSTILE, "/n"),
        "csrf": HOSTILE,
        "to": HOSTILE,
        "value": HOSTILE,
        "record": HOSTILE,
        "request_id": HOSTILE,
        "description": HOSTILE,
        "account_made_on": HOSTILE,
        "allowed": [HOSTILE],
    }
    html = render(sample.name, context)
    assert "<script>alert" not in html
    assert "<img" not in html
    page = parse(html)
    assert len(page.all("script")) == 1
    assert "49" not in page.text()


def test_a_page_reads_from_right_to_left_where_its_language_does() -> None:
    for sample in {sample.name: sample for sample in samples("en")}.values():
        page = parse(render(sample.name, sample.context | {"dir": "rtl"}))
        assert page.all("html")[0].attrs["dir"] == "rtl"
    # Sides are named by reading direction, so that nothing has to be drawn twice.
    assert not re.search(r"\b(margin|padding|border|inset)-(left|right)|[^-](left|right):", CSS)


# The age screen ------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", every_page("age_screen"))
def test_law_13_the_age_screen_is_free_text_without_a_default(sample: Sample) -> None:
    page = page_of(sample)
    assert not page.all("select", "option", "datalist")
    fields = [one for one in page.all("input") if one.attrs["type"] != "hidden"]
    names = ["birth_month", "birth_year"]
    if sample.context["needs_day"]:
        names.insert(1, "birth_day")
    assert [one.attrs["name"] for one in fields] == names
    for one in fields:
        assert (one.attrs["type"], one.attrs["inputmode"]) == ("text", "numeric")
        assert not {"value", "placeholder", "min", "max", "list", "checked"} & one.attrs.keys()


@pytest.mark.parametrize("sample", every_page("age_screen"))
def test_law_14_the_age_screen_hints_at_no_answer(sample: Sample) -> None:
    html = HTML[id(sample)].lower()
    for never in (
        *("13", "16", "18", "21", "under", "parent", "adult", "grown", "child", "kid", "minor"),
        *("older", "younger", "old enough", "padre", "madre", "tutor", "niñ", "menor", "mayor"),
    ):
        assert never not in html, never


@pytest.mark.parametrize("lang", LANGUAGES)
def test_law_14_error_texts_of_the_age_screen_hint_at_no_answer(lang: str) -> None:
    for key, message in catalogue(lang).items():
        if re.match(r"errors\.(month|day|year|date)_", key):
            assert not re.search(r"13|16|18|21|old enough|young|parent|padre|menor", message), key


@pytest.mark.parametrize("sample", every_page("age_screen"))
def test_law_15_the_age_screen_has_no_tick_box_and_no_puzzle(sample: Sample) -> None:
    types = {one.attrs["type"] for one in page_of(sample).all("input")}
    assert types == {"hidden", "text"}


@pytest.mark.parametrize("sample", every_page("age_screen", "parent_contact"))
def test_law_51_the_notice_is_linked_beside_the_fields(sample: Sample) -> None:
    (form,) = page_of(sample).all("form")
    assert [link.attrs["href"] for link in form.all("a")] == ["/notice/storybuddy"]


# The parent decides --------------------------------------------------------------------------


@pytest.mark.parametrize("sample", every_page("parent_decision", "parent_method"))
def test_law_5_nothing_is_chosen_for_the_parent(sample: Sample) -> None:
    chosen = [one.attrs["name"] for one in radios(page_of(sample)) if "checked" in one.attrs]
    own = [
        f"purpose.{purpose.id}"
        for purpose in sample.context.get("purposes", ())
        if purpose.decision is not None
    ]
    assert chosen == own
    assert not [one for one in page_of(sample).all("input") if one.attrs["type"] == "checkbox"]


@pytest.mark.parametrize("sample", every_page("parent_decision"))
def test_law_4_each_purpose_has_its_own_answer(sample: Sample) -> None:
    answers: dict[str, list[str]] = {}
    for one in radios(page_of(sample)):
        assert "required" in one.attrs
        answers.setdefault(one.attrs["name"], []).append(one.attrs["value"])
    assert answers == {
        f"purpose.{purpose.id}": ["grant", "refuse"] for purpose in sample.context["purposes"]
    }
    (button,) = page_of(sample).all("button")
    assert button.attrs["name"] == "submit"


@pytest.mark.parametrize("sample", every_page("parent_decision"))
def test_refusing_weighs_as_much_as_allowing(sample: Sample) -> None:
    """Same element, same class, same number of words, one press each."""
    page = page_of(sample)
    looks: dict[str, set[tuple[str, str, int]]] = {"grant": set(), "refuse": set()}
    for one in radios(page):
        label = one.parent
        assert label is not None
        seen = (label.tag, label.attrs["class"], len(label.text().split()))
        looks[one.attrs["value"]].add(seen)
    assert looks["grant"] == looks["refuse"]
    assert len(looks["grant"]) == 1


def test_no_colour_tells_allow_from_refuse() -> None:
    assert not re.search(
        r"\b(grant|refuse|allow)\b", re.sub(r"/\*.*?\*/", "", CSS, flags=re.DOTALL)
    )


@pytest.mark.parametrize("sample", every_page("parent_notice", "withdraw_confirm", "erase_confirm"))
def test_going_on_and_turning_back_have_equal_dignity(sample: Sample) -> None:
    (pair,) = [one for one in page_of(sample).walk() if one.attrs.get("class") == "pair"]
    first, second = (child for child in pair.children if isinstance(child, Element))
    assert first.attrs["class"].split()[-1] == second.attrs["class"].split()[-1] == "even"


@pytest.mark.parametrize("sample", every_page("parent_notice"))
def test_law_40_the_notice_page_shows_every_section_as_written(sample: Sample) -> None:
    text = page_of(sample).all("main")[0].text()
    for section in sample.context["sections"]:
        for words in (section.heading, *section.paragraphs, *section.items):
            assert words in text


@pytest.mark.parametrize("sample", every_page("online_notice"))
def test_law_48_the_online_notice_shows_every_sentence_of_the_domains(sample: Sample) -> None:
    # Addresses become links, which splits the words around them: only the letters count.
    text = "".join(page_of(sample).all("main")[0].text().split())
    for section in sample.context["sections"]:
        for words in (section.heading, *section.paragraphs, *section.items):
            assert "".join(words.split()) in text


CONTROLS = {
    ("parent_contact", "child_email"): {"parent_email"},
    ("parent_contact", "child_phone"): {"parent_phone"},
    ("consent_pending", "plain"): {"continue_limited", "resend", "change_contact"},
    ("parent_notice", "plain"): {"continue", "not_my_child"},
    ("parent_method", "plain"): {"method"},
    ("parent_proof", "ready"): {"continue", "change_method"},
    ("parent_confirm", "ready"): {"confirm"},
    ("parent_sign_in", "ask"): {"email"},
    ("parent_opened", "plain"): {"continue"},
    ("parent_portal", "plain"): {"withdraw", "erase", "export", "sign_out"},
    ("withdraw_confirm", "plain"): {"record", "confirm"},
    ("erase_confirm", "plain"): {"record", "confirm"},
    ("sandbox_payment", "plain"): {"outcome"},
}


@pytest.mark.parametrize(
    "sample",
    [one for one in every_page() if (one.values[0].name, one.values[0].state) in CONTROLS],
)
def test_controls_have_their_promised_names(sample: Sample) -> None:
    names = {one.attrs.get("name") for one in page_of(sample).all("input", "button")}
    assert names - {"csrf_token", None} == CONTROLS[sample.name, sample.state]


def test_portal_buttons_say_for_which_record() -> None:
    portal = next(sample for sample in ALL if sample.name == "parent_portal")
    buttons = page_of(portal).all("button")
    said = [(one.attrs["name"], one.attrs["value"]) for one in buttons[:-1]]
    assert said == [
        *(("withdraw", "cr_1"), ("erase", "cr_1"), ("export", "cr_1")),
        *(("erase", "cr_2"), ("export", "cr_2")),
    ]


def test_sandbox_payment_offers_every_outcome() -> None:
    pay = next(sample for sample in ALL if sample.name == "sandbox_payment")
    values = [one.attrs["value"] for one in page_of(pay).all("button")]
    assert values == ["pass", "fail", "inconclusive", "error", "wait"]


@pytest.mark.parametrize("sample", every_page("consent_pending"))
def test_waiting_refreshes_itself_without_scripts_and_by_hand(sample: Sample) -> None:
    page = page_of(sample)
    metas = [one for one in page.all("meta") if one.attrs.get("http-equiv") == "refresh"]
    # In <noscript> only: a page that reloads under a screen reader is no help (WCAG 2.2.1).
    assert [one.attrs["content"] for one in metas if one.inside("noscript")] == ["30"]
    assert len(metas) == 1
    if sample.context["state"] != "bounced":
        assert [one for one in page.all("a") if one.attrs["href"] == ""]


def test_a_purpose_with_odd_characters_keeps_its_name() -> None:
    odd = Purpose(id="disclose:research lab.2", title="Odd")
    context = common("en") | {"account_made_on": "today", "purposes": (odd,)}
    page = parse(render("parent_decision", context))
    assert {one.attrs["name"] for one in radios(page)} == {"purpose.disclose:research lab.2"}


# Style, script, drawings ---------------------------------------------------------------------


def test_style_and_script_stay_small() -> None:
    assert len(CSS.encode()) < 20_000
    assert len(JS.encode()) < 10_000
    for sample in ALL:
        if sample.name == "age_screen":
            assert len(HTML[id(sample)].encode()) + len(CSS.encode()) + len(JS.encode()) < 60_000


def test_style_fetches_nothing() -> None:
    assert "url(" not in CSS
    assert "@import" not in CSS
    assert "@font-face" not in CSS


def test_script_keeps_nothing_and_writes_no_markup() -> None:
    banned = r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|Storage|cookie|https?:"
    assert not re.search(banned, JS)


def _svg_files() -> list[Path]:
    return [*TEMPLATES.rglob("*.svg"), *(WEB / "static").rglob("*.svg")]


def test_drawings_carry_no_style_script_or_picture_from_elsewhere() -> None:
    assert _svg_files()
    for path in _svg_files():
        svg = path.read_text("utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"<style|<script|style=|\son\w+=|https?:|<image|<use", svg), path


def _tokens(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio of two colours."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _themes() -> dict[str, dict[str, str]]:
    light, dark = re.findall(r":root \{(.*?)\}", CSS, flags=re.DOTALL)[:2]
    return {"light": _tokens(light), "dark": _tokens(light) | _tokens(dark)}


TEXT = [
    *(("ink", ground) for ground in ("ground", "sheet", "tint", "pick", "bad-tint")),
    *(("soft", ground) for ground in ("ground", "sheet", "pick")),
    *(("accent", ground) for ground in ("ground", "sheet", "tint")),
    *(("on-accent", "accent"), ("bad", "sheet"), ("bad", "bad-tint"), ("shout", "shout-tint")),
]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), TEXT)
def test_text_can_be_read_in_both_themes(theme: str, ink: str, ground: str) -> None:
    tokens = _themes()[theme]
    assert contrast(tokens[ink], tokens[ground]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("line", ["edge", "focus"])
def test_controls_and_focus_can_be_seen_in_both_themes(theme: str, line: str) -> None:
    tokens = _themes()[theme]
    assert contrast(tokens[line], tokens["sheet"]) >= 3
    assert contrast(tokens[line], tokens["ground"]) >= 3
