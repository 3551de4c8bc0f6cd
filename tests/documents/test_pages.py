"""Pages that are made from the code are in step with it; pages that link to each other reach each other."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import httpx
import pytest

from core.settings import Settings, variable
from deploy import audit, lock
from deploy.lock import normal, pins
from tests import monitoring
from tests.documents import licences_page, settings_page, trace
from tests.documents.extract import ROOT, documents

ROW = re.compile(r"^\| (\S+) \| (\S+) \| (.+) \|$", re.MULTILINE)


def test_every_setting_is_on_the_page_and_explained():
    """`tests/test_architecture.py` holds it in step."""
    page = settings_page.page()
    for name, field in Settings.model_fields.items():
        assert f"| `{variable(name, field)}` |" in page
    assert "|  |\n" not in page, "say what it is, under the field in core/settings.py"


def test_every_package_that_users_get_is_pinned_and_its_licence_known():
    listed = {
        normal(name): (version, licence)
        for name, version, licence in re.findall(
            r"^\| (\S+) \| (\S+) \| (.+) \|$", licences_page.PAGE.read_text(), re.M
        )
        if name != "package"
    }
    assert len(listed) > 50
    wrong = {name: version for name, (version, _) in listed.items() if pins().get(name) != version}
    assert wrong == {}, "run `make docs`, or pin them in constraints.txt"
    assert not [name for name, (_, licence) in listed.items() if licence == "unknown"]
    if sys.platform == "linux":
        missing = {normal(package.name) for package in licences_page.installed()} - listed.keys()
        assert missing == set(), "run `make docs`"


def anchors(path: Path) -> set[str]:
    """What GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = path.parent / file if file else path
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def test_every_alert_has_its_section_in_the_runbook():
    runbook = ROOT / "docs" / "runbook.md"
    for rule in monitoring.alerts():
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert rule["alert"].lower() in anchors(runbook), rule["alert"]


def test_the_changelog_knows_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("name", lock.LOCKS)
def test_a_lock_has_every_package_of_its_extras_with_hashes(name):
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    locked = dict(re.findall(r"^(\S+)==(\S+) ", text, re.MULTILINE))
    assert locked == {package: version for package, version in pins().items() if package in locked}, "run `make lock`"
    if sys.platform == "linux":
        assert locked.keys() == lock.closure(lock.LOCKS[name]), "run `make lock`"
    for entry in re.split(r"\n(?=\S)", text.strip()):
        if not entry.startswith("#"):
            assert re.fullmatch(r"\S+==\S+( \\\n    --hash=sha256:[0-9a-f]{64})+", entry), entry


def test_images_install_what_is_locked():
    dockerfile = (ROOT / "Dockerfile").read_text()
    for name in ("web", "worker", "flower"):
        assert f"--require-hashes -r requirements/{name}.lock" in dockerfile
    assert lock.LOCKS["web"].isdisjoint({"worker", "gpu"})


def test_the_trace_that_is_drawn_is_the_one_that_is_made():
    """`tests/core/test_tracing.py` holds the same stages to what a job does."""
    drawn = re.search(r"trace: begin -->.*?```text\n(.*?)```", trace.PAGE.read_text(), re.DOTALL)
    assert drawn, "run `python -m tests.documents.trace`"
    names = [re.split(r"\s{2,}| (?=web|worker)", line.strip())[0] for line in drawn[1].splitlines()]
    assert set(names) == set(trace.STAGES)
    assert names[0] == trace.STAGES[0]


def test_an_audit_says_what_it_does_not_know():
    good = {"name": "a", "version": "1", "vulns": []}
    bad = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
    unknown = {"name": "c", "version": "1", "skip_reason": "not found"}
    assert audit.judge([good, unknown]) == (
        "1 of 2 packages are known to the advisory service; 0 known vulnerabilities.\nNot known to it: c.",
        False,
    )
    assert audit.judge([good, bad])[1]
    assert "CVE-1" in audit.judge([bad])[0]
    assert audit.judge([unknown]) == ("Not audited: none of 1 packages is known to the advisory service.", False)


def test_an_index_that_answers_for_latest_versions_only_is_asked_for_those():
    newest = {
        "old": ("2", []),
        "clean": ("1.0", []),
        "torn": (
            "1.0",
            [{"id": "CVE-1", "fixed_in": ["1.1"]}, {"id": "CVE-2", "fixed_in": [], "withdrawn": "2026-01-01"}],
        ),
    }

    def project(request: httpx.Request) -> httpx.Response:
        if (name := request.url.path.split("/")[2]) not in newest:
            return httpx.Response(404)
        version, found = newest[name]
        return httpx.Response(200, json={"info": {"version": version}, "vulnerabilities": found})

    skipped = [
        {"name": name, "skip_reason": f"Dependency not found on PyPI and could not be audited: {name} (1.0)"}
        for name in (*newest, "nowhere")
    ]
    known = {"name": "known", "version": "1", "vulns": []}
    with httpx.Client(transport=httpx.MockTransport(project)) as client:
        old, clean, torn, nowhere, same = (audit.again(client, package, "1.0") for package in [*skipped, known])
    assert (old, nowhere, same) == (skipped[0], skipped[3], known)
    assert clean == {"name": "clean", "version": "1.0", "vulns": []}
    assert torn["vulns"] == [{"id": "CVE-1", "fix_versions": ["1.1"]}]
