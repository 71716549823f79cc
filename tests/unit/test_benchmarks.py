"""The arithmetic and the report of the benchmarks, on runs too short to say anything of speed."""

from __future__ import annotations

import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import load, local, machine, stats
from benchmarks.__main__ import Report, main


def test_a_spread_is_the_median_with_its_least_and_greatest_round() -> None:
    found = stats.spread([3.0, 1.0, 2.0])
    assert (found.median, found.least, found.most) == (2.0, 1.0, 3.0)
    assert str(found) == "2.00 (1.00..3.00)"
    assert found.to_json() == {"median": 2.0, "min": 1.0, "max": 3.0}


def test_a_ratio_is_taken_round_by_round() -> None:
    # The second round was ten times busier for both sides, which changes nothing.
    found = stats.ratio([2.0, 20.0, 4.0], [1.0, 10.0, 1.0])
    assert (found.median, found.least, found.most) == (2.0, 2.0, 4.0)


@pytest.mark.parametrize(("over", "under"), [([1.0], []), ([1.0], [0.0]), ([], [])])
def test_what_can_not_be_compared_is_refused(over: list[float], under: list[float]) -> None:
    with pytest.raises(ValueError, match="rounds"):
        stats.ratio(over, under)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (12345.6, "12,346"), (99.94, "99.9"), (9.876, "9.88"), (0.01234, "0.0123")],
)
def test_numbers_show_three_digits_that_count(value: float, text: str) -> None:
    assert stats.number(value) == text


def test_rounds_take_turns() -> None:
    order: list[str] = []

    def act(name: str) -> float:
        order.append(name)
        return len(order)

    found = stats.interleaved({"a": lambda: act("a"), "b": lambda: act("b")}, rounds=2)
    assert order == ["a", "b", "a", "b"]
    assert found == {"a": [1.0, 3.0], "b": [2.0, 4.0]}


def test_a_call_costs_something() -> None:
    assert stats.per_call(lambda: sum(range(100)), seconds=0.002) > 0


def test_a_table_keeps_its_columns() -> None:
    assert stats.table(["a", "n"], [["long name", "1"]]).splitlines() == [
        "a          n",
        "---------  -",
        "long name  1",
    ]


@pytest.fixture
def port() -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200 if b"good" in body else 400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield int(server.server_address[1])
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_load_generator_asks_each_once_and_counts_what_is_not_200(port: int) -> None:
    asked = [load.request("/", b"good %d" % n) for n in range(6)] + [load.request("/", b"bad")]
    found = load.generate(port, asked, seconds=5, connections=3, once=True)
    assert (found.answers, found.wrong) == (7, 1)
    assert found.rate > 0
    assert 0 < found.p50 <= found.p99


def test_the_load_generator_stops_in_time(port: int) -> None:
    asked = [load.request("/", b"good " + load.PLACE)]
    found = load.generate(port, asked, seconds=0.2, connections=2, vary=True)
    assert found.answers > 0
    assert found.wrong == 0
    assert found.seconds < 5


def test_this_very_process_has_used_some_time_and_memory() -> None:
    assert os.getpid() in machine.family(os.getpid())
    assert machine.cpu_seconds(os.getpid()) > 0
    assert machine.memory_mib(os.getpid()) > 1


def test_the_guard_brings_nothing_of_the_server() -> None:
    measured, unwanted = local.imports(rounds=1)
    assert unwanted == []
    assert all(values[0] > 0 for values in measured.values())


def test_a_report_keeps_what_it_is_given(tmp_path: Path) -> None:
    report = Report()
    report.keep("part", "name", us=stats.spread([1.0]), note="x")
    report.write(tmp_path / "var" / "bench.json")
    found = json.loads((tmp_path / "var" / "bench.json").read_text())
    assert found["part"]["name"] == {"us": {"median": 1.0, "min": 1.0, "max": 1.0}, "note": "x"}


def test_a_tiny_run_prints_ratios_and_writes_them_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench.json"
    options = ["--only", "parts", "--database", "sqlite", "--seconds", "0.01", "--rounds", "1"]
    assert main([*options, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "to the limit above" in printed
    parts = json.loads(out.read_text())["parts, sqlite"]
    for name in ("introspection, hot", "guard.check, hot", "sign a token", "one stamp"):
        assert parts[name]["to_limit"]["median"] > 0
