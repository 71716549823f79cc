"""What a look at an operator file can find: refusals with rule and source, and cautions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agegate.domain.errors import UnlawfulError

SOURCES: Final[Mapping[str, str]] = {
    "contact_missing": "16 CFR 312.4(d)(1)",
    "establishment_unknown": "ISO 3166-1 and 3166-2",
    "region_unknown": "the rulebook (config/jurisdictions)",
    "assurance_missing": "16 CFR 312.8(c)",
    "assurance_in_future": "16 CFR 312.8(c)",
    "provider_aims": "16 CFR 312.2, support for the internal operations",
    "integral_provider": "16 CFR 312.2, third party; 312.5(a)(2)",
    "integral_aims": "16 CFR 312.5(a)(2); 90 FR 16918, Statement of Basis and Purpose",
    "integral_reason": "16 CFR 312.5(a)(2); 312.4(c)(1)(iv)",
    "retention": "16 CFR 312.10",
    "bundled_disclosure": "16 CFR 312.5(a)(2)",
    "disclosure_recipient": "16 CFR 312.5(a)(2)",
    "disclosure_to_provider": "16 CFR 312.2, disclose and third party",
    "disclosure_to_integral": "16 CFR 312.5(a)(2)",
    "disclosure_core": "16 CFR 312.5(a)(2); 312.7",
    "purposes_missing": "16 CFR 312.5(a)(1); 312.4(c)(1)(iii)",
    "block_audience": "16 CFR 312.2, directed to children and mixed audience; FTC COPPA FAQ D.2",
    "age_method_unknown": "docs/reference/operator-file.md, age methods",
    "age_method_forbidden": "the rulebook (config/jurisdictions)",
    "estimation_before_consent": (
        "16 CFR 312.5(a)(1); 312.2, personal information (6), (8) and (10); "
        "FTC policy statement on age verification, 2026-02-25 (general and mixed audience only)"
    ),
    "self_declaration_excluded": "the rulebook (config/jurisdictions)",
    "vpc_method_unknown": "16 CFR 312.5(b)(2)",
    "vpc_face_of_parent": "16 CFR 312.12(a); FTC denial of 2024-03-29",
    "vpc_approval_missing": "16 CFR 312.5(b)(3); 312.12(a)",
    "email_plus_disclosure": "16 CFR 312.5(b)(2)(viii)",
    "text_plus_disclosure": "16 CFR 312.5(b)(2)(ix)",
    "vpc_none_lawful": "16 CFR 312.5(b)(1)",
}
"""Every rule by which an operator file is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One thing the law forbids. `path` is where it stands in the operator file."""

    path: str
    rule: str
    source: str
    message: str
    """What is wrong and what to change."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message} [{self.rule}; {self.source}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """Lawful, and probably not what was meant."""

    path: str
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message} [{self.rule}]"


class RefusedError(UnlawfulError):
    """An operator file that the law refuses, with every refusal."""

    def __init__(self, refusals: tuple[Refusal, ...]) -> None:
        super().__init__("\n".join(str(refusal) for refusal in refusals))
        self.refusals = refusals
