"""Alert rules and dashboards: Prometheus reads them, they fire when they should, and every name in them is ours."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY, Metric

import web.metrics  # noqa: F401 - its metrics count as shown
import worker.metrics  # noqa: F401 - as above
from tests import monitoring
from tests.monitoring import PROMETHEUS, ROOT, needs_prometheus
from worker.exporter import LedgerCollector

SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}


def families() -> Iterator[Metric]:
    yield from REGISTRY.collect()
    yield from LedgerCollector(None, None).describe()  # type: ignore[arg-type]


def shown() -> set[str]:
    return {f"{family.name}{suffix}" for family in families() for suffix in SUFFIXES.get(family.type, [])}


def promtool(*arguments: str, cwd: Path = ROOT) -> None:
    ran = subprocess.run(["promtool", *arguments], cwd=cwd, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_prometheus
def test_rules_and_configuration_are_read_by_prometheus():
    promtool("check", "rules", str(monitoring.RULES))
    promtool("check", "config", "--syntax-only", str(PROMETHEUS / "prometheus.yml"))


@needs_prometheus
def test_alerts_fire_on_their_symptom_and_only_then():
    promtool("test", "rules", "alerts_test.yml", cwd=PROMETHEUS)


def test_every_alert_is_tested():
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    fired = {case["alertname"] for case in cases if case["exp_alerts"]}
    silent = {case["alertname"] for case in cases if not case["exp_alerts"]}
    names = {rule["alert"] for rule in monitoring.alerts()}
    assert names == fired == silent


@needs_prometheus
def test_dashboard_expressions_are_read_by_prometheus(tmp_path):
    rules = [{"record": f"panel:{at}", "expr": expr} for at, expr in enumerate(monitoring.dashboard_expressions())]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", str(tmp_path / "panels.yml"))


EXPRESSIONS = {rule["alert"]: rule["expr"] for rule in monitoring.alerts()} | {
    f"panel {at}": expr for at, expr in enumerate(monitoring.dashboard_expressions())
}


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_every_metric_that_is_asked_for_is_shown(where):
    assert monitoring.metrics_named(EXPRESSIONS[where]) <= shown()


def test_everything_that_is_shown_is_on_the_dashboard():
    asked = set().union(*map(monitoring.metrics_named, monitoring.dashboard_expressions()))
    ours = [family for family in families() if family.name.startswith("emobatch_")]
    unseen = {f.name for f in ours if not asked & {f"{f.name}{suffix}" for suffix in SUFFIXES[f.type]}}
    assert unseen == set(), "put it on a panel, or do not count it"
