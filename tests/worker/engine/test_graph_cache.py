"""worker.engine.graph_cache: the graph is built once, and what is cached is never trusted blindly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_model import ROOT, WriteModel

from core.model_directory import ModelDirectory, ModelDirectoryError
from worker.engine import graph_cache
from worker.engine.graph_cache import cached_graph


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sha256 of each model whose graph is built in this test."""
    shas: list[str] = []
    build = graph_cache.build_graph

    def counting(model: ModelDirectory, weights: object) -> bytes:
        shas.append(model.sha256)
        return build(model, weights)  # type: ignore[arg-type]

    monkeypatch.setattr(graph_cache, "build_graph", counting)
    return shas


def test_is_built_once(model: ModelDirectory, tmp_path: Path, built: list[str]) -> None:
    cache = tmp_path / "not" / "yet"
    assert cached_graph(model, cache) == cached_graph(model, cache)
    assert len(built) == 1
    (only,) = cache.iterdir()
    assert only.name.startswith(model.sha256)


def test_another_model_or_other_code_is_built_anew(
    write_model: WriteModel, tmp_path: Path, built: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = write_model(seed=1), write_model(seed=2)
    assert cached_graph(one, tmp_path) != cached_graph(other, tmp_path)
    monkeypatch.setattr(graph_cache, "graph_version", lambda: "new")
    cached_graph(one, tmp_path)
    assert built == [one.sha256, other.sha256, one.sha256]


def flip(content: bytes) -> bytes:
    return content[:-7] + bytes([content[-7] ^ 1]) + content[-6:]


@pytest.mark.parametrize(
    "damage",
    [lambda b: b"", lambda b: b[:10], lambda b: b[: len(b) // 2], flip, lambda b: b + b"x", lambda b: b"?" + b[1:]],
    ids=["empty", "head only", "torn", "a bit", "longer", "another head"],
)
def test_a_damaged_file_is_built_anew(model: ModelDirectory, tmp_path: Path, built: list[str], damage) -> None:
    cache = tmp_path / "cache"
    graph = cached_graph(model, cache)
    (path,) = cache.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert cached_graph(model, cache) == graph
    assert cached_graph(model, cache) == graph
    assert len(built) == 2


@pytest.mark.parametrize("at", ["folder", "file"])
def test_a_cache_that_cannot_be_used_costs_time_only(
    model: ModelDirectory, tmp_path: Path, built: list[str], at: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "cache"
    if at == "folder":
        cache.write_text("a file stands where the folder should be")
    else:
        (cache / f"{model.sha256}-{graph_cache.graph_version()}.graph" / "a folder").mkdir(parents=True)
    assert cached_graph(model, cache) == cached_graph(model, cache)
    assert len(built) == 2
    assert "cannot be cached" in caplog.text
    assert not list(tmp_path.rglob("*.part"))


def test_exchanged_weights_are_not_cached_under_the_name_of_the_right_ones(
    write_model: WriteModel, tmp_path: Path, built: list[str]
) -> None:
    model, other = write_model(seed=1), write_model(seed=2)
    model.weights_path.write_bytes(other.weights_path.read_bytes())
    with pytest.raises(ModelDirectoryError, match="damaged or was exchanged"):
        cached_graph(model, tmp_path / "cache")
    assert built == []


def test_several_processes_starting_at_once_all_get_it(model: ModelDirectory, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    code = (
        "import sys, hashlib; from pathlib import Path; from core.model_directory import ModelDirectory;"
        "from worker.engine.graph_cache import cached_graph;"
        "graph = cached_graph(ModelDirectory.load(sys.argv[1]), Path(sys.argv[2]));"
        "print(hashlib.sha256(graph).hexdigest())"
    )
    command = [sys.executable, "-c", code, str(model.path), str(cache)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(4)]
    answers = {process.communicate(timeout=60)[0] for process in running}
    assert [process.returncode for process in running] == [0] * 4
    assert len(answers) == 1
    assert len(list(cache.iterdir())) == 1  # and no half-written file beside it


def test_graphs_that_nobody_uses_any_more_are_removed(write_model: WriteModel, tmp_path: Path) -> None:
    one, other = write_model(seed=1), write_model(seed=2)
    cached_graph(one, tmp_path)
    (old,) = tmp_path.glob("*.graph")
    os.utime(old, (0, 0))
    cached_graph(one, tmp_path)  # used, so young again
    cached_graph(other, tmp_path)
    assert old.exists()
    os.utime(old, (0, 0))
    cached_graph(write_model(seed=3), tmp_path)
    assert not old.exists()
    assert len(list(tmp_path.glob("*.graph"))) == 2
