"""Strict reading of rule documents: plain mappings in, rules out, strange keys refused."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from agegate.domain.places import RuleError, is_place_code
from agegate.domain.rule_fields import FIELDS, one_of, read_list, read_table, read_text
from agegate.domain.rule_values import RuleStatus, Scope
from agegate.domain.rules import Default, Group, Place, Rule, Rulebook

_RULE_KEYS: Final = frozenset(
    {"id", "title", "jurisdiction", "source", "status", "valid_from", "valid_to", "scope", "note"}
)
_GROUP = re.compile(r"[A-Z]{2,6}", re.ASCII)
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDocument:
    """What one file holds. A version and the zone of the unknown place stand in exactly one."""

    version: str | None
    timezone: str | None
    places: tuple[Place, ...]
    groups: tuple[Group, ...]
    rules: tuple[Rule, ...]
    defaults: tuple[Default, ...]


def parse_document(raw: Mapping[str, object]) -> RuleDocument:
    """Read one document. Raises `RuleError` that names the path inside it (`rule[2].source`)."""
    _refuse_strangers(raw, {"version", "timezone", "place", "group", "rule", "default"}, "")
    return RuleDocument(
        version=_read_version(raw["version"], "version") if "version" in raw else None,
        timezone=_read_zone(raw["timezone"], "timezone") if "timezone" in raw else None,
        places=tuple(_read_place(*item) for item in _items(raw, "place")),
        groups=tuple(_read_group(*item) for item in _items(raw, "group")),
        rules=tuple(_read_rule(*item) for item in _items(raw, "rule")),
        defaults=tuple(_read_default(*item) for item in _items(raw, "default")),
    )


def assemble(documents: Collection[RuleDocument]) -> Rulebook:
    """Bind documents into one rulebook. Raises `RuleError` when they contradict each other."""
    return Rulebook(
        version=_only("version", [document.version for document in documents]),
        unknown_timezone=_only("timezone", [document.timezone for document in documents]),
        places=[place for document in documents for place in document.places],
        groups=[group for document in documents for group in document.groups],
        rules=[rule for document in documents for rule in document.rules],
        defaults=[default for document in documents for default in document.defaults],
    )


def _only(name: str, values: Collection[str | None]) -> str:
    found = [value for value in values if value is not None]
    if len(found) != 1:
        raise RuleError(f"{name}: must be given once, found {len(found)}")
    return found[0]


def _items(raw: Mapping[str, object], key: str) -> list[tuple[Mapping[str, object], str]]:
    if key not in raw:
        return []
    return [
        (read_table(item, f"{key}[{i}]"), f"{key}[{i}]")
        for i, item in enumerate(read_list(raw[key], key))
    ]


def _read_place(raw: Mapping[str, object], path: str) -> Place:
    _refuse_strangers(raw, {"code", "name", "timezone"}, path)
    code = read_text(_need(raw, "code", path), f"{path}.code")
    if not is_place_code(code):
        raise RuleError(f"{path}.code: {code} is no ISO 3166 code")
    return Place(
        code=code,
        name=read_text(_need(raw, "name", path), f"{path}.name"),
        timezone=_read_zone(_need(raw, "timezone", path), f"{path}.timezone"),
    )


def _read_group(raw: Mapping[str, object], path: str) -> Group:
    _refuse_strangers(raw, {"code", "name", "members"}, path)
    code = read_text(_need(raw, "code", path), f"{path}.code")
    if not _GROUP.fullmatch(code) or is_place_code(code):
        raise RuleError(f"{path}.code: {code} can't name a group")
    members = [
        read_text(item, f"{path}.members[{i}]")
        for i, item in enumerate(read_list(_need(raw, "members", path), f"{path}.members"))
    ]
    return Group(
        code=code,
        name=read_text(_need(raw, "name", path), f"{path}.name"),
        members=frozenset(members),
    )


def _read_rule(raw: Mapping[str, object], path: str) -> Rule:
    _refuse_strangers(raw, _RULE_KEYS | set(FIELDS), path)
    rule_id = read_text(_need(raw, "id", path), f"{path}.id")
    if not _ID.fullmatch(rule_id):
        raise RuleError(f"{path}.id: must be lower-case words with hyphens")
    status = one_of(RuleStatus)(_need(raw, "status", path), f"{path}.status")
    valid_from = _read_date(raw.get("valid_from"), f"{path}.valid_from")
    valid_to = _read_date(raw.get("valid_to"), f"{path}.valid_to")
    if valid_from is None and status in {RuleStatus.IN_FORCE, RuleStatus.FUTURE}:
        raise RuleError(f"{path}.valid_from: missing; a rule that applies needs its first day")
    if valid_from is not None and valid_to is not None and valid_to < valid_from:
        raise RuleError(f"{path}.valid_to: lies before valid_from")
    return Rule(
        id=rule_id,
        title=read_text(_need(raw, "title", path), f"{path}.title"),
        jurisdictions=_read_jurisdictions(_need(raw, "jurisdiction", path), f"{path}.jurisdiction"),
        source=read_text(_need(raw, "source", path), f"{path}.source"),
        status=status,
        valid_from=valid_from,
        valid_to=valid_to,
        scope=one_of(Scope)(raw.get("scope", "any"), f"{path}.scope"),
        note=read_text(raw["note"], f"{path}.note") if "note" in raw else None,
        values=_read_values(raw, path),
    )


def _read_default(raw: Mapping[str, object], path: str) -> Default:
    _refuse_strangers(raw, {"source", *FIELDS}, path)
    return Default(
        source=read_text(_need(raw, "source", path), f"{path}.source"),
        values=_read_values(raw, path),
    )


def _read_values(raw: Mapping[str, object], path: str) -> dict[str, Any]:
    values = {
        name: field.read(raw[name], f"{path}.{name}")
        for name, field in FIELDS.items()
        if name in raw
    }
    if not values:
        raise RuleError(f"{path}: says nothing")
    return values


def _read_jurisdictions(value: object, path: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return (read_text(value, path),)
    names = [read_text(item, f"{path}[{i}]") for i, item in enumerate(read_list(value, path))]
    return tuple(sorted(set(names)))


def _read_date(value: object, path: str) -> date | None:
    # TOML's date and time arrives as a datetime, which Python counts among the dates.
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    raise RuleError(f"{path}: must be a date such as 2026-04-22, without quotes")


def _read_version(value: object, path: str) -> str:
    text = read_text(value, path)
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise RuleError(f"{path}: must be a day such as 2026-11-01") from None


def _read_zone(value: object, path: str) -> str:
    name = read_text(value, path)
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise RuleError(f"{path}: {name} is no IANA time zone on this machine") from None
    return name


def _need(raw: Mapping[str, object], key: str, path: str) -> object:
    if key not in raw:
        raise RuleError(f"{path}.{key}: missing")
    return raw[key]


def _refuse_strangers(raw: Mapping[str, object], known: Collection[str], path: str) -> None:
    for key in raw:
        if key not in known:
            raise RuleError(f"{path}.{key}: unknown key".lstrip("."))
