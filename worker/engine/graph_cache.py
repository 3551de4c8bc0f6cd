"""The cache of graphs: what a start would build from the weights each time, kept, and never trusted blindly."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from core.model_directory import ModelDirectory
from worker.engine.graph import build_graph, graph_version
from worker.engine.weights import Weights

logger = logging.getLogger(__name__)

UNUSED_S = 30 * 24 * 3600.0
"""A graph that was not used for this long is removed when another one is put beside it."""

_MAGIC = b"emobatch graph, sha256 "


def default_cache_dir() -> Path:
    """The platform's cache folder for emobatch."""
    from platformdirs import user_cache_path

    return user_cache_path("emobatch", appauthor=False)


def cached_graph(model: ModelDirectory, cache_dir: Path | None) -> bytes:
    """The model's serialized graph, from `cache_dir` (None: the platform's cache folder) or built and put there.

    A file is named by model and graph code, and opens with the sha256 of the rest: one that is torn or altered is built
    anew. Several processes may start at once; each sees a whole file or none. A folder that cannot be written costs the
    building (some 0.3 s) at each start, and a warning.

    Raises:
        ModelDirectoryError: a file of the model directory is not what its manifest says.
    """
    cache_dir = default_cache_dir() if cache_dir is None else cache_dir
    path = cache_dir / f"{model.sha256}-{graph_version()}.graph"
    try:
        head, graph = _split(path.read_bytes())
        if head == _head(graph):
            _mark_used(path)
            return graph
        logger.warning("The cached graph %s is damaged; it is built anew.", path)
    except FileNotFoundError:
        pass
    except OSError as error:
        logger.warning("The cached graph %s cannot be read (%s); it is built anew.", path, error)
    # What is kept under a model's hash must be that model: the weights are checked before they are built on.
    ModelDirectory.load(model.path, verify=True)
    graph = build_graph(model, Weights(model.weights_path))
    try:
        replace_file(path, _head(graph) + graph)
        _remove_unused(cache_dir)
    except OSError as error:
        logger.warning("The graph cannot be cached at %s (%s); every start builds it anew.", path, error)
    return graph


def _head(graph: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(graph).hexdigest().encode() + b"\n"


def _split(content: bytes) -> tuple[bytes, bytes]:
    size = len(_head(b""))
    return content[:size], content[size:]


def _mark_used(path: Path) -> None:
    with suppress(OSError):  # a folder that others fill for us
        os.utime(path)


def _remove_unused(cache_dir: Path) -> None:
    """Graphs of models and releases that nobody has started for a while: some tens of megabytes each."""
    for path in cache_dir.glob("*.graph"):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - UNUSED_S:
                path.unlink()


def replace_file(path: Path, content: bytes) -> None:
    """Writes beside `path` and renames: a reader never meets half a file, and the last of several writers wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
