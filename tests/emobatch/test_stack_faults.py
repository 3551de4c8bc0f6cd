"""The local stack under kill -9, and with what kills and crashes leave behind."""

import os
import signal
import sys
import time

import psutil
import pytest

from core.errors import Unavailable
from emobatch import stack
from emobatch.stack.programs import inherited_environment
from emobatch.stack.stack import Stack
from emobatch.stack.supervision import Supervisor
from tests.emobatch.fake_application import application
from tests.emobatch.stacks import PROGRAMS, first, processes, remember, remembered, until, works


def test_whoever_is_killed_comes_back_and_nothing_is_lost(odd_home, start_up):
    up = start_up(odd_home)
    up.read()
    address = stack.running(odd_home.root)
    remember(address, "kept")
    for name in [*PROGRAMS, "supervisor"]:
        victim = first(odd_home, name)
        # All that was written to Redis more than a second ago is safe; Postgres keeps what it has committed.
        time.sleep(1.1 if name in ("redis", "supervisor") else 0)
        victim.kill()
        until(lambda victim=victim: not victim.is_running() or victim.status() == psutil.STATUS_ZOMBIE, "it is dead")
        until(lambda name=name: processes(odd_home).get(name), f"{name} is back")
        until(lambda: works(address), f"the stack works without the {name} it had")
        assert remembered(address) == (["kept"], ["kept"]), name
    until(lambda: stack.running(odd_home.root) == address, "it is announced again")
    assert up.stop() == 0


@pytest.mark.parametrize("with_supervisor", [False, True], ids=["up", "up and supervisor"])
def test_a_killed_up_is_cleared_away_by_the_next(odd_home, with_supervisor, start_up):
    up = start_up(odd_home)
    up.read()
    address = stack.running(odd_home.root)
    remember(address, "kept")
    before = [process for group in processes(odd_home).values() for process in group]
    if with_supervisor:
        time.sleep(1.1)
        up.process.send_signal(signal.SIGSTOP)  # Else it might see the end of its supervisor.
        first(odd_home, "supervisor").kill()
    up.process.kill()
    up.process.wait()
    assert stack.running(odd_home.root) is None
    with stack.start(odd_home.root, application=application(), quiet=True) as running:
        assert not [process for process in before if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
        assert running.address == address
        assert remembered(running.address) == (["kept"], ["kept"])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a process to its parent")
def test_a_killed_up_takes_its_stack_along(odd_home, start_up):
    up = start_up(odd_home)
    up.read()
    up.process.kill()
    up.process.wait()
    until(lambda: processes(odd_home) == {}, "all are gone")


def test_a_program_that_cannot_start_is_named_with_its_reason(odd_home):
    with (
        pytest.raises(Unavailable, match=r"web does not start \(FATAL.*: the model is missing") as caught,
        stack.start(odd_home.root, application=application(broken="web"), quiet=True),
    ):
        pytest.fail("it started")
    assert str(odd_home.logs / "web.log") in caught.value.next_step
    assert processes(odd_home) == {}
    assert stack.running(odd_home.root) is None


def test_a_program_given_up_on_gets_another_chance(odd_home):
    worker = application(broken="worker").programs(None, "")[1]
    secrets = odd_home.secrets()
    supervisor = Supervisor(odd_home, secrets, odd_home.ports(["supervisor"])["supervisor"], [worker])
    supervisor.launch(inherited_environment())
    supervisor.start("worker")
    until(lambda: supervisor.failure("worker"), "it has failed for good")
    tries = supervisor.log("worker").read_text().count("the model is missing")
    with pytest.raises(Unavailable, match=r"worker does not start \(FATAL.*: the model is missing"):
        supervisor.wait_until(lambda: False, "worker", seconds=60)
    assert supervisor.revive() == ["worker"]
    until(lambda: supervisor.log("worker").read_text().count("the model is missing") > tries, "it is tried again")
    with pytest.raises(Unavailable, match="worker did not answer within 0 seconds: the model is missing"):
        supervisor.wait_until(lambda: False, "worker", seconds=0)
    supervisor.stop()
    assert not supervisor.is_alive()
    with pytest.raises(Unavailable, match="supervisor was killed"):
        supervisor.wait_until(lambda: False, "worker", seconds=60)


def test_a_running_stack_tries_again_what_has_failed_for_good(odd_home, monkeypatch):
    said: list[str] = []
    running = Stack(odd_home, application(broken="worker"), said.append)
    running.up(transient=True)
    monkeypatch.setattr("emobatch.stack.stack.REVIVE_S", 0)

    def mended() -> bool:
        running.mend()
        return "worker does not stay up, trying again: the model is missing" in said

    try:
        until(mended, "the worker is tried again")
    finally:
        running.down()
    running.mend()
    assert processes(odd_home) == {}


def test_a_stale_pid_file_that_names_a_stranger_is_forgotten(odd_home):
    with stack.start(odd_home.root, application=application(), quiet=True):
        pid_file = (odd_home.postgres / "postmaster.pid").read_text()
    stale = pid_file.replace(pid_file.split()[0], str(os.getpid()), 1)
    (odd_home.postgres / "postmaster.pid").write_text(stale)
    with stack.start(odd_home.root, application=application(), quiet=True) as running:
        assert works(running.address)


def test_a_half_made_cluster_is_made_anew(odd_home):
    (odd_home.root / "postgres.part" / "base").mkdir(parents=True)
    with stack.start(odd_home.root, application=application(), quiet=True) as running:
        assert works(running.address)
    assert not (odd_home.root / "postgres.part").exists()
