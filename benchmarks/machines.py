"""The stack across several machines: ``python -m benchmarks.machines``, as root.

Four hosts, which are network namespaces on a bridge: Postgres, Redis and an S3 server on the first, web on the second,
a worker on each of the others. Uploads are in S3; no two hosts share a folder. A job runs undisturbed, then again while
the network between a worker and Postgres is cut and healed, and that between the other worker and Redis.
"""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks import single
from benchmarks.group import Group, at_least, at_most
from benchmarks.hosts import CannotNamespace, Host, Network, cut, heal
from benchmarks.interleaved import Figure
from benchmarks.single import Trial
from benchmarks.stacks import clean_environment
from core.settings import Settings
from emobatch.client import Client
from emobatch.retry import Patience
from emobatch.stack.home import Home, Secrets
from emobatch.stack.postgres import DATABASE, Postgres
from emobatch.stack.programs import EMOBATCH, SOURCES, Program
from emobatch.stack.redis import Redis
from tests.faults.corpus import corpus
from tests.faults.ground import until
from tests.faults.oracle import judge
from tests.faults.processes import Kept

ROWS, ROWS_PER_S = 40_000, 200.0
CUT_S = 40.0
"""Longer than TCP takes to give a connection up here (`core.db`: 30 s)."""
BACK_S = 120.0
POSTGRES_PORT, REDIS_PORT, S3_PORT, WEB_PORT = 5432, 6379, 5000, 8080
BUCKET = "uploads"
KEYS = {"AWS_ACCESS_KEY_ID": "emobatch", "AWS_SECRET_ACCESS_KEY": "emobatch"}

HOW = (
    " ".join(line.strip() for line in (__doc__ or "").splitlines()[2:] if line.strip())
    + f" {ROWS:,} rows, the null engine at {ROWS_PER_S:.0f} rows/s in each worker, cuts of {CUT_S:.0f} s, leases of "
    "5 s. Back is when a worker holds a lease again, from the healing on. The oracle of tests/faults judges both runs."
)


@dataclass(frozen=True)
class Machines:
    """The running stack."""

    data: Host
    workers: tuple[tuple[Host, Kept], ...]
    postgres: str
    """Address of Postgres alone; and of Redis."""
    redis: str
    admin_url: str
    client: Client

    @contextmanager
    def database(self) -> Iterator[psycopg.Connection]:
        """A login that sees everything, each statement its own transaction."""
        with psycopg.connect(self.admin_url, autocommit=True, connect_timeout=5) as connection:
            yield connection

    def works(self, number: int) -> bool:
        """Whether a worker's child holds a lease."""
        pid = self.workers[number][1].pid
        with self.database() as database:
            rows = database.execute("SELECT DISTINCT worker_id FROM chunk WHERE state = 'leased'").fetchall()
        return any(int(row[0].rsplit(":", 2)[1]) == pid for row in rows if row[0])

    def rows_done(self, job_id: str) -> int:
        """Rows of a job that are labelled."""
        with self.database() as database:
            row = database.execute("SELECT rows_ok + rows_skipped FROM job WHERE id = %s", [job_id]).fetchone()
        return int(row[0]) if row else 0


def measure(trial: Trial) -> Group:
    """Two runs of one file, the second under cuts; skipped where there are no namespaces."""
    group = Group("machines", "Four machines, cut and healed", HOW)
    try:
        with Network() as network, ExitStack() as held:
            _measure(group, trial, _start(held, network, trial.folder))
    except CannotNamespace as error:
        group.skipped = str(error)
        trial.say(f"(machines) [bold]not measured[/]: {error}.")
    return group


def _measure(group: Group, trial: Trial, machines: Machines) -> None:
    made = corpus(trial.size(ROWS, 4_000), trial.seed)
    cut_s = max(5.0, CUT_S * trial.scale)
    until(lambda: all(_alive(machines)), "both workers live", 90)

    def upload() -> str:
        return machines.client.create_job(io.BytesIO(made.data), filename="rows.csv", text_column="text").id

    def download(job_id: str) -> bytes:
        target = trial.path("out.csv")
        machines.client.download_to(job_id, target)
        return target.read_bytes()

    undisturbed = upload()
    machines.client.wait(undisturbed, timeout_s=900)
    reference = download(undisturbed)
    trial.say("(machines) undisturbed run done")
    disturbed = upload()
    until(lambda: all(machines.works(number) for number in (0, 1)), "both workers work", 60)
    back: list[float] = []
    meanwhile: list[int] = []
    for number, (name, address) in enumerate((("Postgres", machines.postgres), ("Redis", machines.redis))):
        host = machines.workers[number][0]
        done = machines.rows_done(disturbed)
        cut(host, machines.data, address)
        time.sleep(cut_s)
        heal(host, machines.data, address)
        healed = time.monotonic()
        meanwhile.append(machines.rows_done(disturbed) - done)
        until(lambda number=number: machines.works(number), f"the worker cut off from {name} works", BACK_S)  # type: ignore[misc]
        back.append(time.monotonic() - healed)
        trial.say(f"(machines) {name} cut for {cut_s:.0f} s, healed; worker back after {back[-1]:.1f} s")
    if machines.client.status(disturbed).state.active:
        group.notes.append("both workers were back before the job was over")
    machines.client.wait(disturbed, timeout_s=900)
    output = download(disturbed)
    with machines.database() as database:
        verdicts = [
            judge(ids=made.ids, output=data, reference=reference, database=database, job_id=job_id)
            for job_id, data in ((undisturbed, reference), (disturbed, output))
        ]
    problems = [problem for verdict in verdicts for problem in verdict.problems]
    group.add("equal", "output byte-equal to the undisturbed run's", Figure.of([output == reference]), "", at_least(1))
    group.add("lost", "rows lost", Figure.of([verdicts[1].lost]), "rows", at_most(0))
    group.add("duplicated", "rows duplicated", Figure.of([verdicts[1].duplicated]), "rows", at_most(0))
    group.add("wrong", "everything the oracle found wrong", Figure.of([len(problems)]), "", at_most(0))
    for name, seconds, rows in zip(("postgres", "redis"), back, meanwhile, strict=True):
        group.add(
            f"back_{name}_s", f"worker cut off from {name}: back after", Figure.of([seconds]), "s", at_most(BACK_S)
        )
        group.add(f"meanwhile_{name}", "rows labelled meanwhile", Figure.of([rows]), "rows", at_least(1))
    group.add("reruns", "chunks leased again", Figure.of([verdicts[1].reruns]), "")
    group.notes += [f"{made.n:,} rows", *problems[:10]]


def _alive(machines: Machines) -> list[bool]:
    with machines.database() as database:
        ids = [row[0] for row in database.execute("SELECT id FROM worker").fetchall()]
    return [any(f":{kept.pid}:" in worker_id for worker_id in ids) for _, kept in machines.workers]


def _start(held: ExitStack, network: Network, folder: Path) -> Machines:
    """Brings everything up, each host with a home and a cache of its own; `held` stops it."""
    postgres_at, redis_at, s3_at = (network.address(1, number) for number in (2, 3, 4))
    data = network.host("data", postgres_at, redis_at, s3_at)
    web = network.host("web")
    workers = [network.host(f"work{number}") for number in (1, 2)]
    home = Home(folder / "data")
    home.create()
    secrets = home.secrets()
    postgres, redis = Postgres(home, secrets, POSTGRES_PORT), Redis(home, secrets, REDIS_PORT)
    for server in (postgres, redis):
        server.initialise()
    with (home.postgres / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {network.gateway}/16 scram-sha-256\n")
    urls = {
        "DATABASE_URL": postgres.url.replace("127.0.0.1", postgres_at),
        "REDIS_URL": redis.url.replace("127.0.0.1", redis_at),
        "STORAGE_URL": f"s3://{BUCKET}/emobatch?endpoint=http://{s3_at}:{S3_PORT}",
    }
    s3 = Program("s3", (sys.executable, "-m", "moto.server", "-H", s3_at, "-p", str(S3_PORT)))

    def run(host: Host, program: Program, given: dict[str, str], stop_signal: int = signal.SIGTERM) -> Kept:
        own = folder / host.namespace
        (own / "tmp").mkdir(parents=True, exist_ok=True)
        environment = clean_environment({"EMOBATCH_ENGINE": "null", "EMOBATCH_TEXT_MEMORY": "0"}) | {
            "PYTHONPATH": str(SOURCES),
            "EMOBATCH_HOME": str(own / "home"),
            "EMOBATCH_CACHE_DIR": str(own / "cache"),
            "TMPDIR": str(own / "tmp"),
            "EMOBATCH_LEASE_S": "5",
            "EMOBATCH_NULL_ROWS_PER_S": str(ROWS_PER_S),
            **KEYS,
            **program.environment,
            **given,
        }
        environment.pop("EMOBATCH_WORKER_NODE", None)
        kept = Kept(program.name, host.command(*program.command), environment, own, stop_signal)
        kept.start()
        held.callback(kept.stop, 20)
        return kept

    listening = ("-c", f"listen_addresses=127.0.0.1,{postgres_at}")
    database = postgres.program
    run(data, Program("postgres", (*database.command, *listening)), dict(database.environment), signal.SIGINT)
    run(data, Program("redis", (*redis.program.command, "--bind", "127.0.0.1", redis_at)), {})
    run(data, s3, {})
    for address, port in ((postgres_at, POSTGRES_PORT), (redis_at, REDIS_PORT), (s3_at, S3_PORT)):
        until(_listens(address, port), f"{address}:{port} answers", 60)
    _make_bucket(s3_at)
    migrated = Program("migrate", EMOBATCH.migrate)
    _run_once(web.command(*migrated.command), clean_environment(urls) | {"PYTHONPATH": str(SOURCES)})
    programs = {program.name: program for program in EMOBATCH.programs(_settings(urls), secrets.stack_id)}
    signed = _signed(secrets) | {"EMOBATCH_ALLOWED_HOSTS": web.address}
    bound = tuple(word.replace("127.0.0.1:", f"{web.address}:") for word in programs["web"].command)
    run(web, Program("web", bound), urls | signed)
    crew = []
    for number, host in enumerate(workers):
        command = [f"m{number}{w[6:]}" if w.startswith("worker-") else w for w in programs["worker"].command]
        crew.append((host, run(host, Program(f"worker{number}", tuple(command)), dict(urls))))
    client = Client(f"http://{web.address}:{WEB_PORT}", secrets.access_token, patience=Patience(60.0, 60.0))
    held.callback(client.close)
    until(_listens(web.address, WEB_PORT), "web answers", 60)
    admin_url = postgres.admin_url.replace("127.0.0.1", postgres_at).rsplit("/", 1)[0] + f"/{DATABASE}"
    return Machines(data, tuple(crew), postgres_at, redis_at, admin_url, client)


def _settings(urls: dict[str, str]) -> Settings:
    return Settings(
        database_url=urls["DATABASE_URL"],  # type: ignore[arg-type]
        redis_url=urls["REDIS_URL"],  # type: ignore[arg-type]
        storage_url=urls["STORAGE_URL"],
        port=WEB_PORT,
    )


def _signed(secrets: Secrets) -> dict[str, str]:
    return {"EMOBATCH_SECRET_KEY": secrets.secret_key, "EMOBATCH_ACCESS_TOKEN": secrets.access_token}


def _listens(address: str, port: int) -> Callable[[], bool]:
    def answers() -> bool:
        try:
            with socket.create_connection((address, port), timeout=2):
                return True
        except OSError:
            return False

    return answers


def _make_bucket(address: str) -> None:
    import boto3

    keys = {name.lower(): value for name, value in KEYS.items()}
    endpoint = f"http://{address}:{S3_PORT}"
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys).create_bucket(Bucket=BUCKET)


def _run_once(command: tuple[str, ...], environment: dict[str, str]) -> None:
    subprocess.run(command, env=environment, cwd=os.fspath(SOURCES), check=True, capture_output=True)


if __name__ == "__main__":
    described = "Runs a job on several machines, cuts the network between them, and compares the output."
    sys.exit(single.run("machines", described, {"machines": measure}))
