"""The ledger's keeper: number facts, sign checkpoints, verify everything, show it to outsiders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from agegate.domain.consent import Consent
from agegate.domain.errors import ConflictError, NotFoundError
from agegate.domain.ledger import GENESIS, Checkpoint, Fact
from agegate.domain.ledger_check import (
    CHECKPOINT_TYPE,
    Report,
    Walk,
    check_checkpoints,
    stage_after,
)
from agegate.domain.ledger_files import export_lines, proof_of
from agegate.services.core import Core
from agegate.services.ports import TokenSigner

PAGE: Final = 1000


class LedgerService:
    def __init__(self, core: Core, signer: TokenSigner) -> None:
        self._core = core
        self._signer = signer

    def integrate(self) -> int:
        """Number every waiting fact. Returns how many there were."""
        done = 0
        while count := self._core.store.integrate(limit=PAGE):
            done += count
        return done

    def checkpoint(self) -> Checkpoint:
        """Sign size and head. Nothing new since the last one: that one again."""
        self.integrate()
        with self._core.store.read() as r:
            newest = r.select(Fact, order="seq", descending=True, past=("seq", 0), limit=1)
            size = (newest[0].seq or 0) if newest else 0
            known = r.find(Checkpoint, str(size))
        if known is not None:
            return known
        head = (newest[0].head or GENESIS) if newest else GENESIS
        now = self._core.now()
        claims = {
            "iss": self._core.public_url,
            "iat": int(now.timestamp()),
            "size": size,
            "head": head,
            "at": now.isoformat(),
        }
        signature = self._signer.sign(claims, typ=CHECKPOINT_TYPE)
        made = Checkpoint(id=str(size), size=size, head=head, at=now, signature=signature)
        try:
            with self._core.store.write() as uow:
                uow.add(made)
                uow.commit()
        except ConflictError:
            # Another process signed the same head a moment ago.
            with self._core.store.read() as r:
                return r.get(Checkpoint, str(size))
        return made

    def verify(self) -> Report:
        """Walk every entry, then hold checkpoints and consents against it. Changes nothing."""
        with self._core.store.read() as r:
            # Before the entries: one that is signed meanwhile must not look like a cut tail.
            checkpoints = r.select(Checkpoint, order="size")
        walk = Walk(wanted=frozenset(c.size for c in checkpoints))
        for page in self._pages():
            walk.take(page)
        published = {str(key.get("kid")) for key in self._signer.jwks()["keys"]}
        unproven, problems = check_checkpoints(
            walk,
            checkpoints,
            published=published,
            verify=lambda text: self._signer.verify(text, typ=CHECKPOINT_TYPE),
        )
        with self._core.store.read() as r:
            waiting = len(r.select(Fact, seq=None))
            suspects = [c.id for c in r.select(Consent) if c.stage is not walk.stage_of(c.id)]
        problems += [
            f"consent {id_}: its state is not the one its facts lead to"
            for id_ in suspects
            if not self._agrees(id_)
        ]
        return Report(
            size=walk.size,
            head=walk.head,
            first_break=walk.broken,
            waiting=waiting,
            checkpoints=len(checkpoints),
            unproven=len(unproven),
            problems=tuple(problems),
        )

    def export(self) -> Iterator[str]:
        """The whole ledger as JSON lines, ending with a fresh checkpoint and the keys."""
        self.checkpoint()
        with self._core.store.read() as r:
            checkpoints = r.select(Checkpoint, order="size")
        last = checkpoints[-1].size
        entries = (e for page in self._pages() for e in page if (e.seq or 0) <= last)
        return export_lines(self._core.public_url, entries, checkpoints, self._signer.jwks())

    def prove(self, record: str) -> dict[str, Any]:
        """All facts about one record, with the chain that leads from them to a fresh checkpoint.

        A linear proof, see `agegate.domain.ledger_files`. Raises `NotFoundError`.
        """
        checkpoint = self.checkpoint()
        with self._core.store.read() as r:
            facts = r.select(Fact, record=record, order="seq", past=("seq", 0), limit=1)
            if not facts:
                raise NotFoundError("the ledger holds nothing about this record")
            first = facts[0].seq or 1
            before = self._core.store.entries(past=first - 2, limit=1) if first > 1 else ()
        previous = (before[0].head or GENESIS) if before else GENESIS
        entries = [
            e
            for page in self._pages(past=first - 1)
            for e in page
            if (e.seq or 0) <= checkpoint.size
        ]
        return proof_of(record, entries, previous, checkpoint, self._signer.jwks())

    # -- helpers ---------------------------------------------------------------------------------

    def _pages(self, *, past: int = 0) -> Iterator[list[Fact]]:
        while page := list(self._core.store.entries(past=past, limit=PAGE)):
            yield page
            past = page[-1].seq or past + len(page)

    def _agrees(self, id_: str) -> bool:
        """Look again, waiting facts included: a consent may have gone on while we walked."""
        with self._core.store.read() as r:
            before = r.find(Consent, id_)
            facts = r.select(Fact, record=id_)
            after = r.find(Consent, id_)
        # One that changes while we look is alive, and the next check sees it at rest.
        return before != after or after is None or after.stage is stage_after(facts)
