"""The local stack with real servers, a real supervisor, and fakes for web and worker: started, killed, recovered."""

import os
import shlex
import signal
import socket
from pathlib import Path

import psutil
import pytest

from core.errors import BadOption, Unavailable
from core.settings import Settings
from emobatch import stack
from emobatch.stack import programs
from emobatch.stack.home import Home
from emobatch.stack.supervision import Supervisor
from tests.emobatch.fake_application import application
from tests.emobatch.stacks import PROGRAMS, environment_of, processes, remember, remembered, works


def test_a_stack_for_a_block_and_its_data_for_ever(odd_home, capsys):
    assert stack.running(odd_home.root) is None
    with stack.start(odd_home.root, application=application()) as running:
        assert stack.running(odd_home.root) == running.address
        assert (running.url, running.token) == (running.address.url, odd_home.secrets().access_token)
        assert sorted(processes(odd_home)) == sorted([*PROGRAMS, "supervisor"])
        given = environment_of(running.address)
        assert given["EMOBATCH_ACCESS_TOKEN"] == running.token
        assert given["EMOBATCH_SECRET_KEY"] == odd_home.secrets().secret_key
        assert given["STORAGE_URL"].startswith("file:///")
        assert (odd_home.run / "migrated").read_text() == given["DATABASE_URL"]
        remember(running.address, "first")
    assert processes(odd_home) == {}
    assert stack.running(odd_home.root) is None
    assert str(odd_home.root) in capsys.readouterr().err
    with stack.start(odd_home.root, application=application(), quiet=True) as again:
        assert again.address == running.address
        assert remembered(again.address) == (["first"], ["first"])
        again.stop()
        assert processes(odd_home) == {}
    assert capsys.readouterr() == ("", "")


def test_no_secret_stands_on_a_command_line(home_up):
    secrets = {name: value for name, value in vars(home_up.secrets()).items() if name != "stack_id"}
    found = [process for group in processes(home_up).values() for process in group]
    assert len(found) >= 5
    for process in found:
        assert not [name for name, value in secrets.items() if value in " ".join(process.cmdline())]


def test_only_the_loopback_is_listened_on(home_up):
    found = [process for group in processes(home_up).values() for process in group]
    listening = {
        connection.laddr
        for process in found
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert len(listening) == 4
    assert {address.ip for address in listening} == {"127.0.0.1"}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda how: how.name)
def test_every_polite_end_stops_all_in_reverse_order(odd_home, how, start_up):
    up = start_up(odd_home)
    up.read()
    assert up.stop(how) == 0
    assert processes(odd_home) == {}
    assert up.process.stdout.read().endswith("Stopping ...\nStopped.\n")
    said = (odd_home.logs / "supervisor.log").read_text()
    stopped = [line.split("stopped: ")[1].split()[0] for line in said.splitlines() if "stopped: " in line]
    assert stopped == PROGRAMS[::-1]


def test_a_second_up_says_where_the_first_is(home_up, start_up):
    second = start_up(home_up)
    address = stack.running(home_up.root)
    assert second.process.communicate(timeout=60)[0] == f"emobatch is already running: {address.sign_in_url}\n"
    assert second.process.returncode == 0
    assert works(address)


def test_a_job_uses_the_stack_that_is_up(home_up):
    with stack.start(home_up.root, application=application(), quiet=True) as running:
        assert running.address == stack.running(home_up.root)
        running.stop()
    assert works(running.address)


def test_an_up_waits_for_the_stack_of_a_job_and_takes_over(odd_home, start_up):
    with stack.start(odd_home.root, application=application(), quiet=True) as running:
        up = start_up(odd_home)
        assert up.read().startswith("Another emobatch")
        assert works(running.address)
    assert up.read() == f"emobatch is ready: {running.address.sign_in_url}\n"
    assert up.stop() == 0


def test_a_patient_program_starts_while_the_database_is_migrated(odd_home):
    fakes = application(patient="web", migrate="-migrate-while-web-answers")
    with stack.start(odd_home.root, quiet=True, application=fakes) as running:
        assert works(running.address)


def test_two_homes_do_not_meet(odd_home, tmp_path):
    other = Home(tmp_path / "other")
    with (
        stack.start(odd_home.root, application=application(), quiet=True) as mine,
        stack.start(other.root, application=application(), quiet=True) as theirs,
    ):
        remember(mine.address, "mine")
        remember(theirs.address, "theirs")
        assert len({mine.url, theirs.url}) == len({mine.token, theirs.token}) == 2
        theirs.stop()
        assert processes(other) == {}
        assert remembered(mine.address) == (["mine"], ["mine"])


@pytest.mark.parametrize(
    ("outside", "embedded"),
    [
        ({"DATABASE_URL"}, ["redis"]),
        ({"REDIS_URL"}, ["postgres"]),
        ({"DATABASE_URL", "REDIS_URL", "STORAGE_URL"}, []),
    ],
    ids=lambda value: "+".join(sorted(value)) or "none",
)
def test_the_environment_replaces_part_by_part(odd_home, servers, monkeypatch, tmp_path, outside, embedded):
    urls = {
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "STORAGE_URL": f"file://{tmp_path}/elsewhere",
    }
    for name in outside:
        monkeypatch.setenv(name, urls[name])
    with stack.start(odd_home.root, application=application(), quiet=True) as running:
        assert sorted(processes(odd_home)) == sorted([*embedded, "web", "worker", "supervisor"])
        given = environment_of(running.address)
        assert {name for name in urls if given[name] == urls[name]} == outside
        assert works(running.address)


def test_a_developers_environment_does_not_lead_astray(odd_home, monkeypatch):
    for name, value in {
        "PGSSLMODE": "verify-full",
        "PGHOST": "elsewhere",
        "PGDATA": "/nowhere",
        "LC_ALL": "xx_XX",
        "EMOBATCH_MODEL": "models/mine",
        "EMOBATCH_HOST": "0.0.0.0",
        "EMOBATCH_ACCESS_TOKEN": "my own",
    }.items():
        monkeypatch.setenv(name, value)
    with stack.start(odd_home.root, application=application(), quiet=True) as running:
        given = environment_of(running.address)
    assert not [name for name in given if name.startswith("PG")]
    assert given["EMOBATCH_MODEL"] == str(Path.cwd() / "models/mine")
    assert given["EMOBATCH_HOST"] == "127.0.0.1"
    assert given["EMOBATCH_ACCESS_TOKEN"] == running.token == "my own"


def test_a_taken_port_that_was_asked_for(odd_home, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("EMOBATCH_PORT", str(port))
        with pytest.raises(Unavailable, match=f"port {port} .* is taken"), stack.start(odd_home.root, quiet=True):
            pytest.fail("it started")
    with stack.start(odd_home.root, application=application(), quiet=True) as running:
        assert running.url == f"http://127.0.0.1:{port}"


def test_a_setting_that_is_no_number_is_named(odd_home, monkeypatch):
    monkeypatch.setenv("EMOBATCH_WEB_THREADS", "many")
    with pytest.raises(BadOption, match="EMOBATCH_WEB_THREADS"), stack.start(odd_home.root, quiet=True):
        pytest.fail("it started")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to be somebody else")
@pytest.mark.parametrize("way", ["unshare", "setpriv"])
def test_root_has_two_ways_to_be_somebody_else(odd_home, monkeypatch, way):
    from emobatch.stack import identity

    ways = {each.prefix[0]: each for each in identity._for_root()}
    odd_home.root.parent.chmod(0o700)
    for kept in (way, *(ways.keys() - {way})):  # The second opens what the first has made.
        monkeypatch.setattr(identity, "_for_root", lambda kept=kept: [ways[kept]])
        with stack.start(odd_home.root, application=application(), quiet=True) as running:
            assert works(running.address)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root cannot run Postgres as itself")
def test_root_who_can_be_nobody_else_is_told(odd_home, monkeypatch):
    monkeypatch.setattr("emobatch.stack.identity._runs", lambda command: False)
    with (
        pytest.raises(Unavailable, match="does not run as root") as caught,
        stack.start(odd_home.root, application=application(), quiet=True),
    ):
        pytest.fail("it started")
    assert "ordinary user" in caught.value.next_step


def test_supervisord_reads_every_path_as_we_wrote_it(odd_home, monkeypatch):
    from supervisor.options import ServerOptions

    programs = application().programs(None, "id")
    odd = [str(odd_home.root / name) for name in ("50%", "100%(x)s", "it's", 'say "so"', "a\\b", "a b", "é")]
    programs[0] = type(programs[0])("web", (*programs[0].command, *odd), stop_signal="INT", stop_wait_s=33)
    (odd_home.run / "supervisor.conf").write_text(Supervisor(odd_home, odd_home.secrets(), 12345, programs).config())
    options = ServerOptions()
    monkeypatch.chdir(odd_home.run)
    options.realize(["-n", "-c", "supervisor.conf"])
    (web, worker) = [group.process_configs[0] for group in sorted(options.process_group_configs)]

    assert tuple(shlex.split(web.command)) == programs[0].command
    assert (web.name, worker.name) == ("web", "worker")
    assert (web.stopsignal, web.stopwaitsecs) == (signal.SIGINT, 33)
    assert web.environment["EMOBATCH_STACK"] == f"{odd_home.secrets().stack_id}/web"


def test_every_other_model_has_a_worker_of_its_own(monkeypatch):
    away = dict.fromkeys(("database_url", "redis_url", "storage_url"), "unused")
    (web, own, *others) = programs.EMOBATCH.programs(Settings(**away, also_models="six-layers, ./mine"), "id")
    assert (web.name, own.name, own.environment) == ("web", "worker", {})
    assert [(each.name, each.environment) for each in others] == [
        ("worker-2", {"EMOBATCH_MODEL": "six-layers"}),
        ("worker-3", {"EMOBATCH_MODEL": str(Path.cwd() / "mine")}),
    ]
    assert len({each.command for each in (own, *others)}) == 3, "Celery tells workers apart by their names"
    monkeypatch.setenv("EMOBATCH_ALSO_MODELS", "six-layers,./mine")
    assert programs.inherited_environment()["EMOBATCH_ALSO_MODELS"] == f"six-layers,{Path.cwd() / 'mine'}"


@pytest.mark.parametrize("name", ["a ;b", "a #b", "a\nb"])
def test_a_name_that_supervisord_cannot_read_is_refused(tmp_path, name):
    with (
        pytest.raises(Unavailable, match="another name"),
        stack.start(tmp_path / name, application=application(), quiet=True),
    ):
        pytest.fail("it started")
