"""Data directories for tests of the local stack, checked for what a test leaves running."""

from collections.abc import Callable, Iterator

import pytest

from emobatch.stack import leftovers
from emobatch.stack.home import Home
from tests.emobatch.stacks import Up, processes


@pytest.fixture
def odd_home(tmp_path) -> Iterator[Home]:
    """A data directory whose name is a trial; whatever a test leaves running is a failure."""
    home = Home(tmp_path / "a 'home' of 100%s \"é\"")
    home.create()
    yield home
    clear(home)


@pytest.fixture
def start_up() -> Iterator[Callable[[Home], Up]]:
    """Starts an `Up`; none outlives the test. Ask for it after the data directory."""
    started: list[Up] = []

    def start(home: Home) -> Up:
        started.append(Up(home))
        return started[-1]

    yield start
    for up in started:
        up.stop()


@pytest.fixture(scope="module")
def home_up(tmp_path_factory) -> Iterator[Home]:
    """A data directory with an ``emobatch up``, for tests that change nothing."""
    home = Home(tmp_path_factory.mktemp("up"))
    home.create()
    up = Up(home)
    assert up.read().startswith("emobatch is ready: http://127.0.0.1:")
    yield home
    assert up.stop() == 0
    clear(home)


def clear(home: Home) -> None:
    left = {name: len(found) for name, found in processes(home).items()}
    leftovers.stop(home)
    assert left == {}
