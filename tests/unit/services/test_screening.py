from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime

import pytest

from agegate.adapters.kinds import TABLES
from agegate.domain.errors import FieldErrors, LinkExpiredError, NotAllowedNowError
from agegate.domain.grants import Code, IssuedToken
from agegate.domain.ids import FlowId, digest
from agegate.domain.operators import AudienceType, UnderThreshold
from agegate.domain.people import BrowserSubject, Subject
from agegate.domain.records import Event, EventType
from agegate.services.screening import NextStep
from agegate.wire.tiers import AgeTier, ConsentState
from tests.factories import a_client, an_operator
from tests.unit.services.world import ADULT, CHILD, TABLET, World

OTHER_BROWSER = digest("another tablet")


@pytest.fixture
def world() -> World:
    return World()


# -- where a visit stands ----------------------------------------------------------------------


def test_a_visit_begins_at_the_age_screen(world: World) -> None:
    view = world.look(world.begin())
    assert view.step is NextStep.AGE_SCREEN
    assert view.fields == ("birth_month", "birth_year")
    assert view.standing is None


def test_a_day_is_asked_only_where_a_rule_demands_it(world: World) -> None:
    days = {
        place: "birth_day" in world.look(world.begin(place=place)).fields
        for place in ("US", "DE", "GB")
    }
    assert days == {"US": False, "DE": False, "GB": False}


def test_an_adult_is_done_at_once(world: World) -> None:
    view = world.screening.answer_age(world.begin(), ADULT, browser=TABLET)
    assert view.step is NextStep.FINISH
    assert view.standing is not None
    assert view.standing.state is ConsentState.NOT_REQUIRED


def test_a_child_is_asked_for_a_parent(world: World) -> None:
    assert world.look(world.a_child()).step is NextStep.PARENT_CONTACT


def test_an_app_for_everyone_may_turn_children_away() -> None:
    client = a_client(
        audience_type=AudienceType.GENERAL_AUDIENCE, under_threshold=UnderThreshold.BLOCK
    )
    world = World(an_operator(clients=(client,)))
    flow = world.a_child()
    assert world.look(flow).step is NextStep.BLOCKED
    with pytest.raises(NotAllowedNowError):
        world.screening.finish(flow, browser=TABLET)
    assert world.look(world.begin()).step is NextStep.BLOCKED


def test_an_app_with_a_limited_mode_goes_on_without_a_parent() -> None:
    world = World(an_operator(clients=(a_client(under_threshold=UnderThreshold.LIMITED),)))
    view = world.look(world.a_child())
    assert view.step is NextStep.FINISH
    assert view.standing is not None
    assert view.standing.purposes == ()


def test_law_12_in_an_app_for_children_a_word_makes_nobody_older() -> None:
    world = World(an_operator(clients=(a_client(audience_type=AudienceType.CHILD_DIRECTED),)))
    view = world.screening.answer_age(world.begin(), ADULT, browser=TABLET)
    assert view.step is NextStep.PARENT_CONTACT
    assert view.standing is not None
    assert view.standing.tier is AgeTier.CHILD


def test_a_visit_belongs_to_the_browser_that_began_it(world: World) -> None:
    flow = world.begin()
    for act in (
        lambda: world.look(flow, browser=OTHER_BROWSER),
        lambda: world.screening.answer_age(flow, ADULT, browser=OTHER_BROWSER),
        lambda: world.screening.finish(flow, browser=OTHER_BROWSER),
    ):
        with pytest.raises(LinkExpiredError):
            act()
    assert world.all(Subject) == []


def test_a_visit_ends_after_a_day(world: World) -> None:
    flow = world.begin()
    world.clock.pass_(hours=23, minutes=59)
    assert world.look(flow).step is NextStep.AGE_SCREEN
    world.clock.pass_(minutes=1)
    with pytest.raises(LinkExpiredError):
        world.look(flow)


def test_an_unknown_visit_has_run_out(world: World) -> None:
    with pytest.raises(LinkExpiredError):
        world.look(FlowId("fl_nobody"))


# -- the answer ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"birth_month": "5"},
        {"birth_year": "2017"},
        {"birth_month": "13", "birth_year": "2017"},
        {"birth_month": "5", "birth_year": "2027"},
        {"birth_month": "12", "birth_year": "2026"},
        {"birth_month": "5", "birth_year": "1800"},
        {"birth_month": "May", "birth_year": "2017"},
        {"birth_month": "5", "birth_year": "2017; --"},
    ],
)
def test_an_answer_that_cannot_be_read_is_kept_nowhere(
    world: World, answer: dict[str, str]
) -> None:
    flow = world.begin()
    with pytest.raises(FieldErrors):
        world.screening.answer_age(flow, answer, browser=TABLET)
    assert world.all(Subject) == []
    assert world.all(BrowserSubject) == []
    assert world.look(flow).step is NextStep.AGE_SCREEN


def test_law_13_every_year_from_this_one_back_is_accepted() -> None:
    for year in range(1897, 2027):
        world = World()
        view = world.screening.answer_age(
            world.begin(), {"birth_month": "1", "birth_year": str(year)}, browser=TABLET
        )
        assert view.step is not NextStep.AGE_SCREEN, year


def test_law_19_only_a_range_and_the_first_of_a_month_are_kept(world: World) -> None:
    world.a_child()
    [subject] = world.all(Subject)
    assert subject.upper == 12
    assert subject.turns_on.day == 1
    assert subject.turns_on.year == 2030
    everything = json.dumps(
        [asdict(row) for kind in TABLES for row in world.all(kind)],
        default=str,
    )
    assert "2017" not in everything


def test_law_19_with_month_and_year_the_younger_range_holds_until_the_month_ends(
    world: World,
) -> None:
    # Thirteen some time in November: until the first of December nobody can know whether already.
    flow = world.begin()
    view = world.screening.answer_age(
        flow, {"birth_month": "11", "birth_year": "2013"}, browser=TABLET
    )
    assert view.standing is not None
    assert view.standing.tier is AgeTier.CHILD
    world.clock.time = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
    later = world.look(world.begin(subject_id=view.flow.subject_id))
    assert later.standing is not None
    assert later.standing.tier is AgeTier.YOUNGER_TEEN


def test_law_20_the_day_is_that_of_the_child_s_place(world: World) -> None:
    # Born in November 2013, and November ends in the last place of the country that lets it end.
    answer = {"birth_month": "11", "birth_year": "2013"}
    world.clock.time = datetime(2026, 12, 1, 0, 30, tzinfo=UTC)  # 1 December in GB, not yet in US
    tiers = {}
    for place in ("US", "GB"):
        browser = digest(place)
        view = world.screening.answer_age(
            world.begin(browser=browser, place=place), answer, browser=browser
        )
        assert view.standing is not None
        tiers[place] = view.standing.tier
    assert tiers == {"US": AgeTier.CHILD, "GB": AgeTier.YOUNGER_TEEN}


def test_law_23_a_child_s_answer_is_written_down_as_actual_knowledge(world: World) -> None:
    world.a_child()
    assert world.facts() == ["age.recorded", "age.actual_knowledge"]


def test_an_adult_s_answer_is_no_actual_knowledge_of_a_child(world: World) -> None:
    world.screening.answer_age(world.begin(), ADULT, browser=TABLET)
    assert world.facts() == ["age.recorded"]


def test_an_unknown_place_means_the_strictest_of_the_client_s_regions(world: World) -> None:
    fifteen = {"birth_month": "5", "birth_year": "2011"}
    steps = {}
    for place in (None, "US", "DE"):
        browser = digest(str(place))
        flow = world.begin(place=place, browser=browser)
        steps[place] = world.screening.answer_age(flow, fifteen, browser=browser).step
    assert steps == {
        None: NextStep.PARENT_CONTACT,
        "US": NextStep.FINISH,
        "DE": NextStep.PARENT_CONTACT,
    }


# -- no way to a better answer ---------------------------------------------------------------------


def test_law_16_a_second_answer_in_the_same_visit_changes_nothing(world: World) -> None:
    flow = world.a_child()
    view = world.screening.answer_age(flow, ADULT, browser=TABLET)
    assert view.step is NextStep.PARENT_CONTACT
    assert world.facts().count("age.recorded") == 1


def test_law_16_a_new_visit_in_the_same_browser_is_not_asked_again(world: World) -> None:
    world.a_child()
    again = world.begin()
    assert world.look(again).step is NextStep.PARENT_CONTACT
    assert world.screening.answer_age(again, ADULT, browser=TABLET).step is NextStep.PARENT_CONTACT


def test_law_16_a_second_tab_opened_before_the_answer_is_bound_by_it(world: World) -> None:
    first, second = world.begin(), world.begin()
    world.screening.answer_age(first, CHILD, browser=TABLET)
    assert world.look(second).step is NextStep.PARENT_CONTACT
    view = world.screening.answer_age(second, ADULT, browser=TABLET)
    assert view.step is NextStep.PARENT_CONTACT
    assert len(world.all(Subject)) == 1


def test_law_16_an_answer_holds_for_at_least_a_day(world: World) -> None:
    world.a_child()
    world.clock.pass_(hours=24)
    assert world.look(world.begin()).step is NextStep.PARENT_CONTACT
    world.clock.pass_(hours=12)
    assert world.look(world.begin()).step is NextStep.AGE_SCREEN


def test_another_browser_is_somebody_else(world: World) -> None:
    world.a_child()
    assert world.look(world.begin(browser=OTHER_BROWSER), browser=OTHER_BROWSER).step is (
        NextStep.AGE_SCREEN
    )


def test_law_22_asked_again_a_child_stays_one(world: World) -> None:
    world.a_child()
    assert world.look(world.begin(ask_age=True)).step is NextStep.PARENT_CONTACT


def test_law_22_asked_again_an_age_can_only_fall(world: World) -> None:
    adult = world.begin()
    world.screening.answer_age(adult, ADULT, browser=TABLET)
    again = world.begin(ask_age=True)
    assert world.look(again).step is NextStep.AGE_SCREEN
    assert world.screening.answer_age(again, CHILD, browser=TABLET).step is NextStep.PARENT_CONTACT
    third = world.begin(ask_age=True)
    assert world.look(third).step is NextStep.PARENT_CONTACT
    assert len(world.all(Subject)) == 1


def test_law_22_a_higher_answer_keeps_the_lower_range(world: World) -> None:
    sixteen = {"birth_month": "5", "birth_year": "2010"}
    world.screening.answer_age(world.begin(), sixteen, browser=TABLET)
    again = world.begin(ask_age=True)
    view = world.screening.answer_age(again, ADULT, browser=TABLET)
    assert view.standing is not None
    assert view.standing.tier is AgeTier.OLDER_TEEN
    [subject] = world.all(Subject)
    assert subject.turns_on.year == 2028


def test_a_hint_brings_a_sibling_back_to_their_own_account(world: World) -> None:
    older = world.subject_of(world.a_child())
    world.clock.pass_(hours=37)
    younger = world.subject_of(world.a_child())
    assert older.id != younger.id
    assert older.sub != younger.sub
    back = world.begin(subject_id=older.id)
    assert world.look(back).flow.subject_id == older.id


def test_a_hint_at_somebody_who_was_erased_begins_anew(world: World) -> None:
    flow = world.begin(subject_id="su_gone", browser=OTHER_BROWSER)
    assert world.look(flow, browser=OTHER_BROWSER).step is NextStep.AGE_SCREEN


def test_law_75_one_child_at_two_apps_is_two_strangers() -> None:
    twin = a_client(id="storybuddy-kids", name="StoryBuddy Kids")
    world = World(an_operator(clients=(a_client(), twin)))
    world.a_child()
    world.a_child(client_id="storybuddy-kids")
    one, other = world.all(Subject)
    assert one.sub != other.sub
    assert one.client_id != other.client_id


# -- birthdays -------------------------------------------------------------------------------------


def test_law_79_a_birthday_moves_the_tier_without_a_birth_date(world: World) -> None:
    flow = world.a_child()
    world.clock.time = datetime(2030, 6, 1, 12, 0, tzinfo=UTC)
    assert world.sweeps.sweep()["birthdays"] == 1
    [subject] = world.all(Subject)
    assert (subject.lower, subject.upper) == (13, 15)
    assert subject.turns_on.isoformat() == "2033-06-01"
    assert ("age.tier_changed", "younger_teen") in world.events()
    assert "age.tier_changed" in world.facts()
    assert flow.startswith("fl_")


def test_law_79_a_birthday_counts_before_the_worker_comes_by(world: World) -> None:
    subject = world.subject_of(world.a_child())
    world.clock.time = datetime(2030, 6, 1, 12, 0, tzinfo=UTC)
    view = world.look(world.begin(subject_id=subject.id))
    assert view.standing is not None
    assert view.standing.tier is AgeTier.YOUNGER_TEEN
    assert view.step is NextStep.FINISH


def test_a_birthday_is_never_early(world: World) -> None:
    world.a_child()
    world.clock.time = datetime(2030, 5, 31, 23, 0, tzinfo=UTC)
    assert "birthdays" not in world.sweeps.sweep()
    [subject] = world.all(Subject)
    assert subject.upper == 12


# -- finishing -------------------------------------------------------------------------------------


def test_finishing_gives_a_code_that_is_kept_as_a_hash(world: World) -> None:
    flow = world.begin()
    world.screening.answer_age(flow, ADULT, browser=TABLET)
    finished, code = world.screening.finish(flow, browser=TABLET)
    assert finished.finished_at == world.clock.time
    [stored] = world.all(Code)
    assert stored.id == digest(code)
    assert code not in repr(stored)


@pytest.mark.parametrize("limited", [False, True])
def test_there_is_no_code_before_the_age_is_known(world: World, limited: bool) -> None:
    with pytest.raises(NotAllowedNowError):
        world.screening.finish(world.begin(), browser=TABLET, limited=limited)
    assert world.all(Code) == []


def test_law_1_while_a_parent_decides_only_the_limited_mode_is_open(world: World) -> None:
    flow, _ = world.asks()
    with pytest.raises(NotAllowedNowError):
        world.screening.finish(flow, browser=TABLET)
    world.screening.finish(flow, browser=TABLET, limited=True)
    standing = world.look(flow).standing
    assert standing is not None
    assert (standing.state, standing.purposes) == (ConsentState.PENDING, ())


def test_there_is_no_limited_mode_before_a_parent_was_asked(world: World) -> None:
    with pytest.raises(NotAllowedNowError):
        world.screening.finish(world.a_child(), browser=TABLET, limited=True)


def test_a_lowered_tier_spends_older_tokens_and_tells_the_app(world: World) -> None:
    first = world.begin()
    world.screening.answer_age(first, ADULT, browser=TABLET)
    token = world.token(first)
    again = world.begin(ask_age=True)
    world.screening.answer_age(again, CHILD, browser=TABLET)
    assert world.introspect(token) == {"active": False}
    with world.store.read() as r:
        assert [issued.withdrawn for issued in r.select(IssuedToken)] == [True]
        told = [(e.type, e.state) for e in r.select(Event)]
    assert (EventType.AGE_TIER_CHANGED, "child") in told
