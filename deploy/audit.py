"""Asks for known vulnerabilities of every package that is locked: ``python -m deploy.audit``, which `make audit` runs.

pip-audit asks PyPI about each version. An index that stands between often answers for a package's latest version
alone; whatever pip-audit could not learn is asked there once more, and counts where the latest one is what is locked.

Exit code 1 where one is found. What the advisory service does not know, or all of it where the service cannot be
reached, is said to be unknown, and is no failure: a build without a way out must not stand still for it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from deploy.lock import pins

PROJECT = "https://pypi.org/pypi/{}/json"
"""What PyPI says of a package's latest version (https://docs.pypi.org/api/json/)."""

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
    held = pins()
    with httpx.Client(timeout=30, follow_redirects=True) as client, ThreadPoolExecutor(4) as pool:
        packages = list(pool.map(lambda package: again(client, package, held.get(package["name"])), packages))
    said, found = judge(packages)
    print(said)
    return int(found)


def again(client: httpx.Client, package: dict[str, Any], version: str | None) -> dict[str, Any]:
    """A package of pip-audit's list; one it skipped with what PyPI says of the latest version, if that is `version`."""
    if "skip_reason" not in package:
        return package
    try:
        answer = client.get(PROJECT.format(package["name"])).raise_for_status().json()
        latest, found = answer["info"]["version"], answer["vulnerabilities"]
    except (httpx.HTTPError, ValueError, KeyError):
        return package
    if latest != version:
        return package
    vulns = [{"id": one["id"], "fix_versions": one["fixed_in"]} for one in found if not one.get("withdrawn")]
    return {"name": package["name"], "version": latest, "vulns": vulns}


def judge(packages: list[dict[str, Any]]) -> tuple[str, bool]:
    """What to say of the list of packages, and whether any is vulnerable."""
    known = [package for package in packages if "skip_reason" not in package]
    bad = [
        f"{package['name']} {package['version']}: {one['id']}, mended in {', '.join(one['fix_versions']) or 'none'}"
        for package in known
        for one in package["vulns"]
    ]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    count = f"{len(known)} of {len(packages)} packages are known to the advisory service"
    if not known:
        return f"Not audited: none of {len(packages)} packages is known to the advisory service.", False
    rest = [f"Not known to it: {', '.join(unknown)}."] if unknown else []
    return "\n".join([f"{count}; {len(bad)} known vulnerabilities.", *bad, *rest]), bool(bad)


if __name__ == "__main__":
    sys.exit(main())
