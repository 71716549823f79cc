"""Is the ledger what it was? Pure checks over entries, checkpoints and consents."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agegate.domain.consent import Stage
from agegate.domain.ids import Digest
from agegate.domain.ledger import GENESIS, Break, Checkpoint, Fact, FactKind, first_break

CHECKPOINT_TYPE: Final = "checkpoint+jwt"

Verify = Callable[[str], dict[str, Any] | None]
"""The claims of a checkpoint's JWS if a published key signed it, else None."""

_STAGES: Final = (
    (FactKind.CONSENT_REQUESTED, Stage.REQUESTED),
    (FactKind.CONSENT_NOTIFIED, Stage.NOTIFIED),
    (FactKind.CONSENT_OPENED, Stage.OPENED),
    (FactKind.CONSENT_PROVED, Stage.PROVED),
    (FactKind.CONSENT_DECIDED, Stage.DECIDED),
    (FactKind.CONSENT_GRANTED, Stage.GRANTED),
    (FactKind.CONSENT_DENIED, Stage.DENIED),
    (FactKind.CONSENT_EXPIRED, Stage.EXPIRED),
    (FactKind.CONSENT_SUPERSEDED, Stage.SUPERSEDED),
    (FactKind.CONSENT_STALE, Stage.STALE),
    (FactKind.CONSENT_WITHDRAWN, Stage.WITHDRAWN),
    (FactKind.CONSENT_REVOKED, Stage.REVOKED),
)
"""In the order in which they can follow each other: facts of one moment need no other order."""
_RANK: Final = {kind: rank for rank, (kind, _) in enumerate(_STAGES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found. `problems` are sentences without anything about a person."""

    size: int
    head: Digest
    first_break: Break | None
    waiting: int
    """Facts that are stored and not numbered yet."""
    checkpoints: int
    unproven: int
    """Checkpoints whose key nobody publishes any more: compared, not proven."""
    problems: tuple[str, ...]
    record: str | None = None
    """The record whose facts a proof shows; None where a whole ledger was checked."""

    @property
    def ok(self) -> bool:
        return self.first_break is None and not self.problems

    def to_json(self) -> dict[str, Any]:
        found = self.first_break
        return {
            "ok": self.ok,
            "record": self.record,
            "size": self.size,
            "head": self.head,
            "first_break": found and {"number": found.seq, "reason": found.reason},
            "waiting": self.waiting,
            "checkpoints": self.checkpoints,
            "unproven_checkpoints": self.unproven,
            "problems": list(self.problems),
        }


@dataclass(slots=True, kw_only=True)
class Walk:
    """Goes through the entries page by page and remembers what the later checks need."""

    wanted: frozenset[int] = frozenset()
    """The sizes at which a checkpoint was signed."""
    size: int = 0
    head: Digest = GENESIS
    broken: Break | None = None
    heads: dict[int, Digest] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    ranks: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.heads[0] = GENESIS

    def take(self, page: Sequence[Fact]) -> None:
        """The next entries. After the first break nothing more is looked at."""
        if self.broken is not None or not page:
            return
        self.broken = first_break(page, previous=self.head, start=self.size + 1)
        if self.broken is not None:
            page = page[: self.broken.seq - self.size - 1]
        for fact in page:
            self._remember(fact)

    def stage_of(self, record: str) -> Stage | None:
        """The stage a record's facts lead to."""
        rank = self.ranks.get(record)
        return None if rank is None else _STAGES[rank][1]

    def _remember(self, fact: Fact) -> None:
        self.size = fact.seq or 0
        self.head = fact.head or self.head
        if self.size in self.wanted:
            self.heads[self.size] = self.head
        if fact.kind is FactKind.KEY_CREATED:
            self.keys.add(str(fact.data.get("kid")))
        if fact.record is not None and fact.kind in _RANK:
            self.ranks[fact.record] = max(self.ranks.get(fact.record, 0), _RANK[fact.kind])


def stage_after(facts: Iterable[Fact]) -> Stage | None:
    """The stage these facts about one record lead to."""
    rank = max((_RANK[fact.kind] for fact in facts if fact.kind in _RANK), default=None)
    return None if rank is None else _STAGES[rank][1]


def check_checkpoints(
    walk: Walk, checkpoints: Sequence[Checkpoint], *, published: Collection[str], verify: Verify
) -> tuple[list[int], list[str]]:
    """The sizes of those that could only be compared, and all that is wrong.

    `published` are the key ids in the JWKS.

    A checkpoint outlives the key that signed it. Its key id is a hash of the key and stands in the
    ledger itself, so a checkpoint by a key that was never ours is found even then.
    """
    unproven: list[int] = []
    problems: list[str] = []
    for checkpoint in sorted(checkpoints, key=lambda c: c.size):
        name = f"checkpoint {checkpoint.size}"
        claims = verify(checkpoint.signature)
        if claims is None:
            kid, claims = _unverified(checkpoint.signature)
            if kid in published or kid not in walk.keys:
                problems.append(f"{name}: its signature is not ours")
                continue
            unproven.append(checkpoint.size)
        stored = (checkpoint.size, checkpoint.head, checkpoint.at.isoformat())
        if (claims.get("size"), claims.get("head"), claims.get("at")) != stored:
            problems.append(f"{name}: says something else than what was signed")
        if walk.broken is not None and checkpoint.size > walk.size:
            continue  # the break is already told, and nothing beyond it was walked
        if checkpoint.size > walk.size:
            problems.append(f"{name}: the ledger ends at {walk.size}, its tail was cut off")
        elif walk.heads.get(checkpoint.size) != checkpoint.head:
            problems.append(f"{name}: the ledger had another head then; it was rewritten")
    return unproven, problems


def _unverified(signature: str) -> tuple[str | None, dict[str, Any]]:
    """Key id and claims of a JWS, whoever signed it."""
    try:
        header, claims, _ = (_part(part) for part in (*signature.split(".")[:2], "e30"))
        return str(header.get("kid")), claims
    except (ValueError, TypeError):
        return None, {}


def _part(text: str) -> dict[str, Any]:
    found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    if not isinstance(found, dict):
        raise TypeError
    return found
