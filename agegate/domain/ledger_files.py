"""The ledger outside the database: an export to verify offline, and the proof of one record.

An export is JSON lines, each with a `type`: one line that says what it is, then every `entry`,
every `checkpoint` and one `jwks` line. A proof is one JSON object: the facts of a record, the
leaves of all entries from the first of them up to a signed checkpoint, and the head before them.
Recomputing the chain over those leaves shows that the facts stand under the checkpoint's head. It
grows with the ledger; a Merkle tree over the same leaves would make it short, and the leaves
already have its form.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar

from agegate.domain.errors import InvalidRequestError
from agegate.domain.ids import ClientId, Digest, FactId, OperatorId, RecordId
from agegate.domain.ledger import Break, Checkpoint, Fact, FactKind, chain_hash, leaf_hash
from agegate.domain.ledger_check import Report, Walk, check_checkpoints

VERSION: Final = 1
LEDGER: Final = "agegate-ledger"
PROOF: Final = "agegate-ledger-proof"
PROOF_NOTE: Final = (
    "A linear proof: hash 0x01, the head so far and the next leaf, for every leaf in turn, and "
    "compare the last head with the checkpoint's. It is not a Merkle inclusion proof."
)

T = TypeVar("T", bound=str)
_AROUND: Final = frozenset({"type", "previous"})

Jwks = Mapping[str, Any]
VerifyWith = Callable[[str, Jwks], dict[str, Any] | None]
"""The claims of a checkpoint's JWS if a key of the JWK set signed it, else None."""


class UnreadableFileError(InvalidRequestError):
    """A file that is neither an export nor a proof of ours. The message names the line at most."""


def export_lines(
    issuer: str, entries: Iterable[Fact], checkpoints: Sequence[Checkpoint], jwks: Jwks
) -> Iterator[str]:
    yield _line({"type": LEDGER, "v": VERSION, "issuer": issuer})
    for entry in entries:
        yield _line({"type": "entry", **fact_to_json(entry)})
    for checkpoint in checkpoints:
        yield _line({"type": "checkpoint", **checkpoint_to_json(checkpoint)})
    yield _line({"type": "jwks", "keys": jwks["keys"]})


def check_file(lines: Iterable[str], *, verify: VerifyWith, trusted: Jwks | None = None) -> Report:
    """Check an export or a proof. Raises `UnreadableFileError`.

    Without `trusted` the keys inside the file are taken at their word: that finds every change by
    somebody who does not hold a signing key, and not a file made up from beginning to end.
    """
    found = _objects(lines)
    first = next(found, None)
    if first is None or first.get("v") != VERSION or first.get("type") not in {LEDGER, PROOF}:
        raise UnreadableFileError("this is not a ledger export or proof")
    if first["type"] == PROOF:
        return _check_proof(first, verify=verify, trusted=trusted)
    return _check_export(found, verify=verify, trusted=trusted)


def _check_export(
    found: Iterator[dict[str, Any]], *, verify: VerifyWith, trusted: Jwks | None
) -> Report:
    entries: list[Fact] = []
    checkpoints: list[Checkpoint] = []
    jwks: Jwks | None = None
    for number, raw in enumerate(found, 2):
        try:
            match raw["type"]:
                case "entry":
                    entries.append(fact_from_json(raw))
                case "checkpoint":
                    checkpoints.append(checkpoint_from_json(raw))
                case "jwks":
                    jwks = {"keys": list(raw["keys"])}
                case _:
                    raise ValueError
        except (KeyError, TypeError, ValueError):
            raise UnreadableFileError(f"line {number} is not one of an export") from None
    if jwks is None:
        raise UnreadableFileError("the export ends before its keys")
    walk = Walk(wanted=frozenset(c.size for c in checkpoints))
    walk.take(entries)
    return _report(walk, checkpoints, trusted or jwks, verify)


def _report(
    walk: Walk, checkpoints: Sequence[Checkpoint], keys: Jwks, verify: VerifyWith
) -> Report:
    unproven, problems = check_checkpoints(
        walk, checkpoints, published=_ids(keys), verify=lambda text: verify(text, keys)
    )
    proven = [c.size for c in checkpoints if c.size not in unproven]
    if walk.broken is None and max(proven, default=-1) != walk.size:
        # Else the end could be cut off together with the checkpoint that would have told it.
        problems.append("no checkpoint by one of these keys stands at the end of this file")
    return Report(
        size=walk.size,
        head=walk.head,
        first_break=walk.broken,
        waiting=0,
        checkpoints=len(checkpoints),
        unproven=len(unproven),
        problems=tuple(problems),
    )


# --- proofs ------------------------------------------------------------------------------------


def proof_of(
    record: str, entries: Sequence[Fact], previous: Digest, checkpoint: Checkpoint, jwks: Jwks
) -> dict[str, Any]:
    """`entries` are all from the record's first fact on; `previous` is the head before them."""
    heads = {entry.seq: entry.head for entry in entries}
    first = entries[0].seq or 1
    return {
        "type": PROOF,
        "v": VERSION,
        "note": PROOF_NOTE,
        "record": record,
        "start": {"number": first - 1, "head": previous},
        "facts": [
            fact_to_json(entry) | {"previous": heads.get((entry.seq or 1) - 1, previous)}
            for entry in entries
            if entry.record == record
        ],
        "leaves": [entry.leaf for entry in entries],
        "checkpoint": checkpoint_to_json(checkpoint),
        "keys": jwks["keys"],
    }


def _check_proof(raw: dict[str, Any], *, verify: VerifyWith, trusted: Jwks | None) -> Report:
    try:
        facts = [fact_from_json(fact) for fact in raw["facts"]]
        checkpoint = checkpoint_from_json(raw["checkpoint"])
        start, head = int(raw["start"]["number"]), Digest(str(raw["start"]["head"]))
        leaves = [Digest(str(leaf)) for leaf in raw["leaves"]]
        keys: Jwks = trusted or {"keys": list(raw["keys"])}
        record = str(raw["record"])
        broken = _first_strange(facts, leaves, start=start, record=record)
        walk = Walk(wanted=frozenset({checkpoint.size}), size=start, head=head, broken=broken)
        for leaf in leaves:
            walk.head = chain_hash(walk.head, leaf)
    except (KeyError, TypeError, ValueError):
        raise UnreadableFileError("this proof is not of our form") from None
    walk.size = start + len(leaves)
    walk.heads[walk.size] = walk.head
    return replace(_report(walk, [checkpoint], keys, verify), record=record)


def _first_strange(
    facts: Sequence[Fact], leaves: Sequence[Digest], *, start: int, record: str
) -> Break | None:
    if not facts:
        return Break(seq=start + 1, reason="no fact of this record")
    for fact in facts:
        seq = fact.seq or 0
        inside = start < seq <= start + len(leaves)
        leaf = leaf_hash(fact.canonical())
        if not inside or fact.record != record or leaves[seq - start - 1] != leaf:
            return Break(seq=seq, reason="changed")
    return None


# --- one line ----------------------------------------------------------------------------------


def fact_to_json(fact: Fact) -> dict[str, Any]:
    """Exactly what is hashed, and the three numbers that the integrator gave."""
    body: dict[str, Any] = json.loads(fact.canonical())
    return body | {"number": fact.seq, "leaf": fact.leaf, "head": fact.head}


def fact_from_json(raw: Mapping[str, Any]) -> Fact:
    """The inverse of `fact_to_json`. Raises `KeyError`, `TypeError` or `ValueError`."""
    fact = Fact(
        id=FactId(raw["id"]),
        kind=FactKind(raw["kind"]),
        at=datetime.fromisoformat(raw["at"]),
        operator_id=_maybe(raw["operator"], OperatorId),
        client_id=_maybe(raw["client"], ClientId),
        record=_maybe(raw["record"], RecordId),
        data={k: tuple(v) if isinstance(v, list) else v for k, v in raw["data"].items()},
        seq=raw["number"],
        leaf=Digest(raw["leaf"]),
        head=Digest(raw["head"]),
    )
    # Exactly as it is written, or an entry could change in ways that a parser forgives.
    if fact_to_json(fact) != {k: v for k, v in raw.items() if k not in _AROUND}:
        raise ValueError
    return fact


def checkpoint_to_json(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "size": checkpoint.size,
        "head": checkpoint.head,
        "at": checkpoint.at.isoformat(),
        "signature": checkpoint.signature,
    }


def checkpoint_from_json(raw: Mapping[str, Any]) -> Checkpoint:
    size = raw["size"]
    if type(size) is not int or not isinstance(raw["signature"], str):
        raise TypeError
    return Checkpoint(
        id=str(size),
        size=size,
        head=Digest(raw["head"]),
        at=datetime.fromisoformat(raw["at"]),
        signature=raw["signature"],
    )


def _maybe(value: object, name: Callable[[str], T]) -> T | None:
    if value is not None and not isinstance(value, str):
        raise TypeError
    return None if value is None else name(value)


def _ids(keys: Jwks) -> set[str]:
    return {str(key.get("kid")) for key in keys["keys"] if isinstance(key, Mapping)}


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n"


def _objects(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            raise UnreadableFileError(f"line {number} is not JSON") from None
        if not isinstance(found, dict):
            raise UnreadableFileError(f"line {number} is not an object")
        yield found
