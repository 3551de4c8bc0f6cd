"""Fixtures for all tests. Servers are real, see `tests.servers`."""

pytest_plugins = ["tests.servers", "tests.fixtures", "tests.receiver", "tests.sweep"]
