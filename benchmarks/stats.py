"""Rounds, medians and ratios. A number by itself says more about the machine than about us."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A median with its least and greatest round."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{number(self.median)} ({number(self.least)}..{number(self.most)})"

    def to_json(self) -> dict[str, float]:
        return {"median": self.median, "min": self.least, "max": self.most}


def spread(values: Sequence[float]) -> Spread:
    """Raises `ValueError` for no values."""
    if not values:
        raise ValueError("no rounds")
    return Spread(median=statistics.median(values), least=min(values), most=max(values))


def ratio(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Round by round, so that a busy minute touches both sides alike.

    Raises `ValueError` for different numbers of rounds and for rounds in which nothing happened.
    """
    if len(over) != len(under) or not all(value > 0 for value in under):
        raise ValueError("rounds that can't be compared")
    return spread([a / b for a, b in zip(over, under, strict=True)])


def number(value: float) -> str:
    """Three digits that count."""
    if value == 0:
        return "0"
    for digits, least in ((0, 100), (1, 10), (2, 1)):
        if abs(value) >= least:
            return f"{value:,.{digits}f}"
    return f"{value:.3g}"


def per_call(act: Callable[[], object], *, seconds: float) -> float:
    """Microseconds of this process's CPU that one call takes."""
    calls = 1
    while True:
        began = time.process_time()
        for _ in range(calls):
            act()
        took = time.process_time() - began
        if took >= seconds / 4:
            return took / calls * 1e6
        calls = max(calls * 2, int(calls * seconds / 2 / max(took, 1e-6)))


def interleaved(acts: Mapping[str, Callable[[], float]], *, rounds: int) -> dict[str, list[float]]:
    """Every measurement once a round, in turn."""
    measured: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(rounds):
        for name, act in acts.items():
            measured[name].append(act())
    return measured


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be; the first to the left, the others to the right."""
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    lines = []
    for row in (head, ["-" * width for width in widths], *rows):
        first, *rest = (cell for cell in row)
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
