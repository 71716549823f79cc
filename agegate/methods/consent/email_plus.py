"""E-mail plus (16 CFR 312.5(b)(2)(viii)).

Only where nothing is disclosed, and never without its second step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from agegate.domain.consent import ConsentEvidence
from agegate.methods.base import ConsentCase, Done


class EmailPlus:
    """The mailbox answered. The consent starts only when a later letter is confirmed too."""

    key: ClassVar[str] = "email_plus"

    def begin(self, case: ConsentCase) -> Done[ConsentEvidence]:
        return Done(
            ConsentEvidence(
                method=self.key,
                at=case.now,
                identity="mailbox",
                relationship="declared",
                confirmation_needed=True,
            )
        )

    def answer(self, case: ConsentCase, submitted: Mapping[str, str]) -> Done[ConsentEvidence]:  # noqa: ARG002 - nothing is asked
        return self.begin(case)
