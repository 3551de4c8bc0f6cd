"""Our rules, dashboards and metrics as tests look at them, and a real Prometheus where there is one."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

ROOT = Path(__file__).parent.parent
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = PROMETHEUS / "alerts.yml"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="needs prometheus and promtool: apt-get install prometheus",
)


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def dashboard_expressions() -> list[str]:
    panels = [panel for path in DASHBOARDS for panel in json.loads(path.read_text())["panels"]]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def metrics_named(expression: str) -> set[str]:
    return set(re.findall(r"\bemobatch_[a-z_]+", re.sub(r'"[^"]*"', "", expression)))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def prometheus(folder: Path, targets: dict[str, str], token: str) -> Iterator[httpx.Client]:
    """A Prometheus with our configuration, but for where its targets are and how often it asks."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    (folder / "token").write_text(token)
    for scraped in config["scrape_configs"]:
        del scraped["dns_sd_configs"]
        scraped["static_configs"] = [{"targets": [targets[scraped["job_name"]]]}]
        if "authorization" in scraped:
            scraped["authorization"]["credentials_file"] = str(folder / "token")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (folder / "alerts.yml").write_text(RULES.read_text())
    port = free_port()
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    process = subprocess.Popen(command)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            until = time.monotonic() + 60
            while not is_up(client, "/-/ready"):
                assert time.monotonic() < until, "Prometheus does not answer"
                time.sleep(0.1)
            yield client
    finally:
        process.terminate()
        process.wait(30)


def is_up(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == 200
    except httpx.HTTPError:
        return False


def query(client: httpx.Client, expression: str) -> list[dict[str, Any]]:
    answer = client.get("/api/v1/query", params={"query": expression}).json()
    assert answer["status"] == "success", answer
    return answer["data"]["result"]


def value(client: httpx.Client, expression: str) -> float:
    """The one value of an expression; nan where there is none."""
    found = query(client, expression)
    return float(found[0]["value"][1]) if found else float("nan")
