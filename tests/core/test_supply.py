"""What is never unpacked as code: tickets are JSON under a password, weights are safetensors."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.errors import BadOption
from core.queue import celery_app

ROOT = Path(__file__).parents[2]
SHIPPED = [path for package in ("core", "web", "worker", "emobatch") for path in (ROOT / package).rglob("*.py")]
CODE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def test_tickets_are_json_and_nothing_else_is_taken(settings):
    conf = celery_app(settings, "test").conf
    assert conf.task_serializer == "json"
    assert conf.accept_content == ["json"]
    assert conf.task_ignore_result


@pytest.mark.parametrize("url", ["redis://10.0.0.5:6379/0", "redis://queue.example.org/0", "redis://:@queue:6379/0"])
def test_a_broker_elsewhere_has_a_password(settings, url):
    with pytest.raises(BadOption, match="password"):
        celery_app(settings.model_copy(update={"redis_url": SecretStr(url)}), "test")


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:6379/0", "redis://localhost/0", "redis://[::1]:6379/0", "redis://:secret@queue:6379/0"]
)
def test_a_broker_of_this_machine_may_have_none(settings, url):
    celery_app(settings.model_copy(update={"redis_url": SecretStr(url)}), "test")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_unpickles(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not {alias.name.partition(".")[0] for alias in node.names} & CODE
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in CODE
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = ast.unparse(node.func)
            assert called not in ("torch.load", "yaml.load", "yaml.unsafe_load"), called
            if called in ("numpy.load", "np.load"):  # since NumPy 1.16.3 it unpickles only if it is told to
                assert "allow_pickle=True" not in ast.unparse(node)
