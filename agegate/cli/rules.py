"""`agegate rules check | diff | explain`: is it sound, what changes, what applies."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Final

from agegate.domain.place_rules import PlaceRules, value_to_json
from agegate.domain.places import UNKNOWN_PLACE, RuleError
from agegate.domain.rule_fields import FIELDS
from agegate.domain.rule_values import DEFAULT_SCOPES, Scope
from agegate.domain.rules import Rulebook

Load = Callable[[], Rulebook]
Now = Callable[[], datetime]
_Row = dict[str, object]

OK: Final = 0
BROKEN_RULEBOOK: Final = 1
WRONG_USE: Final = 2


class UsageError(Exception):
    """Something the person at the keyboard can put right."""


def register(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
    *,
    load: Load | None = None,
    now: Now | None = None,
) -> None:
    """Add `rules` and its commands. `args.run(args)` returns the exit status 0, 1 or 2.

    `load` defaults to the rulebook this deployment runs with. Without `now`, `explain` needs
    `--on`.
    """
    rules = subparsers.add_parser(
        "rules",
        help="check, compare and explain the rulebook",
        description="The law as agegate reads it: config/jurisdictions.",
        epilog="example: agegate rules explain --place US-CA --on 2027-01-01",
    )
    commands = rules.add_subparsers(dest="rules_command", required=True, metavar="COMMAND")

    check = commands.add_parser(
        "check",
        help="read the rulebook strictly and count what is in it",
        epilog="example: agegate rules check --json",
    )
    diff = commands.add_parser(
        "diff",
        help="what changes anywhere between two days",
        description="What applies on one day and not on the other, place by place. "
        "A rulebook's version is a day too.",
        epilog="example: agegate rules diff 2026-12-31 2027-07-01",
    )
    diff.add_argument("a", metavar="A", help="a day or a version, YYYY-MM-DD")
    diff.add_argument("b", metavar="B", help="a day or a version, YYYY-MM-DD")
    explain = commands.add_parser(
        "explain",
        help="what applies at a place on a day, and why",
        epilog="example: agegate rules explain --place US-CA --on 2027-01-01",
    )
    explain.add_argument(
        "--place",
        required=True,
        help="ISO 3166-1 or -2 code (US, US-CA, DE), or unknown",
    )
    explain.add_argument(
        "--on",
        required=now is None,
        metavar="DAY",
        help="YYYY-MM-DD" + ("" if now is None else " (default: today there)"),
    )
    explain.add_argument(
        "--region",
        action="append",
        default=[],
        metavar="CODE",
        help="with --place unknown: a place the client serves; repeat for each",
    )
    for command in (diff, explain):
        command.add_argument(
            "--scope",
            action="append",
            default=[],
            choices=[scope.value for scope in Scope],
            help="also rules that speak of such services only; repeat for each",
        )
    for command, run in ((check, _check), (diff, _diff), (explain, partial(_explain, now=now))):
        command.add_argument("--json", action="store_true", help="print data instead of text")
        command.set_defaults(run=partial(_guarded, run, load or _load_ours))


def _load_ours() -> Rulebook:
    from agegate.bootstrap import load_rulebook  # commands start fast; parts meet in bootstrap

    return load_rulebook()


def _guarded(
    run: Callable[[Rulebook, argparse.Namespace], None], load: Load, args: argparse.Namespace
) -> int:
    try:
        run(load(), args)
    except RuleError as error:
        print(f"the rulebook can't be used: {error}", file=sys.stderr)
        return BROKEN_RULEBOOK
    except UsageError as error:
        print(error, file=sys.stderr)
        return WRONG_USE
    return OK


# --- check ------------------------------------------------------------------------------------


def _check(book: Rulebook, args: argparse.Namespace) -> None:
    statuses = Counter(rule.status.value for rule in book.rules)
    if args.json:
        _print_json(
            {
                "valid": True,
                "version": book.version,
                "digest": book.digest,
                "places": len(book.places),
                "rules": len(book.rules),
                "by_status": dict(sorted(statuses.items())),
            }
        )
        return
    print(f"rulebook {book.version} is sound ({book.digest})")
    print(f"{len(book.places)} places, {len(book.rules)} rules:", end=" ")
    print(", ".join(f"{count} {status}" for status, count in statuses.most_common()))


# --- diff -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    place: str
    field: str
    before: Any
    after: Any
    sources: tuple[str, ...]


def _diff(book: Rulebook, args: argparse.Namespace) -> None:
    before, after = _read_day(args.a, "A"), _read_day(args.b, "B")
    scopes = _scopes(args)
    grouped: defaultdict[tuple[str, str, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for change in _changes(book, before, after, scopes):
        # Compared as text, because not every value can be a key.
        values = (json.dumps(change.before), json.dumps(change.after))
        grouped[(change.field, *values, change.sources)].append(change.place)
    rows = sorted((places, *key) for key, places in grouped.items())
    if args.json:
        _print_json(
            {
                "from": before.isoformat(),
                "to": after.isoformat(),
                "version": book.version,
                "changes": [
                    {
                        "places": places,
                        "field": field,
                        "before": json.loads(old),
                        "after": json.loads(new),
                        "sources": list(sources),
                    }
                    for places, field, old, new, sources in rows
                ],
            }
        )
        return
    if not rows:
        print(f"nothing changes between {before} and {after}")
    for places, field, old, new, sources in rows:
        print(
            f"{', '.join(places)}: {field}: {_plain(json.loads(old))} -> {_plain(json.loads(new))}"
        )
        for source in sources:
            print(f"    {source}")


def _changes(
    book: Rulebook, before: date, after: date, scopes: frozenset[Scope]
) -> Iterator[_Change]:
    spoken_of = {place for rule in book.rules for place in rule.jurisdictions}
    for place in sorted(book.places):
        # A state without rules of its own changes with its country; saying it fifty times hides it.
        if "-" in place and place not in spoken_of:
            continue
        old = book.rules_for(place, (), on=before, scopes=scopes)
        new = book.rules_for(place, (), on=after, scopes=scopes)
        for field in FIELDS:
            if getattr(old, field) != getattr(new, field):
                reasons = {*old.because(field)} ^ {*new.because(field)}
                yield _Change(
                    place=place,
                    field=field,
                    before=value_to_json(getattr(old, field)),
                    after=value_to_json(getattr(new, field)),
                    sources=tuple(sorted({reason.source for reason in reasons})),
                )


# --- explain ----------------------------------------------------------------------------------


def _explain(book: Rulebook, args: argparse.Namespace, *, now: Now | None) -> None:
    for code in [args.place, *args.region]:
        if code != UNKNOWN_PLACE and not book.knows(code):
            raise UsageError(
                f'the rulebook knows no place "{code}"; write US, US-CA, DE or {UNKNOWN_PLACE}'
            )
    if UNKNOWN_PLACE in args.region:
        raise UsageError("--region must name a place")
    scopes = _scopes(args)
    place = None if args.place == UNKNOWN_PLACE else args.place
    ask = partial(book.rules_for, place, tuple(args.region), scopes=scopes)
    if args.on is None and now is not None:
        moment = now()
        on = ask(on=moment.astimezone(UTC).date()).today(moment)
    else:
        on = _read_day(args.on, "--on")
    answer = ask(on=on)
    applied, silent = _on_file(book, answer, _places(book, answer, args), scopes)
    if args.json:
        _print_json(_as_json(book, answer, applied, silent))
    else:
        _print_text(book, answer, silent)


def _places(book: Rulebook, answer: PlaceRules, args: argparse.Namespace) -> list[str]:
    if answer.place != UNKNOWN_PLACE:
        return [answer.place]
    return list(args.region) or sorted(book.places)


def _on_file(
    book: Rulebook, answer: PlaceRules, places: Sequence[str], scopes: frozenset[Scope]
) -> tuple[list[_Row], list[_Row]]:
    """The rules about these places: those that apply, and those that don't, with the reason."""
    applied: list[_Row] = []
    silent: list[_Row] = []
    rules = {rule.id: rule for place in places for rule in book.rules_about(place)}
    for _, rule in sorted(rules.items()):
        why_not = rule.silent_because(on=answer.on, scopes=scopes, enable=())
        if why_not is None:
            applied.append(rule.to_json())
        else:
            silent.append({**rule.to_json(), "why_not": why_not})
    return applied, silent


def _as_json(book: Rulebook, answer: PlaceRules, applied: list[_Row], silent: list[_Row]) -> _Row:
    return {
        "jurisdiction": answer.place,
        "on": answer.on.isoformat(),
        "rules_version": book.version,
        "rules_digest": book.digest,
        "timezones": sorted(answer.timezones),
        **answer.to_json(),
        "rules": applied,
        "because": {
            field: [reason.to_json() for reason in answer.because(field)] for field in FIELDS
        },
        "not_applied": silent,
    }


def _print_text(book: Rulebook, answer: PlaceRules, silent: list[_Row]) -> None:
    print(f"{answer.place} on {answer.on}, rulebook {book.version}")
    for field, value in answer.to_json().items():
        reasons = answer.because(field)
        if not reasons:
            continue
        print(f"\n{field}: {_plain(value)}")
        for reason in reasons:
            said = value_to_json(reason.value)
            differs = "" if said == value else f" (says {_plain(said)})"
            print(f"    {reason.jurisdiction}, {reason.status.value}: {reason.source}{differs}")
    if silent:
        print("\nOn file and not applied:")
    for rule in silent:
        print(f"    {rule['id']} ({rule['why_not']}): {rule['source']}")


# --- small things -----------------------------------------------------------------------------


def _scopes(args: argparse.Namespace) -> frozenset[Scope]:
    return DEFAULT_SCOPES | {Scope(name) for name in args.scope}


def _read_day(text: str, name: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{name}: write a day as YYYY-MM-DD") from None


def _plain(value: object) -> str:
    if isinstance(value, dict):
        # What is not asked for is not worth reading.
        asked = {key: item for key, item in value.items() if item not in (None, False, "on")}
        return ", ".join(f"{key} {_plain(item)}" for key, item in asked.items()) or "nothing"
    return value if isinstance(value, str) else json.dumps(value)


def _print_json(data: object) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False))
