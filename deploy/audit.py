"""Asks for known vulnerabilities of every package that is locked: ``python -m deploy.audit``, which `make audit` runs.

Exit code 1 where one is found. What the advisory service does not know, or all of it where the service cannot be
reached, is said to be unknown, and is no failure: a build without a way out must not stand still for it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "requirements"


def main() -> int:
    """Audits all locks at once; the exit code."""
    entries = {entry for lock in FOLDER.glob("*.lock") for entry in re.split(r"\n(?=\S)", lock.read_text().strip())}
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as every:
        every.write("\n".join(sorted(entry for entry in entries if not entry.startswith("#"))) + "\n")
        every.flush()
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip"),
                *("--progress-spinner", "off", "--format", "json", "--requirement", every.name),
            ],
            capture_output=True,
            text=True,
        )
    try:
        packages = json.loads(ran.stdout)["dependencies"]
    except ValueError:
        print(f"Not audited: {(ran.stderr.strip().splitlines() or ['pip-audit said nothing'])[-1]}")
        return 0
    said, found = judge(packages)
    print(said)
    return int(found)


def judge(packages: list[dict[str, Any]]) -> tuple[str, bool]:
    """What to say of pip-audit's list of packages, and whether any is vulnerable."""
    known = [package for package in packages if "skip_reason" not in package]
    bad = [
        f"{package['name']} {package['version']}: {one['id']}, mended in {', '.join(one['fix_versions']) or 'none'}"
        for package in known
        for one in package["vulns"]
    ]
    count = f"{len(known)} of {len(packages)} packages are known to the advisory service"
    if not known:
        return f"Not audited: none of {len(packages)} packages is known to the advisory service.", False
    return "\n".join([f"{count}; {len(bad)} known vulnerabilities.", *bad]), bool(bad)


if __name__ == "__main__":
    sys.exit(main())
