"""docker-compose.yml without Docker: its shape, its promises, and its very command lines run by hand."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml

from emobatch.stack.programs import EMOBATCH

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_every_service_is_there_with_a_health_check():
    assert set(SERVICES) == {"postgres", "redis", "migrate", "web", "worker-cpu", "worker-gpu"}
    for name, service in SERVICES.items():
        assert "image" in service or "build" in service, name
        assert ("healthcheck" in service) == (name != "migrate"), name


def test_what_a_service_names_exists():
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    for service in SERVICES.values():
        if "build" in service:
            assert service["build"]["target"] in targets
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in COMPOSE["volumes"]


def test_gpu_workers_are_a_profile_with_a_device():
    gpu = SERVICES["worker-gpu"]
    assert gpu["profiles"] == ["gpu"]
    assert gpu["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]


def test_images_run_as_an_ordinary_user_and_web_has_no_model_runtime():
    stages = DOCKERFILE.split("\nFROM ")[2:]
    for stage in stages:
        assert "USER emobatch" in stage or stage.startswith("web AS")
    web = next(stage for stage in stages if stage.startswith("base AS web"))
    assert '".[web]"' in web
    assert "COPY worker" not in web


@pytest.mark.parametrize("name", ["web", "worker-cpu", "worker-gpu", "migrate"])
def test_the_image_starts_what_compose_starts(name):
    commands = re.findall(rf"AS {name}\n(?:.*\n)*?CMD (\[.*\])", DOCKERFILE)
    assert yaml.safe_load(commands[0]) == SERVICES[name]["command"]


def test_no_secret_stands_in_the_file():
    text = (ROOT / "docker-compose.yml").read_text()
    for name in ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "EMOBATCH_SECRET_KEY", "EMOBATCH_ACCESS_TOKEN"):
        assert f"${{{name}:?" in text


def test_a_worker_gets_longer_to_stop_than_a_tick_takes(settings):
    grace = int(SERVICES["worker-cpu"]["stop_grace_period"].removesuffix("s"))
    assert grace > 2 * (settings.tick_s + settings.claim_s) + 30


def test_the_local_stack_runs_the_same_programs(settings):
    local = {program.name: list(program.command) for program in EMOBATCH.programs(settings, "0" * 32)}
    web, worker = SERVICES["web"]["command"], SERVICES["worker-cpu"]["command"]
    assert local["web"][1:4] == web[1:4]
    assert local["worker"][1:6] == worker[1:6]
    assert list(EMOBATCH.migrate)[1:] == SERVICES["migrate"]["command"][1:]


def run(command: list[str], environment: dict[str, str]) -> subprocess.Popen:
    assert command[0] == "python"
    return subprocess.Popen([sys.executable, *command[1:]], cwd=ROOT, env=os.environ | environment)


def test_the_command_lines_work(empty_database_url, redis_url, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "DATABASE_URL": empty_database_url,
        "REDIS_URL": f"{redis_url.rsplit('/', 1)[0]}/7",
        "STORAGE_URL": tmp_path.as_uri(),
        "EMOBATCH_SECRET_KEY": "s" * 40,
        "EMOBATCH_ACCESS_TOKEN": "the-token",
    }
    environment["EMOBATCH_CACHE_DIR"] = str(tmp_path / "cache")
    assert run(SERVICES["migrate"]["command"], environment).wait(60) == 0
    here = [part.replace("0.0.0.0:8080", f"127.0.0.1:{port}") for part in SERVICES["web"]["command"]]
    processes = [run(here, environment), run(SERVICES["worker-cpu"]["command"], environment)]
    check = SERVICES["worker-cpu"]["healthcheck"]["test"]
    assert check[0] == "CMD"
    healthy = [part.replace(":8080/", f":{port}/") for part in SERVICES["web"]["healthcheck"]["test"][1:]]
    try:
        until = time.monotonic() + 90
        while run(healthy, environment).wait(30) or run(check[1:], environment).wait(30):
            assert time.monotonic() < until, "not healthy"
            time.sleep(1)
        headers = {"Authorization": "Bearer the-token"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", headers=headers) as api:
            job = api.post("/jobs", content=b"text\nI am so happy today!\n").json()
            while api.get(f"/jobs/{job['id']}").json()["state"] != "completed":
                assert time.monotonic() < until, "not labelled"
                time.sleep(0.2)
            assert b",joy," in api.get(f"/jobs/{job['id']}/results.csv").content
    finally:
        for process in processes:
            process.terminate()
        assert [process.wait(60) for process in processes] == [0, 0]
