"""The rulebook: the law as data, with sources, statuses and dates; picked by place and day.

Nothing here reads a file or a clock. `agegate.adapters.rules_files` reads `config/jurisdictions/`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Final

from agegate.domain.place_rules import PlaceRules, Reason, strictest_of, value_to_json
from agegate.domain.places import UNKNOWN_PLACE, RuleError, country_of, is_place_code, lies_in
from agegate.domain.rule_fields import FIELDS
from agegate.domain.rule_values import DEFAULT_SCOPES, RuleStatus, Scope

__all__ = ["Default", "Group", "Place", "PlaceRules", "Reason", "Rule", "RuleError", "Rulebook"]

_NOTHING: Final[frozenset[str]] = frozenset()
# The sets below are empty where nobody speaks; the other optional fields are None.
_SILENT_SETS: Final = ("forbidden_methods", "notice_languages")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    code: str
    name: str
    timezone: str
    """IANA name; of several zones the one where the day begins last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Places that share rules, such as the member states of the European Union."""

    code: str
    name: str
    members: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """What holds where no rule speaks. A decision of this house, not a law; the source says so."""

    values: Mapping[str, Any]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    id: str
    title: str
    jurisdictions: tuple[str, ...]
    source: str
    status: RuleStatus
    valid_from: date | None
    valid_to: date | None
    """The last day on which the rule holds."""
    scope: Scope
    note: str | None
    values: Mapping[str, Any]

    def silent_because(
        self, *, on: date, scopes: Collection[Scope], enable: Collection[str]
    ) -> str | None:
        """Why the rule does not apply, in plain words; `None` when it does."""
        if self.id not in enable:
            if self.status in {RuleStatus.ENJOINED, RuleStatus.PROPOSED}:
                return self.status.value
            if self.scope not in scopes:
                return f"speaks of {self.scope.value} only"
        if self.valid_from is not None and on < self.valid_from:
            return f"begins on {self.valid_from.isoformat()}"
        if self.valid_to is not None and on > self.valid_to:
            return f"ended on {self.valid_to.isoformat()}"
        return None

    def to_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "title": self.title,
            "jurisdiction": ", ".join(self.jurisdictions),
            "source": self.source,
            "status": self.status.value,
            "valid_from": self.valid_from.isoformat() if self.valid_from else None,
            "valid_to": self.valid_to.isoformat() if self.valid_to else None,
            "scope": self.scope.value,
            "note": self.note,
            **{name: value_to_json(value) for name, value in self.values.items()},
        }


class Rulebook:
    """All places and rules of one version. Immutable; safe to share between threads."""

    def __init__(
        self,
        *,
        version: str,
        unknown_timezone: str,
        places: Sequence[Place],
        groups: Sequence[Group],
        rules: Sequence[Rule],
        defaults: Sequence[Default],
    ) -> None:
        """Raises `RuleError` when the parts do not fit together."""
        self.version: Final = version
        self.places: Final = {place.code: place for place in places}
        self.groups: Final = tuple(sorted(groups, key=lambda group: group.code))
        self.rules: Final = tuple(sorted(rules, key=lambda rule: rule.id))
        self._unknown_timezone = unknown_timezone
        self._defaults: dict[str, Reason] = {}
        _refuse_doubles("place", [place.code for place in places])
        _refuse_doubles("group", [group.code for group in groups])
        _refuse_doubles("rule", [rule.id for rule in rules])
        self._check_references()
        self._set_defaults(defaults)
        self.digest: Final = self._digest(places)
        self._answer = lru_cache(maxsize=2048)(self._find_answer)

    # --- asking ------------------------------------------------------------------------------

    def knows(self, place: str) -> bool:
        """Whether the rulebook can answer for `place` (ISO 3166-1 or -2).

        A country that is on file speaks for its subdivisions; a US state must exist.
        """
        if place in self.places:
            return True
        return is_place_code(place) and country_of(place) in self.places

    def choose_place(self, age_region: str | None, regions: Sequence[str]) -> str | None:
        """The place a client may claim: known, and within the regions it serves; else `None`."""
        if age_region is None or not self.knows(age_region):
            return None
        return age_region if any(lies_in(age_region, region) for region in regions) else None

    def rules_for(
        self,
        place: str | None,
        regions: Sequence[str],
        *,
        on: date,
        scopes: Collection[Scope] = DEFAULT_SCOPES,
        enable: Collection[str] = _NOTHING,
    ) -> PlaceRules:
        """What applies at `place` on the day `on`.

        Without a place (`None`, "unknown", or one the rulebook does not know): that of the one
        region, else rule by rule the strictest among `regions`, else the strictest of all places.
        `enable` names rules (by id) that apply although they are enjoined, proposed or out of
        scope; their dates still count.
        """
        key = (on, frozenset(scopes), frozenset(enable))
        if place is not None and self.knows(place):
            return self._answer((place,), *key)
        if regions and all(self.knows(region) for region in regions):
            return self._answer(tuple(sorted(set(regions))), *key)
        return self._answer((), *key)

    def rules_about(self, place: str) -> Iterator[Rule]:
        """Every rule on file that names the place, its country or group, whatever its status."""
        lineage = self._lineage(place)
        return (rule for rule in self.rules if lineage & set(rule.jurisdictions))

    # --- finding -----------------------------------------------------------------------------

    def _find_answer(
        self, places: tuple[str, ...], on: date, scopes: frozenset[Scope], enable: frozenset[str]
    ) -> PlaceRules:
        answer = strictest_of(
            self._answer_for_one(place, on, scopes, enable)
            for place in places or sorted(self.places)
        )
        if places:
            return answer
        return strictest_of([answer, self._somewhere(answer)])

    def _somewhere(self, answer: PlaceRules) -> PlaceRules:
        # Nobody knows where this person is, so it may be where the day begins last on earth.
        values = {name: getattr(answer, name) for name in FIELDS}
        return PlaceRules(
            place=UNKNOWN_PLACE,
            on=answer.on,
            timezones=frozenset({self._unknown_timezone}),
            reasons=answer.reasons,
            **values,
        )

    def _answer_for_one(
        self, place: str, on: date, scopes: frozenset[Scope], enable: frozenset[str]
    ) -> PlaceRules:
        lineage = self._lineage(place)
        values: dict[str, Any] = dict.fromkeys(FIELDS)
        reasons: set[Reason] = set()
        for rule in self.rules:
            here = sorted(lineage & set(rule.jurisdictions))
            if not here or rule.silent_because(on=on, scopes=scopes, enable=enable) is not None:
                continue
            for name, value in rule.values.items():
                values[name] = FIELDS[name].merge(values[name], value)
                reasons.add(
                    Reason(
                        field=name,
                        value=value,
                        source=rule.source,
                        status=rule.status,
                        jurisdiction=here[0],
                        rule=rule.id,
                    )
                )
        for name, default in self._defaults.items():
            if values[name] is None:
                values[name] = default.value
                reasons.add(default)
        for name in _SILENT_SETS:
            values[name] = values[name] or frozenset()
        home = self.places.get(place) or self.places[country_of(place)]
        return PlaceRules(
            place=place,
            on=on,
            timezones=frozenset({home.timezone}),
            reasons=frozenset(reasons),
            **values,
        )

    def _lineage(self, place: str) -> set[str]:
        """The place, its country, and the groups that either belongs to."""
        own = {place, country_of(place)}
        return own | {group.code for group in self.groups if own & group.members}

    # --- making sure -------------------------------------------------------------------------

    def _check_references(self) -> None:
        known = {*self.places, *(group.code for group in self.groups)}
        for group in self.groups:
            strangers = sorted(group.members - set(self.places))
            if strangers:
                raise RuleError(f"group {group.code}: no such place: {', '.join(strangers)}")
        for rule in self.rules:
            strangers = sorted(set(rule.jurisdictions) - known)
            if strangers:
                raise RuleError(f"rule {rule.id}: no such place: {', '.join(strangers)}")
        if not self.places:
            raise RuleError("the rulebook knows no place")

    def _set_defaults(self, defaults: Sequence[Default]) -> None:
        for default in defaults:
            for name, value in default.values.items():
                if name in self._defaults:
                    raise RuleError(f"default {name}: given twice")
                self._defaults[name] = Reason(
                    field=name,
                    value=value,
                    source=default.source,
                    status=RuleStatus.IN_FORCE,
                    jurisdiction="default",
                    rule="default",
                )
        missing = sorted(
            field.name
            for field in FIELDS.values()
            if not field.optional and field.name not in self._defaults
        )
        if missing:
            raise RuleError(f"no default for: {', '.join(missing)}")

    def _digest(self, places: Sequence[Place]) -> str:
        content = {
            "version": self.version,
            "timezone": self._unknown_timezone,
            "places": sorted([place.code, place.name, place.timezone] for place in places),
            "groups": [[group.code, group.name, sorted(group.members)] for group in self.groups],
            "rules": [rule.to_json() for rule in self.rules],
            "defaults": [self._defaults[name].to_json() for name in sorted(self._defaults)],
        }
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def _refuse_doubles(kind: str, names: Sequence[str]) -> None:
    for name in sorted(set(names)):
        if names.count(name) > 1:
            raise RuleError(f"{kind} {name}: given twice")
