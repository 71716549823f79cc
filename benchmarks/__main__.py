"""`python -m benchmarks`: measure, print ratios, write `var/bench.json`. Asserts nothing."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import local, servers
from benchmarks.machine import busy
from benchmarks.seed import House
from benchmarks.stats import Spread, number, ratio, spread, table
from tests.support.postgres import temporary_folder

ROUNDS = 5
STARTS = 5
PARTS = ("imports", "parts", "servers", "start", "memory")
_ROOT = Path(__file__).resolve().parents[1]


class Report:
    """Collects what was measured; prints each table as soon as it is whole."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {"machine": busy(), "python": sys.version.split()[0]}

    def show(self, title: str, head: list[str], rows: list[list[str]]) -> None:
        print(f"\n{title}\n\n{table(head, rows)}", flush=True)

    def keep(self, part: str, name: str, **values: Spread | float | str) -> None:
        kept = {k: v.to_json() if isinstance(v, Spread) else v for k, v in values.items()}
        self.found.setdefault(part, {})[name] = kept

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.found, indent=2) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.8, help="of one round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each (%(default)s)")
    parser.add_argument("--only", choices=PARTS, help="one part alone")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="one database alone")
    parser.add_argument("--out", type=Path, default=_ROOT / "var" / "bench.json")
    args = parser.parse_args(arguments)
    began = time.perf_counter()
    report = Report()
    kinds = [args.database] if args.database else ["sqlite", "postgresql"]
    print(f"agegate benchmarks: {args.rounds} interleaved rounds, {busy()}")
    wanted = (args.only,) if args.only else PARTS
    folder = temporary_folder("agegate-bench-")
    try:
        if "imports" in wanted:
            measure_imports(report, args.rounds)
        if "memory" in wanted:
            measure_memory(report)
        with servers.fleet(folder) as fleet:
            if "start" in wanted:
                measure_starts(report, fleet)
            if "parts" in wanted:
                measure_parts(report, fleet, kinds, args.seconds / 8, args.rounds)
            if "servers" in wanted:
                measure_servers(report, fleet, kinds, args.seconds, args.rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.found["seconds"] = time.perf_counter() - began
    report.write(args.out)
    print(f"\n{report.found['seconds']:.0f} s in all; {args.out}")
    return 0


def measure_imports(report: Report, rounds: int) -> None:
    measured, unwanted = local.imports(rounds=rounds)
    rows = [[name, str(spread(values))] for name, values in measured.items()]
    rows.append(["of the server's packages, loaded", ", ".join(unwanted) or "none"])
    for name, values in measured.items():
        report.keep("imports", name, ms=spread(values))
    report.keep("imports", "unwanted", modules=", ".join(unwanted))
    report.show("Imports (ms)", ["what", "ms"], rows)


def measure_memory(report: Report) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory"], stdout=subprocess.PIPE, check=True, cwd=_ROOT
    )
    found = json.loads(done.stdout)
    report.keep("memory", "one process", **found)
    rows = [["idle", number(found["idle"])], ["with 20,000 kept answers", number(found["full"])]]
    report.show("Memory of one process (MiB, proportional)", ["what", "MiB"], rows)


def measure_starts(report: Report, fleet: servers.Fleet) -> None:
    took = spread(servers.cold_starts(fleet, STARTS))
    report.keep("start", "agegate serve to the first /readyz", seconds=took)
    report.show("Cold start", ["what", "s"], [["agegate serve to the first /readyz", str(took)]])


def measure_parts(
    report: Report, fleet: servers.Fleet, kinds: list[str], seconds: float, rounds: int
) -> None:
    for kind in kinds:
        house = House(fleet.database(kind, "parts"), "http://127.0.0.1:8000", people=200)
        sets = [local.lookups, local.answers]
        if kind == kinds[0]:
            sets += [local.signatures, local.guard]
        rows = []
        for measure in sets:
            measured = measure(house, seconds=seconds, rounds=rounds)
            limit: list[float] = []
            for name, values in measured.items():
                limit = values if name.startswith("limit") else limit
                against = ratio(values, limit)
                rows.append([name, str(spread(values)), str(against)])
                report.keep(f"parts, {kind}", name, us=spread(values), to_limit=against)
        head = ["one process, " + kind, "us of CPU", "to the limit above"]
        report.show("Parts", head, rows)


def measure_servers(
    report: Report, fleet: servers.Fleet, kinds: list[str], seconds: float, rounds: int
) -> None:
    targets: list[servers.Target] = []
    ours = {}
    for kind in kinds:
        more, house, process = servers.our_targets(fleet, kind)
        ours[kind] = house, process
        report.keep("memory", f"worker, idle, {kind}", mib=servers.worker_memory(process))
        targets += servers.naive_targets(fleet, kind) + more
    targets = servers.limit_targets(fleet, ours[kinds[0]][0]) + targets
    for target in targets:  # every worker has computed something before the first round counts
        target.measure(min(seconds, 0.5))
        target.results, target.cpu, target.database_cpu = [], [], []
    for _ in range(rounds):
        for target in targets:
            target.measure(seconds)
    by_name = {target.name: target for target in targets}
    rows = [_server_row(report, target, by_name, kinds) for target in targets]
    head = [
        "two workers", "requests/s", "CPU us", "database us", "p50 ms", "p99 ms",
        "rate to naive", "CPU to raw hello",
    ]  # fmt: skip
    report.show("Servers", head, rows)
    weights = []
    for kind, (_, process) in ours.items():
        weight = servers.worker_memory(process)
        report.keep("memory", f"worker, after the load, {kind}", mib=weight)
        idle = report.found["memory"][f"worker, idle, {kind}"]["mib"]
        weights.append([f"agegate serve, {kind}", number(idle), number(weight)])
    report.show("The heaviest worker (MiB, proportional)", ["what", "idle", "after"], weights)


def _server_row(
    report: Report, target: servers.Target, by_name: dict[str, servers.Target], kinds: list[str]
) -> list[str]:
    kind = next((k for k in kinds if target.name.endswith(k)), kinds[-1])
    issues = "token, " in target.name or "client_credentials" in target.name
    asked = "client_credentials" if issues else "introspection"
    naive = by_name[f"naive: {asked}, {kind}"]
    hello = by_name["limit: raw WSGI hello"]
    to_naive, to_hello = ratio(target.rates, naive.rates), ratio(target.cpu, hello.cpu)
    p50, p99 = servers.typical_latency(target)
    report.keep(
        "servers", target.name,
        rate=spread(target.rates), cpu_us=spread(target.cpu),
        database_us=spread(target.database_cpu), p50_ms=p50, p99_ms=p99,
        rate_to_naive=to_naive, cpu_to_hello=to_hello,
    )  # fmt: skip
    return [
        target.name, str(spread(target.rates)), number(statistics.median(target.cpu)),
        number(statistics.median(target.database_cpu)), number(p50), number(p99),
        str(to_naive), str(to_hello),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
