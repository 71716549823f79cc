from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agegate.domain.consent import Consent, Stage
from agegate.domain.ids import ClientId, PurposeId
from agegate.domain.operators import AudienceType
from agegate.services.decisions import Decision, Question, Reason, Semantic
from agegate.wire.tiers import AgeTier, ConsentState
from tests.factories import a_client, an_operator
from tests.unit.services.parts import CHAT, LAB, OTHERS, OURS, Parts, new_practices

CLIENT = "storybuddy-web"


@pytest.fixture
def parts() -> Parts:
    return Parts()


def a_question(**overrides: str) -> Question:
    fields = {
        "subject_type": "subject",
        "subject_id": "sub-mia",
        "purpose": CHAT,
        "resource_type": "client",
        "resource_id": CLIENT,
    }
    return Question(**{**fields, **overrides})


def ask(parts: Parts, **overrides: str) -> Decision:
    return parts.decisions.evaluate(OURS, a_question(**overrides))


# --- yes ---------------------------------------------------------------------------------------


def test_a_granted_purpose_may_go_ahead(parts: Parts) -> None:
    parts.granted()
    answer = ask(parts)
    assert (answer.allowed, answer.reason) == (True, Reason.GRANTED)
    assert (answer.tier, answer.state) == (AgeTier.CHILD, ConsentState.GRANTED)
    assert answer.record == "cr_1"
    assert answer.practices == an_operator().practices


def test_an_adult_needs_no_parent(parts: Parts) -> None:
    parts.subject(lower=18, upper=None)
    answer = ask(parts)
    assert (answer.allowed, answer.reason) == (True, Reason.NOT_REQUIRED)
    assert (answer.tier, answer.state) == (AgeTier.ADULT, ConsentState.NOT_REQUIRED)
    assert answer.obligations == {}


def test_not_required_is_no_licence_for_an_undeclared_purpose(parts: Parts) -> None:
    parts.subject(lower=18, upper=None)
    answer = ask(parts, purpose="advertising")
    assert (answer.allowed, answer.reason) == (False, Reason.UNKNOWN_PURPOSE)


# --- no ----------------------------------------------------------------------------------------


def test_law_01_without_a_consent_the_answer_is_no(parts: Parts) -> None:
    parts.subject()
    answer = ask(parts)
    assert (answer.allowed, answer.reason) == (False, Reason.REQUIRED)


def test_law_04_a_refused_disclosure_leaves_the_rest_working(parts: Parts) -> None:
    parts.granted(lab="refuse")
    assert ask(parts).allowed
    refused = ask(parts, purpose=LAB)
    assert (refused.allowed, refused.reason) == (False, Reason.PURPOSE_REFUSED)
    assert refused.state is ConsentState.GRANTED


def test_a_purpose_nobody_was_asked_about_is_refused(parts: Parts) -> None:
    subject = parts.subject()
    parts.ask(subject, purposes=(PurposeId(CHAT),))
    with parts.store.write() as uow:
        # The parent answers what was asked; the client has declared more than that.

        consent = uow.get(Consent, "cr_1")
        uow.save(replace(consent, stage=Stage.GRANTED, granted=(PurposeId(CHAT),)))
        uow.commit()
    assert ask(parts).allowed
    assert ask(parts, purpose=LAB).reason is Reason.PURPOSE_NOT_ASKED


def pending(parts: Parts) -> None:
    parts.ask(parts.subject())


def denied(parts: Parts) -> None:
    parts.granted(chat="refuse")


def withdrawn(parts: Parts) -> None:
    parts.granted()
    parts.change("cr_1", "withdraw")


def revoked(parts: Parts) -> None:
    parts.granted()
    parts.change("cr_1", "revoke", "by_store")


def expired_question(parts: Parts) -> None:
    parts.ask(parts.subject())
    parts.pass_(days=14)


def expired_grant(parts: Parts) -> None:
    parts.granted()
    parts.pass_(days=365)


def stale(parts: Parts) -> None:
    parts.granted()
    parts.apply(new_practices())


@pytest.mark.parametrize(
    ("happened", "reason"),
    [
        (pending, Reason.PENDING),
        (denied, Reason.DENIED),
        (withdrawn, Reason.WITHDRAWN),
        (revoked, Reason.REVOKED),
        (expired_question, Reason.EXPIRED),
        (expired_grant, Reason.EXPIRED),
        (stale, Reason.STALE),
    ],
    ids=lambda v: getattr(v, "__name__", str(v)),
)
def test_law_10_whatever_ended_or_never_began_is_a_no_at_once(
    parts: Parts, happened: Callable[[Parts], None], reason: Reason
) -> None:
    happened(parts)
    for purpose in (CHAT, LAB):
        answer = ask(parts, purpose=purpose)
        assert (answer.allowed, answer.reason) == (False, reason)
        assert answer.state.value == reason.value


def test_a_grant_holds_until_the_last_moment_of_its_term_and_not_longer(parts: Parts) -> None:
    parts.granted()
    parts.pass_(days=365, microseconds=-1)
    assert ask(parts).allowed
    parts.pass_(microseconds=1)
    assert not ask(parts).allowed


def test_law_09_new_practices_need_a_new_consent(parts: Parts) -> None:
    parts.granted()
    parts.apply(new_practices())
    answer = ask(parts)
    assert (answer.allowed, answer.state) == (False, ConsentState.STALE)
    assert answer.practices == an_operator().practices  # the one the parent agreed to


def test_law_12_a_declared_adult_on_a_child_directed_service_is_a_child(parts: Parts) -> None:
    parts.apply(an_operator(clients=(a_client(audience_type=AudienceType.CHILD_DIRECTED),)))
    parts.subject(lower=18, upper=None)
    answer = ask(parts)
    assert (answer.allowed, answer.tier) == (False, AgeTier.CHILD)
    assert answer.reason is Reason.REQUIRED


def test_a_subject_without_an_age_is_a_child(parts: Parts) -> None:
    parts.subject(upper=None, method=None, method_class=None, level=None, age_at=None)
    answer = ask(parts)
    assert (answer.allowed, answer.tier, answer.reason) == (False, AgeTier.CHILD, Reason.REQUIRED)


# --- unknown and foreign -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ({"subject_id": "sub-nobody"}, Reason.UNKNOWN_SUBJECT),
        ({"subject_type": "user"}, Reason.UNKNOWN_SUBJECT),
        ({"subject_id": "sub-\x00mia"}, Reason.UNKNOWN_SUBJECT),
        ({"subject_id": "sübject"}, Reason.UNKNOWN_SUBJECT),
        ({"subject_id": "x" * 300}, Reason.UNKNOWN_SUBJECT),
        ({"purpose": "advertising"}, Reason.UNKNOWN_PURPOSE),
        ({"purpose": ""}, Reason.UNKNOWN_PURPOSE),
        ({"resource_id": "nobody-web"}, Reason.UNKNOWN_CLIENT),
        ({"resource_id": "other-web"}, Reason.UNKNOWN_CLIENT),
        ({"resource_id": "storybuddy-api"}, Reason.UNKNOWN_CLIENT),
        ({"resource_id": "story\x00"}, Reason.UNKNOWN_CLIENT),
        ({"resource_type": "document"}, Reason.UNKNOWN_CLIENT),
        ({"subject_type": "token", "subject_id": "a.b.c"}, Reason.INVALID_TOKEN),
        ({"subject_type": "token", "subject_id": "sub-mia"}, Reason.INVALID_TOKEN),
    ],
)
def test_the_unknown_is_a_no_with_a_reason(
    parts: Parts, question: dict[str, str], reason: Reason
) -> None:
    parts.granted()
    answer = ask(parts, **question)
    assert (answer.allowed, answer.reason) == (False, reason)


def test_an_unknown_subject_is_answered_as_a_child_without_a_record(parts: Parts) -> None:
    answer = ask(parts, subject_id="sub-nobody").to_json()
    assert answer["decision"] is False
    assert answer["context"] | {"evaluated_at": ""} == {
        "age_tier": "child",
        "consent_state": "required",
        "reason_code": "unknown_subject",
        "record": None,
        "practices": None,
        "obligations": {},
        "evaluated_at": "",
    }


def test_another_operator_learns_nothing(parts: Parts) -> None:
    parts.granted()
    foreign = parts.decisions.evaluate(OTHERS, a_question())
    assert (foreign.allowed, foreign.reason, foreign.record) == (
        False,
        Reason.UNKNOWN_CLIENT,
        None,
    )
    # With a client of their own they reach none of our subjects either.
    theirs = parts.decisions.evaluate(OTHERS, a_question(resource_id="other-web"))
    assert (theirs.allowed, theirs.reason) == (False, Reason.UNKNOWN_SUBJECT)


def test_law_75_a_sub_means_nothing_at_a_sister_app(parts: Parts) -> None:
    parts.apply(an_operator(clients=(a_client(), a_client(id=ClientId("sister-web")))))
    parts.granted()
    answer = ask(parts, resource_id="sister-web")
    assert (answer.allowed, answer.reason) == (False, Reason.UNKNOWN_SUBJECT)


# --- tokens ------------------------------------------------------------------------------------


def test_a_token_stands_for_its_subject_and_the_answer_is_live(parts: Parts) -> None:
    subject = parts.granted()
    token = parts.access_token(subject)
    assert ask(parts, subject_type="token", subject_id=token).allowed
    parts.change("cr_1", "withdraw")
    answer = ask(parts, subject_type="token", subject_id=token)
    assert (answer.allowed, answer.reason) == (False, Reason.WITHDRAWN)


def test_an_expired_token_stands_for_nobody(parts: Parts) -> None:
    token = parts.access_token(parts.granted())
    parts.pass_(minutes=5)
    answer = ask(parts, subject_type="token", subject_id=token)
    assert (answer.allowed, answer.reason) == (False, Reason.INVALID_TOKEN)


def test_a_token_of_another_app_stands_for_nobody(parts: Parts) -> None:
    token = parts.access_token(
        parts.subject("theirs", operator_id=OTHERS, client_id=ClientId("other-web"))
    )
    answer = ask(parts, subject_type="token", subject_id=token)
    assert (answer.allowed, answer.reason) == (False, Reason.INVALID_TOKEN)


# --- what else is said -------------------------------------------------------------------------


def test_law_101_minors_bring_the_duties_of_a_model(parts: Parts) -> None:
    parts.subject(place="US-CA", lower=13, upper=15)
    duties = ask(parts).obligations
    assert duties["ai_disclosure"] is True
    assert duties["reminder_minutes"] == 180


def test_the_answer_says_when_it_was_given(parts: Parts) -> None:
    parts.granted()
    assert ask(parts).to_json()["context"]["evaluated_at"] == "2026-11-22T12:00:00.000+00:00"


def test_law_11_each_check_leaves_one_line_without_a_subject(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    parts.granted()
    with caplog.at_level(logging.INFO, logger="agegate.decisions"):
        ask(parts)
        ask(parts, purpose="write me a poem about Mia")
    version = parts.core.rulebook.version
    assert caplog.messages == [
        f"decision=True tier=child record=cr_1 rules_version={version} reason=granted",
        f"decision=False tier=child record=cr_1 rules_version={version} reason=unknown_purpose",
    ]
    fields = vars(caplog.records[0])
    assert (fields["decision"], fields["record"]) == (True, "cr_1")
    everything = " ".join(str(vars(record)) for record in caplog.records)
    assert "sub-mia" not in everything
    assert "poem" not in everything


def test_law_11_an_answer_that_is_given_once_more_is_logged_once_more(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    parts.granted()
    answer = ask(parts)
    with caplog.at_level(logging.INFO, logger="agegate.decisions"):
        parts.decisions.log(answer)
    assert caplog.messages[-1].startswith("decision=True tier=child record=cr_1")


def test_a_question_does_not_show_its_subject(parts: Parts) -> None:
    assert "sub-mia" not in repr(a_question())


# --- several at once ---------------------------------------------------------------------------


def ask_many(parts: Parts, *purposes: str | None, semantic: Semantic) -> list[bool]:
    questions = [None if p is None else a_question(purpose=p) for p in purposes]
    answers = parts.decisions.evaluate_many(OURS, questions, semantic=semantic)
    return [answer.allowed for answer in answers]


@pytest.mark.parametrize(
    ("semantic", "expected"),
    [
        (Semantic.EXECUTE_ALL, [True, False, False, True]),
        (Semantic.DENY_ON_FIRST_DENY, [True, False]),
        (Semantic.PERMIT_ON_FIRST_PERMIT, [True]),
    ],
)
def test_a_semantic_says_how_far_a_list_is_worked_through(
    parts: Parts, semantic: Semantic, expected: list[bool]
) -> None:
    parts.granted()
    assert ask_many(parts, CHAT, LAB, None, CHAT, semantic=semantic) == expected


def test_permit_on_first_permit_goes_on_after_a_no(parts: Parts) -> None:
    parts.granted()
    semantic = Semantic.PERMIT_ON_FIRST_PERMIT
    assert ask_many(parts, LAB, CHAT, CHAT, semantic=semantic) == [False, True]


def test_an_incomplete_question_among_others_is_a_no(parts: Parts) -> None:
    parts.granted()
    answers = parts.decisions.evaluate_many(OURS, [None, a_question()])
    assert [a.reason for a in answers] == [Reason.INCOMPLETE_QUESTION, Reason.GRANTED]


def test_a_list_of_questions_looks_each_subject_up_once(parts: Parts) -> None:
    parts.granted()
    counting = _Counting(parts.store)
    decisions = type(parts.decisions)(replace(parts.core, store=counting), parts.tokens)
    decisions.evaluate_many(OURS, [a_question(purpose=p) for p in (CHAT, LAB, CHAT, "x")])
    assert counting.looked == 4  # credential, operator, subject, consents


class _Counting:
    """Counts look-ups on their way to a real store."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.looked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def read(self) -> Any:
        return _CountingReader(self, self._store)


class _CountingReader:
    def __init__(self, counting: _Counting, store: Any) -> None:
        self._counting = counting
        self._opened = store.read()

    def __enter__(self) -> Any:
        self._reader = self._opened.__enter__()
        return self

    def __exit__(self, *error: object) -> Any:
        return self._opened.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        self._counting.looked += 1
        return getattr(self._reader, name)
