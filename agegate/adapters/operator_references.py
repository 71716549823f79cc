"""Whether the tables of an operator file name each other rightly.

Works on the raw tables, so that a wrong reference is found in the same run as a wrong type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agegate.adapters.operator_words import is_id, suggestion


def reference_problems(raw: Mapping[str, Any]) -> list[str]:
    """A sentence for every id given twice and every name that leads nowhere."""
    tables = {name: _tables(raw, name) for name in ("recipient", "purpose", "service", "client")}
    return [
        *_doubles("recipient", tables["recipient"]),
        *_doubles("purpose", tables["purpose"]),
        # Clients and services share one name space: both are an OAuth `client_id`.
        *_doubles("client or service", [*tables["client"], *tables["service"]]),
        *_strangers("purpose", tables["purpose"], "recipients", _ids(tables["recipient"])),
        *_strangers("purpose", tables["purpose"], "recipient", _ids(tables["recipient"])),
        *_strangers("client", tables["client"], "purposes", _ids(tables["purpose"])),
    ]


def _tables(raw: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = raw.get(name)
    return [table for table in found if isinstance(table, dict)] if isinstance(found, list) else []


def _ids(tables: list[Mapping[str, Any]]) -> list[str]:
    return [table["id"] for table in tables if is_id(table.get("id"))]


def _doubles(what: str, tables: list[Mapping[str, Any]]) -> Iterator[str]:
    ids = _ids(tables)
    for id_ in sorted({id_ for id_ in ids if ids.count(id_) > 1}):
        yield f'{what} "{id_}": this id is given twice'


def _strangers(
    what: str, tables: list[Mapping[str, Any]], key: str, known: list[str]
) -> Iterator[str]:
    target = "purpose" if key == "purposes" else "recipient"
    for number, table in enumerate(tables, 1):
        id_ = table.get("id")
        path = f"{what}[{id_ if is_id(id_) else f'#{number}'}].{key}"
        value = table.get(key)
        for name in value if isinstance(value, list) else [value]:
            if is_id(name) and name not in known:
                yield f'{path}: there is no {target} "{name}"{suggestion(str(name), known)}'
