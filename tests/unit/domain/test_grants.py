"""What is issued ends: codes in a minute, tokens of minors in five, families with all of it."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta

import pytest

from agegate.domain.grants import (
    ACCESS_FOR_ADULTS,
    ACCESS_FOR_MINORS,
    CODE_FOR,
    FAMILY_FOR,
    SERVICE_TOKEN_FOR,
    Code,
    Family,
    IssuedToken,
    RefreshToken,
    access_token_until,
)
from agegate.domain.ids import ClientId, Digest, FamilyId, SubjectId
from agegate.wire.tiers import AgeTier
from tests.factories import NOON

TICK = timedelta(microseconds=1)
MINORS = [tier for tier in AgeTier if tier is not AgeTier.ADULT]

FAMILY = Family(
    id=FamilyId("fa_1"),
    client_id=ClientId("storybuddy-web"),
    subject_id=SubjectId("su_1"),
    scope="openid age",
    resources=(),
    auth_time=NOON,
    created_at=NOON,
    expires_at=NOON + FAMILY_FOR,
)
CODE = Code(
    id=Digest("c" * 64),
    client_id=ClientId("storybuddy-web"),
    subject_id=SubjectId("su_1"),
    family_id=FAMILY.id,
    redirect_uri="https://storybuddy.example/callback",
    scope="openid age",
    resources=(),
    code_challenge="x",
    nonce=None,
    auth_time=NOON,
    expires_at=NOON + CODE_FOR,
)
REFRESH = RefreshToken(
    id=Digest("d" * 64),
    family_id=FAMILY.id,
    client_id=ClientId("storybuddy-web"),
    scope="openid age",
    created_at=NOON,
    expires_at=NOON + FAMILY_FOR,
)


def test_lifetimes_are_the_promised_ones() -> None:
    assert timedelta(seconds=60) == CODE_FOR
    assert timedelta(minutes=5) == ACCESS_FOR_MINORS
    assert timedelta(minutes=15) == ACCESS_FOR_ADULTS == SERVICE_TOKEN_FOR
    assert timedelta(days=30) == FAMILY_FOR


@pytest.mark.parametrize("tier", MINORS)
def test_law_10_a_minors_token_lives_five_minutes(tier: AgeTier) -> None:
    until = access_token_until(tier, consent_until=None, now=NOON)
    assert until == NOON + timedelta(minutes=5)


def test_an_adults_token_lives_fifteen_minutes() -> None:
    until = access_token_until(AgeTier.ADULT, consent_until=None, now=NOON)
    assert until == NOON + timedelta(minutes=15)


@pytest.mark.parametrize("left", [TICK, timedelta(minutes=5) - TICK, timedelta(minutes=5)])
def test_law_77_a_token_never_outlives_the_consent(left: timedelta) -> None:
    until = access_token_until(AgeTier.CHILD, consent_until=NOON + left, now=NOON)
    assert until == NOON + left


def test_a_long_consent_makes_no_longer_token() -> None:
    until = access_token_until(AgeTier.CHILD, consent_until=NOON + timedelta(days=9), now=NOON)
    assert until == NOON + timedelta(minutes=5)


@pytest.mark.parametrize("one", [CODE, REFRESH])
def test_a_use_is_a_time_and_nothing_else(one: Code | RefreshToken) -> None:
    assert one.used_at is None
    assert one.use(now=NOON + TICK) == replace(one, used_at=NOON + TICK)


def test_a_family_lives_until_its_end() -> None:
    assert FAMILY.is_live(now=FAMILY.expires_at - TICK)
    assert not FAMILY.is_live(now=FAMILY.expires_at)


def test_a_revoked_family_is_dead_at_once_and_for_good() -> None:
    revoked = FAMILY.revoke(now=NOON)
    assert revoked == replace(FAMILY, revoked_at=NOON)
    assert not revoked.is_live(now=NOON)
    assert revoked.revoke(now=NOON + TICK).revoked_at == NOON, "the first time stays"


def test_law_74_a_remembered_token_knows_nothing_of_a_person() -> None:
    assert {f.name for f in fields(IssuedToken)} == {
        "id",
        "family_id",
        "client_id",
        "subject_id",
        "record",
        "tier",
        "list_id",
        "idx",
        "slot",
        "expires_at",
        "withdrawn",
        "revoked_at",
        "version",
    }
