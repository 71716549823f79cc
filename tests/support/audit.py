"""Known vulnerabilities in the pins: `python -m tests.support.audit requirements/*.txt`.

pip-audit asks an advisory service. A closed network has none: then this says so and passes, since
the same check runs wherever there is one. A finding always fails.
"""

from __future__ import annotations

import json
import subprocess
import sys


def main(files: list[str]) -> int:
    """Return 1 when a pinned version has a known vulnerability."""
    worst = 0
    for file in files:
        done = subprocess.run(
            [
                sys.executable, "-m", "pip_audit", "--requirement", file, "--disable-pip",
                "--require-hashes", "--progress-spinner", "off", "--timeout", "15",
                "--format", "json",
            ],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        try:
            report = json.loads(done.stdout)
        except ValueError:
            reason = done.stderr.strip().splitlines() or ["no answer"]
            print(f"audit: not done, no advisory service to be reached ({reason[-1][:200]})")
            return worst
        findings = [
            f"{d['name']} {d['version']}: {v['id']}, fixed in {v['fix_versions']}"
            for d in report["dependencies"]
            for v in d.get("vulns", ())
        ]
        print(f"audit: {file}: {len(report['dependencies'])} pins, {len(findings)} findings")
        for finding in findings:
            print(f"  {finding}")
        worst |= bool(findings)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
