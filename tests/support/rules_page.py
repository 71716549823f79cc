"""Writes docs/reference/rules.md from the rulebook: `python -m tests.support.rules_page`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from agegate.adapters.rules_files import read_rulebook
from agegate.domain.place_rules import value_to_json
from agegate.domain.rules import Rule, Rulebook

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "rules.md"
_HEAD: Final = """# The rulebook

Every rule on file, from `config/jurisdictions/`. This page is generated
(`python -m tests.support.rules_page`); change the rules, not the page, as
[change a rule](../how-to/change-a-rule.md) tells. What applies at one place on one day, and why:
`agegate rules explain --place US-CA --on 2027-01-01`.

A rule in force applies from its first to its last day; a future one applies from its first day on;
an enjoined or proposed one does not apply. This is an engineering reading of the sources, not
legal advice.
"""


def page(book: Rulebook) -> str:
    """The page's text, rules in order of their ids."""
    parts = [
        _HEAD,
        f"Version {book.version}: {len(book.rules)} rules for {len(book.places)} places.\n",
    ]
    return "\n".join([*parts, *(_rule(rule) for rule in book.rules)])


def _rule(rule: Rule) -> str:
    days = f"from {rule.valid_from or 'always'}" + (f" to {rule.valid_to}" if rule.valid_to else "")
    values = "\n".join(
        f"- `{name} = {value_to_json(value)}`" for name, value in sorted(rule.values.items())
    )
    note = f"\n{rule.note}\n" if rule.note else ""
    return (
        f"## {rule.id}\n\n{rule.title}. {', '.join(rule.jurisdictions)}; {rule.status.value}, "
        f"{days}; scope {rule.scope.value}.\n\nSource: {rule.source}\n{note}\n{values}\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page(read_rulebook()), encoding="utf-8")
