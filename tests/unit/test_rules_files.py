"""The rulebook that ships: what it says of real places on real days, and how it is found."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import agegate
from agegate.adapters.rules_files import default_folder, read_rulebook
from agegate.domain.place_rules import PlaceRules
from agegate.domain.places import COUNTRIES, US_STATES, RuleError, is_place_code
from agegate.domain.rule_values import DEFAULT_SCOPES, RuleStatus, Scope
from agegate.domain.rules import Rulebook
from agegate.wire.tiers import AssuranceLevel
from tests.support import rules_page

TODAY = date(2026, 11, 22)
EVERY_SCOPE = frozenset(Scope)
NINE = {
    "signed_form",
    "payment_transaction",
    "toll_free_call",
    "video_conference",
    "gov_id_database",
    "kba",
    "fmvpi",
    "email_plus",
    "text_plus",
}


@pytest.fixture(scope="module")
def book() -> Rulebook:
    return read_rulebook()


def at(
    book: Rulebook, place: str, on: date = TODAY, scopes: frozenset[Scope] = DEFAULT_SCOPES
) -> PlaceRules:
    return book.rules_for(place, (), on=on, scopes=scopes)


class TestAgesOfConsent:
    @pytest.mark.parametrize(
        ("place", "age"),
        [
            ("AT", 14),
            ("BE", 13),
            ("BG", 14),
            ("HR", 16),
            ("CY", 14),
            ("CZ", 15),
            ("DK", 15),
            ("EE", 13),
            ("FI", 13),
            ("FR", 15),
            ("DE", 16),
            ("GR", 15),
            ("HU", 16),
            ("IE", 16),
            ("IT", 14),
            ("LV", 13),
            ("LT", 14),
            ("LU", 16),
            ("MT", 13),
            ("NL", 16),
            ("PL", 16),
            ("PT", 13),
            ("RO", 16),
            ("SK", 16),
            ("SI", 15),
            ("ES", 14),
            ("SE", 13),
            ("IS", 13),
            ("LI", 16),
            ("NO", 13),
            ("GB", 13),
            ("CH", 16),
        ],
    )
    def test_law_106_each_country_has_its_digital_age_of_consent(
        self, book: Rulebook, place: str, age: int
    ) -> None:
        rules = at(book, place)
        assert rules.consent_required_below == age
        assert rules.because("consent_required_below")[0].jurisdiction == place

    @pytest.mark.parametrize(
        ("on", "age"),
        [
            (date(2018, 5, 24), 16),
            (date(2018, 5, 25), 13),
            (date(2023, 12, 31), 13),
            (date(2024, 1, 1), 15),
            (TODAY, 15),
        ],
    )
    def test_law_106_denmark_is_15_since_2024(self, book: Rulebook, on: date, age: int) -> None:
        assert at(book, "DK", on).consent_required_below == age

    def test_law_106_only_france_asks_for_two_consents(self, book: Rulebook) -> None:
        assert [place for place in book.places if at(book, place).dual_consent] == ["FR"]

    def test_law_106_values_of_europe_lie_between_13_and_16(self, book: Rulebook) -> None:
        (union,) = book.groups
        assert len(union.members) == 27
        for place in [*union.members, "IS", "LI", "NO", "GB", "CH"]:
            assert 13 <= at(book, place).consent_required_below <= 16, place

    def test_law_106_places_are_iso_codes(self, book: Rulebook) -> None:
        assert len(COUNTRIES) == 249
        assert all(is_place_code(place) for place in book.places)

    @pytest.mark.parametrize(
        ("place", "on", "age"),
        [
            ("US", TODAY, 13),
            ("US-CA", TODAY, 13),
            ("US-IL", TODAY, 13),
            ("KR", TODAY, 14),
            ("CN", TODAY, 14),
            ("CA-QC", TODAY, 14),
            ("BR", TODAY, 12),
            ("IN", date(2027, 5, 12), 16),
            ("IN", date(2027, 5, 13), 18),
            ("AU", TODAY, 16),
        ],
    )
    def test_other_places_have_their_own_ages(
        self, book: Rulebook, place: str, on: date, age: int
    ) -> None:
        assert at(book, place, on).consent_required_below == age

    @pytest.mark.parametrize("place", ["JP", "SG", "TH", "ID", "VN", "ZA", "CL"])
    def test_places_known_from_hearsay_are_left_out(self, book: Rulebook, place: str) -> None:
        assert not book.knows(place)

    def test_law_108_where_nothing_is_known_the_strictest_row_holds(self, book: Rulebook) -> None:
        anywhere = book.rules_for(None, (), on=date(2027, 7, 1))
        assert anywhere.consent_required_below == 18
        assert anywhere.dual_consent
        assert anywhere.llm_obligations.session_cap_minutes == 60
        assert anywhere.signal_resolution.value == "lowest"

    def test_the_strictest_of_three_regions_is_germany_and_the_uk(self, book: Rulebook) -> None:
        rules = book.rules_for(None, ["US", "DE", "GB"], on=TODAY)
        assert rules.consent_required_below == 16
        assert rules.child_monitoring_notice
        assert rules.vpc_methods == NINE


class TestUnitedStates:
    def test_every_state_is_on_file(self, book: Rulebook) -> None:
        assert len(US_STATES) == 57
        assert {place for place in book.places if place.startswith("US-")} == US_STATES

    def test_law_24_the_methods_are_the_nine_and_the_two_approvals(self, book: Rulebook) -> None:
        approvals = {"safe_harbor_approved", "commission_approved"}
        assert at(book, "US").vpc_methods == NINE | approvals
        assert at(book, "DE").vpc_methods == NINE

    def test_law_3_a_parents_contact_waits_two_weeks_at_most_everywhere(
        self, book: Rulebook
    ) -> None:
        assert {at(book, place).pending_consent_ttl_days for place in book.places} == {14}

    def test_law_65_evidence_goes_at_once_in_four_states(self, book: Rulebook) -> None:
        at_once = [
            place
            for place in sorted(book.places)
            if at(book, place).evidence_deletion.mode == "immediate"
        ]
        assert at_once == ["US-AR", "US-FL", "US-NY", "US-TN"]

    @pytest.mark.parametrize(
        ("on", "resolution", "may_ask"),
        [
            (date(2026, 12, 31), "lowest", False),
            (date(2027, 1, 1), "os_primary_unless_clear_convincing", True),
        ],
    )
    def test_california_listens_to_signals_from_2027(
        self, book: Rulebook, on: date, resolution: str, may_ask: bool
    ) -> None:
        rules = at(book, "US-CA", on)
        assert rules.signal_resolution.value == resolution
        assert rules.signal_request_permitted is may_ask

    @pytest.mark.parametrize(
        ("on", "limits", "default"),
        [
            (date(2025, 12, 31), (None, None, None), "on"),
            (date(2026, 1, 1), (180, None, None), "on"),
            (date(2026, 12, 31), (180, None, None), "on"),
            (date(2027, 1, 1), (180, None, None), "on"),
            (date(2027, 6, 30), (180, None, None), "on"),
            (date(2027, 7, 1), (180, 60, 120), "off"),
        ],
    )
    def test_law_101_california_limits_chatbots_by_date(
        self, book: Rulebook, on: date, limits: tuple[int | None, ...], default: str
    ) -> None:
        duties = at(book, "US-CA", on).llm_obligations
        assert duties.ai_disclosure
        assert limits == (
            duties.reminder_minutes,
            duties.session_cap_minutes,
            duties.daily_cap_minutes,
        )
        assert (duties.memory_default, duties.push_default) == (default, default)
        assert duties.parent_link_required_to_change is (default == "off")

    def test_law_101_new_york_reminds_every_three_hours(self, book: Rulebook) -> None:
        assert at(book, "US-NY").llm_obligations.reminder_minutes == 180

    def test_law_36_texas_asks_for_the_relationship(self, book: Rulebook) -> None:
        assert at(book, "US-TX").relationship_check
        assert not at(book, "US").relationship_check

    @pytest.mark.parametrize(("on", "days"), [(date(2027, 5, 5), None), (date(2027, 5, 6), 365)])
    def test_law_71_utah_is_asked_again_after_a_year(
        self, book: Rulebook, on: date, days: int | None
    ) -> None:
        assert at(book, "US-UT", on).signal_rerequest_min_days == days

    def test_law_100_florida_wants_providers_of_the_united_states(self, book: Rulebook) -> None:
        florida = at(book, "US-FL")
        assert florida.provider_must_be_us_entity
        assert florida.anonymous_option_required

    @pytest.mark.parametrize("rule", ["us-kids-act", "us-ut-social", "us-va-sb854", "us-ny-safe"])
    def test_law_107_what_is_not_law_changes_nothing_anywhere(
        self, book: Rulebook, rule: str
    ) -> None:
        for place in book.places:
            rules = at(book, place, date(2030, 1, 1), EVERY_SCOPE)
            assert rule not in {reason.rule for reason in rules.reasons}

    def test_law_105_a_child_under_14_is_one_status_away(self, book: Rulebook) -> None:
        rules = book.rules_for("US", (), on=TODAY, enable={"us-kids-act"})
        assert rules.tier_bounds == (14, 16, 18)
        assert rules.consent_required_below == 14
        assert at(book, "US").tier_bounds == (13, 16, 18)


class TestElsewhere:
    def test_law_63_self_declaration_opens_nothing_that_is_barred_to_minors(
        self, book: Rulebook
    ) -> None:
        for place in ("BR", "GB", "DE", "AU"):
            assert not at(book, place, scopes=EVERY_SCOPE).self_declaration_allowed, place
            assert at(book, place).self_declaration_allowed, place
        assert at(book, "GB").min_assurance_level is AssuranceLevel.ASSERTED

    def test_law_64_a_debit_card_proves_no_age_in_the_united_kingdom(self, book: Rulebook) -> None:
        assert "debit_card" in at(book, "GB").forbidden_methods
        strict = at(book, "GB", scopes=EVERY_SCOPE)
        assert strict.allowed_methods is not None
        assert "debit_card" not in strict.allowed_methods
        assert "credit_card" in strict.allowed_methods
        assert "payment_transaction" in at(book, "GB").vpc_methods

    def test_law_93_british_children_see_when_a_parent_can_watch(self, book: Rulebook) -> None:
        assert at(book, "GB").child_monitoring_notice

    @pytest.mark.parametrize(
        ("on", "source"), [(date(2026, 8, 1), "agegate"), (TODAY, "2024/1689")]
    )
    def test_the_union_tells_people_that_they_talk_to_an_ai(
        self, book: Rulebook, on: date, source: str
    ) -> None:
        (reason,) = at(book, "PL", on).because("llm_obligations")
        assert source in reason.source

    def test_korea_names_its_own_methods(self, book: Rulebook) -> None:
        assert at(book, "KR").vpc_methods == NINE - {
            "video_conference",
            "gov_id_database",
            "kba",
            "fmvpi",
        }

    def test_law_36_india_wants_an_identifiable_parent(self, book: Rulebook) -> None:
        assert at(book, "IN", date(2027, 5, 13)).parent_identifiability


class TestPapers:
    def test_law_105_every_rule_has_a_source_a_status_and_its_days(self, book: Rulebook) -> None:
        assert len(book.rules) > 70
        for rule in book.rules:
            assert rule.source, rule.id
            if rule.status in {RuleStatus.IN_FORCE, RuleStatus.FUTURE}:
                assert rule.valid_from is not None, rule.id

    def test_what_is_in_force_has_begun_and_what_is_future_has_not(self, book: Rulebook) -> None:
        written = date.fromisoformat(book.version)
        for rule in book.rules:
            begins = rule.valid_from
            if begins is not None and rule.status is RuleStatus.FUTURE:
                assert begins > written, rule.id
            if begins is not None and rule.status is RuleStatus.IN_FORCE:
                assert begins <= written or rule.source.startswith("agegate"), rule.id

    def test_every_value_everywhere_can_be_explained(self, book: Rulebook) -> None:
        for place in book.places:
            rules = at(book, place)
            for name, value in rules.to_json().items():
                if value not in (None, []):
                    assert rules.because(name), (place, name)


class TestFiles:
    def test_a_checkout_brings_its_own_rules(self) -> None:
        assert default_folder() == Path(__file__).parents[2] / "config" / "jurisdictions"

    def test_an_installed_wheel_brings_its_own_rules(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        package = tmp_path / "agegate"
        shutil.copytree(default_folder(), package / "_config" / "jurisdictions")
        monkeypatch.setattr(agegate, "__file__", str(package / "__init__.py"))
        assert default_folder() == package / "_config" / "jurisdictions"
        assert read_rulebook().version == read_rulebook(default_folder()).version

    def test_without_rules_nothing_starts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(agegate, "__file__", str(tmp_path / "a" / "__init__.py"))
        with pytest.raises(RuleError, match="no rulebook"):
            read_rulebook()

    def test_an_empty_folder_is_no_rulebook(self, tmp_path: Path) -> None:
        with pytest.raises(RuleError, match="no rule files"):
            read_rulebook(tmp_path)

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            (b"[[rule]]\nid = 1\n", "bad.toml: rule[0].id: "),
            (b"[[rule]\n", "bad.toml: "),
            (b"\xff\xfe", "bad.toml: "),
            (b"[[rule]]\nid = 'x'\nage_below = 13\n", "bad.toml: rule[0].age_below: unknown key"),
            (b"[[place]]\ncode = 'PO'\nname = 'Poland'\n", "bad.toml: place[0].code: PO is no ISO"),
        ],
    )
    def test_a_bad_file_is_named_with_its_key(
        self, tmp_path: Path, content: bytes, complaint: str
    ) -> None:
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(RuleError) as caught:
            read_rulebook(tmp_path)
        assert str(caught.value).startswith(complaint)

    def test_a_folder_in_place_of_a_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "bad.toml").mkdir()
        with pytest.raises(RuleError, match=r"^bad\.toml: "):
            read_rulebook(tmp_path)

    @pytest.mark.parametrize(
        ("file", "old", "new", "complaint"),
        [
            ("us.toml", "consent_required_below = 13", "consent_required_below = true", "us.toml"),
            ("us.toml", 'id = "us-kids-act"', 'id = "us-coppa"', "rule us-coppa: given twice"),
            ("gb.toml", 'jurisdiction = "GB"', 'jurisdiction = "UK"', "no such place: UK"),
            ("defaults.toml", "appeal_days = 30", "appeal_days = 0", "defaults.toml"),
        ],
    )
    def test_one_slip_anywhere_spoils_the_rulebook(
        self, tmp_path: Path, file: str, old: str, new: str, complaint: str
    ) -> None:
        folder = tmp_path / "rules"
        shutil.copytree(default_folder(), folder)
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text
        (folder / file).write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(RuleError, match=complaint):
            read_rulebook(folder)


def test_reading_the_same_files_gives_the_same_digest(book: Rulebook) -> None:
    again: Any = read_rulebook()
    assert again.digest == book.digest
    assert book.digest.startswith("sha256:")


def test_the_reference_page_shows_the_rules_as_they_are() -> None:
    assert rules_page.PAGE.read_text(encoding="utf-8") == rules_page.page(read_rulebook())
