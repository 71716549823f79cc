"""The rulebook picks by place and day, and merges to the strictest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegate.domain.place_rules import PlaceRules, value_to_json
from agegate.domain.places import country_of, is_place_code, lies_in
from agegate.domain.rule_fields import FIELDS, MAX_AGE
from agegate.domain.rule_values import (
    AGE_METHODS,
    DEFAULT_SCOPES,
    VPC_METHODS,
    EvidenceDeletion,
    LlmObligations,
    RuleStatus,
    Scope,
    SignalResolution,
    Switch,
    TeenBands,
)
from agegate.wire.tiers import AssuranceLevel
from tests.unit.domain.rulebooks import DAY, a_rule, a_rulebook, some_rules

_minutes = st.none() | st.integers(1, 300)
_age = st.integers(1, MAX_AGE)


@st.composite
def _bands(draw: st.DrawFn) -> TeenBands:
    younger, older, adult = sorted(draw(st.sets(_age, min_size=3, max_size=3)))
    return TeenBands(younger_from=younger, older_from=older, adult_from=adult)


_obligations = st.builds(
    LlmObligations,
    ai_disclosure=st.booleans(),
    reminder_minutes=_minutes,
    session_cap_minutes=_minutes,
    daily_cap_minutes=_minutes,
    memory_default=st.sampled_from(Switch),
    push_default=st.sampled_from(Switch),
    parent_link_required_to_change=st.booleans(),
)
_SPECIAL: Final[Mapping[str, st.SearchStrategy[Any]]] = {
    "teen_bands": _bands(),
    "allowed_methods": st.none() | st.frozensets(st.sampled_from(sorted(AGE_METHODS))),
    "forbidden_methods": st.frozensets(st.sampled_from(sorted(AGE_METHODS))),
    "vpc_methods": st.frozensets(st.sampled_from(sorted(VPC_METHODS))),
    "notice_languages": st.frozensets(st.sampled_from(["en", "es", "fr", "zh-Hans"])),
    "min_assurance_level": st.sampled_from(AssuranceLevel),
    "min_accuracy": st.none() | st.sampled_from([0.5, 0.9, 0.95]),
    "signal_resolution": st.sampled_from(SignalResolution),
    "evidence_deletion": st.sampled_from(["immediate", "prompt"]).map(
        lambda mode: EvidenceDeletion(mode=mode)
    )
    | st.integers(1, 90).map(lambda days: EvidenceDeletion(mode="days", days=days)),
    "llm_obligations": _obligations,
    "child_assent_required_below": st.none() | _age,
    "account_minimum_age": st.none() | _age,
    "signal_rerequest_min_days": st.none() | st.integers(1, 400),
    "records_hold_years": st.none() | st.integers(1, 9),
    "child_threshold": _age,
    "consent_required_below": _age,
    "appeal_days": st.integers(1, 90),
    "pending_consent_ttl_days": st.integers(1, 14),
}

_BASE = some_rules()


@st.composite
def answers(draw: st.DrawFn) -> PlaceRules:
    values = {name: draw(_SPECIAL.get(name, st.booleans())) for name in FIELDS}
    zones = st.frozensets(st.sampled_from(["Etc/GMT+12", "Asia/Tokyo", "UTC"]), min_size=1)
    place = draw(st.sampled_from(["US", "DE", "unknown"]))
    return replace(_BASE, place=place, timezones=draw(zones), reasons=frozenset(), **values)


def _obliges(one: LlmObligations, other: LlmObligations) -> bool:
    caps = ("reminder_minutes", "session_cap_minutes", "daily_cap_minutes")
    flags = ("ai_disclosure", "parent_link_required_to_change")
    switches = ("memory_default", "push_default")
    return (
        all((getattr(one, cap) or 9999) <= (getattr(other, cap) or 9999) for cap in caps)
        and all(getattr(one, flag) or not getattr(other, flag) for flag in flags)
        and all(_is_on(other, key) or not _is_on(one, key) for key in switches)
    )


def _is_on(one: LlmObligations, key: str) -> bool:
    return getattr(one, key) is Switch.ON


def _bounds(bands: TeenBands) -> tuple[int, int, int]:
    return bands.younger_from, bands.older_from, bands.adult_from


def _time_left(deletion: EvidenceDeletion) -> int:
    return {"immediate": -1, "prompt": 0}.get(deletion.mode, deletion.days)


# Whether the first value is at least as strict as the second. Written apart from the table under
# test, so that a slip there shows here. Fields that are not named are duties: yes is stricter.
_OLDER = dict.fromkeys(
    (
        "child_threshold",
        "consent_required_below",
        "child_assent_required_below",
        "account_minimum_age",
        "min_accuracy",
        "signal_rerequest_min_days",
        "records_hold_years",
    ),
    lambda one, other: (one or 0) >= (other or 0),
)
_SOONER = dict.fromkeys(
    ("appeal_days", "pending_consent_ttl_days"), lambda one, other: one <= other
)
_REFUSES = dict.fromkeys(
    ("self_declaration_allowed", "gov_id_may_be_only_method", "signal_request_permitted"),
    lambda one, other: other or not one,
)
_STRICTER: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    **_OLDER,
    **_SOONER,
    **_REFUSES,
    "vpc_methods": lambda one, other: one <= other,
    "forbidden_methods": lambda one, other: one >= other,
    "notice_languages": lambda one, other: one >= other,
    "allowed_methods": lambda one, other: other is None or (one is not None and one <= other),
    "teen_bands": lambda one, other: all(
        a >= b for a, b in zip(_bounds(one), _bounds(other), strict=True)
    ),
    "min_assurance_level": lambda one, other: one.rank >= other.rank,
    "signal_resolution": lambda one, other: SignalResolution.LOWEST is one or one is other,
    "evidence_deletion": lambda one, other: _time_left(one) <= _time_left(other),
    "llm_obligations": _obliges,
}


def _at_least_as_strict(name: str, one: Any, other: Any) -> bool:
    judge = _STRICTER.get(name)
    return judge(one, other) if judge else bool(one or not other)


class TestStrictest:
    @given(answers(), answers())
    def test_merging_is_commutative(self, one: PlaceRules, other: PlaceRules) -> None:
        assert one.strictest(other) == other.strictest(one)

    @given(answers(), answers(), answers())
    def test_merging_is_associative(self, a: PlaceRules, b: PlaceRules, c: PlaceRules) -> None:
        assert a.strictest(b).strictest(c) == a.strictest(b.strictest(c))

    @given(answers())
    def test_merging_with_oneself_changes_nothing(self, one: PlaceRules) -> None:
        assert one.strictest(one) == one

    @given(answers(), answers())
    def test_merging_is_never_looser_than_any_input(
        self, one: PlaceRules, other: PlaceRules
    ) -> None:
        merged = one.strictest(other)
        for name in FIELDS:
            for each in (one, other):
                assert _at_least_as_strict(name, getattr(merged, name), getattr(each, name)), name

    @given(answers(), answers())
    def test_merging_never_lowers_a_bound_or_brings_a_day_forward(
        self, one: PlaceRules, other: PlaceRules
    ) -> None:
        merged = one.strictest(other)
        now = datetime(2026, 11, 22, 11, 30, tzinfo=UTC)
        for each in (one, other):
            assert merged.tier_bounds >= each.tier_bounds
            assert merged.today(now) <= each.today(now)

    @given(answers())
    def test_the_bounds_ascend(self, one: PlaceRules) -> None:
        younger, older, adult = one.tier_bounds
        assert younger < older < adult
        assert list(one.boundaries) == sorted({*one.boundaries})
        assert one.consent_required_below in one.boundaries

    def test_rules_of_two_days_are_not_merged(self) -> None:
        with pytest.raises(ValueError, match="two days"):
            _BASE.strictest(replace(_BASE, on=DAY + timedelta(days=1)))


class TestByPlace:
    BOOK = a_rulebook(
        a_rule("US", consent_required_below=13, appeal_days=20),
        a_rule("US-CA", appeal_days=10, records_hold_years=3),
        a_rule("DE", consent_required_below=16),
        a_rule("FR", consent_required_below=15, dual_consent=True),
        a_rule("EU", evidence_deletion="immediate"),
    )

    def test_a_state_inherits_its_country_and_adds_to_it(self) -> None:
        state = self.BOOK.rules_for("US-CA", (), on=DAY)
        assert (state.consent_required_below, state.appeal_days) == (13, 10)
        assert state.records_hold_years == 3
        assert [r.jurisdiction for r in state.because("appeal_days")] == ["US", "US-CA"]

    def test_the_country_does_not_inherit_from_its_states(self) -> None:
        assert self.BOOK.rules_for("US", (), on=DAY).appeal_days == 20

    def test_a_state_without_rules_of_its_own_is_its_country(self) -> None:
        illinois = self.BOOK.rules_for("US-IL", (), on=DAY)
        assert illinois.place == "US-IL"
        assert illinois.to_json() == self.BOOK.rules_for("US", (), on=DAY).to_json()

    def test_members_share_the_rules_of_their_group(self) -> None:
        for place in ("DE", "FR", "DE-BE"):
            rules = self.BOOK.rules_for(place, (), on=DAY)
            assert rules.evidence_deletion == EvidenceDeletion(mode="immediate")
            assert rules.because("evidence_deletion")[0].jurisdiction == "EU"
        assert self.BOOK.rules_for("US", (), on=DAY).evidence_deletion.mode == "prompt"

    def test_a_default_yields_to_any_rule_even_a_looser_one(self) -> None:
        assert self.BOOK.rules_for("US", (), on=DAY).consent_required_below == 13
        silent = self.BOOK.rules_for("KI", (), on=DAY)
        assert silent.consent_required_below == 16
        assert silent.because("consent_required_below")[0].jurisdiction == "default"

    @pytest.mark.parametrize("nowhere", [None, "unknown", "ZZ", "AR", "US-ZZ", "", "us"])
    def test_without_a_place_the_one_region_is_the_place(self, nowhere: str | None) -> None:
        assert self.BOOK.rules_for(nowhere, ["FR"], on=DAY) == self.BOOK.rules_for("FR", [], on=DAY)

    def test_without_a_place_each_rule_is_the_strictest_among_the_regions(self) -> None:
        merged = self.BOOK.rules_for(None, ["US", "FR"], on=DAY)
        assert merged.place == "unknown"
        assert merged.consent_required_below == 15
        assert merged.dual_consent
        assert merged.appeal_days == 20
        assert merged.evidence_deletion.mode == "immediate"
        assert merged == self.BOOK.rules_for("unknown", ["FR", "US", "FR"], on=DAY)

    @pytest.mark.parametrize("regions", [[], ["US", "ZZ"], ["ZZ"]])
    def test_law_108_without_any_known_place_the_strictest_row_anywhere_holds(
        self, regions: list[str]
    ) -> None:
        rules = self.BOOK.rules_for(None, regions, on=DAY)
        assert rules.place == "unknown"
        assert rules.consent_required_below == 16
        assert (rules.appeal_days, rules.records_hold_years) == (10, 3)
        assert rules.dual_consent
        assert "Etc/GMT+12" in rules.timezones

    @pytest.mark.parametrize(
        ("place", "known"),
        [
            ("US", True),
            ("US-CA", True),
            ("US-IL", True),
            ("US-PR", True),
            ("US-ZZ", False),
            ("DE-BY", True),
            ("DE-by", False),
            ("DE-BERN", False),
            ("AR", False),
            ("AR-B", False),
            ("EU", False),
            ("unknown", False),
            ("default", False),
            ("", False),
        ],
    )
    def test_a_known_place_is_on_file_or_lies_in_a_country_that_is(
        self, place: str, known: bool
    ) -> None:
        assert self.BOOK.knows(place) is known

    @pytest.mark.parametrize(
        ("claimed", "regions", "chosen"),
        [
            ("US-IL", ["US"], "US-IL"),
            ("US", ["US", "DE"], "US"),
            ("US-CA", ["US-CA"], "US-CA"),
            ("US", ["US-CA"], None),
            ("US-IL", ["US-CA", "DE"], None),
            ("FR", ["DE"], None),
            ("US-ZZ", ["US"], None),
            ("DE", [], None),
            (None, ["US"], None),
        ],
    )
    def test_a_client_may_only_claim_a_place_it_serves(
        self, claimed: str | None, regions: list[str], chosen: str | None
    ) -> None:
        assert self.BOOK.choose_place(claimed, regions) == chosen

    def test_rules_about_a_place_come_whatever_their_status(self) -> None:
        book = a_rulebook(
            a_rule("US", id="a", status="proposed", appeal_days=3),
            a_rule("EU", id="b", appeal_days=4),
            a_rule("US-CA", id="c", appeal_days=5),
        )
        assert [rule.id for rule in book.rules_about("US-CA")] == ["a", "c"]
        assert [rule.id for rule in book.rules_about("FR")] == ["b"]

    def test_places_lie_in_themselves_and_in_their_country(self) -> None:
        assert lies_in("US-CA", "US")
        assert lies_in("US", "US")
        assert not lies_in("US", "US-CA")
        assert country_of("DE-BY") == country_of("DE") == "DE"
        assert [
            c for c in ("GB", "PO", "li", "EU", "UK", "US-DC", "US-XX") if is_place_code(c)
        ] == [
            "GB",
            "US-DC",
        ]


class TestByDay:
    def at(self, on: date, **more: Any) -> int:
        book = a_rulebook(a_rule(**{"consent_required_below": 14, **more}))
        return book.rules_for("US", (), on=on).consent_required_below

    @pytest.mark.parametrize("status", ["in_force", "future"])
    def test_law_107_a_rule_begins_and_ends_by_date(self, status: str) -> None:
        first, last = date(2027, 1, 1), date(2027, 6, 30)
        one = timedelta(days=1)
        found = [
            self.at(on, status=status, valid_from=first, valid_to=last)
            for on in (first - one, first, last, last + one)
        ]
        assert found == [16, 14, 14, 16]

    @pytest.mark.parametrize("status", ["enjoined", "proposed"])
    def test_law_107_enjoined_and_proposed_rules_never_apply(self, status: str) -> None:
        assert self.at(date(2100, 1, 1), status=status) == 16

    @pytest.mark.parametrize("status", ["enjoined", "proposed"])
    def test_law_107_a_rule_can_be_enabled_by_name_within_its_dates(self, status: str) -> None:
        rule = a_rule(
            id="draft", status=status, consent_required_below=14, valid_to=date(2027, 1, 1)
        )
        book = a_rulebook(rule)
        ages = [
            book.rules_for("US", (), on=on, enable={"draft"}).consent_required_below
            for on in (date(2019, 12, 31), DAY, date(2027, 1, 2))
        ]
        assert ages == [16, 14, 16]

    def test_a_proposal_without_a_date_can_be_enabled(self) -> None:
        rule = a_rule(id="draft", status="proposed", appeal_days=5)
        del rule["valid_from"]
        book = a_rulebook(rule)
        assert book.rules_for("US", (), on=DAY, enable={"draft"}).appeal_days == 5

    def test_a_rule_for_other_services_needs_its_scope(self) -> None:
        book = a_rulebook(a_rule(scope="social_media", account_minimum_age=16))
        assert book.rules_for("US", (), on=DAY).account_minimum_age is None
        social = DEFAULT_SCOPES | {Scope.SOCIAL_MEDIA}
        assert book.rules_for("US", (), on=DAY, scopes=social).account_minimum_age == 16

    @pytest.mark.parametrize(
        ("more", "why"),
        [
            ({"status": "enjoined"}, "enjoined"),
            ({"status": "proposed"}, "proposed"),
            ({"scope": "adult_content"}, "speaks of adult_content only"),
            ({"valid_from": date(2027, 1, 1)}, "begins on 2027-01-01"),
            ({"valid_to": date(2026, 1, 1)}, "ended on 2026-01-01"),
            ({}, None),
        ],
    )
    def test_a_silent_rule_says_why(self, more: dict[str, Any], why: str | None) -> None:
        (rule,) = a_rulebook(a_rule(**{"appeal_days": 3, **more})).rules
        assert rule.silent_because(on=DAY, scopes=DEFAULT_SCOPES, enable=()) == why


class TestToday:
    """20: a day begins at the place's own midnight."""

    @pytest.mark.parametrize(
        ("zone", "now", "today"),
        [
            ("Etc/GMT+12", "2026-11-22T11:59:59", date(2026, 11, 21)),
            ("Etc/GMT+12", "2026-11-22T12:00:00", date(2026, 11, 22)),
            ("Pacific/Kiritimati", "2026-11-22T09:59:59", date(2026, 11, 22)),
            ("Pacific/Kiritimati", "2026-11-22T10:00:00", date(2026, 11, 23)),
            ("America/Los_Angeles", "2026-11-22T07:59:59", date(2026, 11, 21)),
            ("America/Los_Angeles", "2026-11-22T08:00:00", date(2026, 11, 22)),
            ("America/Los_Angeles", "2026-07-01T06:59:59", date(2026, 6, 30)),
            ("America/Los_Angeles", "2026-07-01T07:00:00", date(2026, 7, 1)),
            ("Asia/Kolkata", "2026-11-21T18:29:59", date(2026, 11, 21)),
            ("Asia/Kolkata", "2026-11-21T18:30:00", date(2026, 11, 22)),
            ("Europe/London", "2026-06-30T23:00:00", date(2026, 7, 1)),
            ("Europe/London", "2026-11-30T23:59:59", date(2026, 11, 30)),
        ],
    )
    def test_law_20_today_is_the_day_at_the_place(self, zone: str, now: str, today: date) -> None:
        rules = replace(_BASE, timezones=frozenset({zone}))
        assert rules.today(datetime.fromisoformat(now).replace(tzinfo=UTC)) == today

    @pytest.mark.parametrize("offset", range(-12, 15))
    def test_law_20_every_offset_has_its_own_midnight(self, offset: int) -> None:
        rules = replace(_BASE, timezones=frozenset({f"Etc/GMT{-offset:+d}" if offset else "UTC"}))
        midnight = datetime(2026, 11, 22, tzinfo=UTC) - timedelta(hours=offset)
        assert rules.today(midnight) == date(2026, 11, 22)
        assert rules.today(midnight - timedelta(seconds=1)) == date(2026, 11, 21)

    def test_law_20_of_several_zones_the_last_to_begin_its_day_counts(self) -> None:
        book = a_rulebook()
        now = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
        assert book.rules_for("KI", (), on=DAY).today(now) == date(2026, 11, 23)
        assert book.rules_for(None, ["KI", "DE"], on=DAY).today(now) == date(2026, 11, 22)
        assert book.rules_for(None, [], on=DAY).today(now) == date(2026, 11, 21)

    def test_a_clock_without_a_zone_is_refused(self) -> None:
        with pytest.raises(ValueError, match="time zone"):
            _BASE.today(datetime(2026, 11, 22))  # noqa: DTZ001 - the refusal is under test


class TestReasons:
    def test_every_value_has_its_source(self) -> None:
        rules = some_rules(consent_required_below=13)
        for name, value in rules.to_json().items():
            if value not in (None, []):
                assert rules.because(name), name
        (reason,) = rules.because("consent_required_below")
        assert reason.to_json() == {
            "field": "consent_required_below",
            "value": 13,
            "source": "A Law s. 1",
            "status": "in_force",
            "jurisdiction": "US",
            "rule": "rule-0",
        }

    def test_a_rule_that_is_outdone_is_still_named(self) -> None:
        book = a_rulebook(a_rule(appeal_days=9), a_rule(appeal_days=3))
        rules = book.rules_for("US", (), on=DAY)
        assert rules.appeal_days == 3
        assert [(r.rule, r.value) for r in rules.because("appeal_days")] == [
            ("rule-0", 9),
            ("rule-1", 3),
        ]

    def test_values_read_as_the_files_write_them(self) -> None:
        values: dict[str, Any] = {
            "teen_bands": [[13, 15], [16, 17]],
            "evidence_deletion": 30,
            "vpc_methods": ["kba", "signed_form"],
            "min_assurance_level": "strict",
            "llm_obligations": {"reminder_minutes": 180, "memory_default": "off"},
        }
        (rule,) = a_rulebook(a_rule(**values)).rules
        shown = rule.to_json()
        assert shown["teen_bands"] == values["teen_bands"]
        assert shown["evidence_deletion"] == 30
        assert shown["vpc_methods"] == ["kba", "signed_form"]
        assert shown["min_assurance_level"] == "strict"
        obligations = shown["llm_obligations"]
        assert isinstance(obligations, dict)
        assert (obligations["reminder_minutes"], obligations["memory_default"]) == (180, "off")
        assert value_to_json(EvidenceDeletion(mode="prompt")) == "prompt"
        assert value_to_json(RuleStatus.FUTURE) == "future"


class TestDigest:
    def test_the_digest_ignores_order_and_sees_every_change(self) -> None:
        one, two = a_rule(id="one", appeal_days=1), a_rule(id="two", appeal_days=2)
        digest = a_rulebook(one, two).digest
        assert a_rulebook(two, one).digest == digest
        changed = [
            a_rulebook(one),
            a_rulebook(one, {**two, "appeal_days": 3}),
            a_rulebook(one, {**two, "source": "another"}),
            a_rulebook(one, {**two, "status": "future"}),
            a_rulebook(one, {**two, "valid_to": date(2030, 1, 1)}),
            a_rulebook(one, {**two, "jurisdiction": "DE"}),
            a_rulebook(one, two, version="2026-11-02"),
            a_rulebook(one, two, timezone="UTC"),
        ]
        assert len({digest, *(book.digest for book in changed)}) == len(changed) + 1

    def test_the_digest_of_a_known_rulebook_is_frozen(self) -> None:
        assert a_rulebook(a_rule()).digest == (
            "sha256:9b54b0d5bf09dfacf1276f3ce71f211f3096355e199e5c5289fa90f10490ec5b"
        )
