"""worker.engine: texts in, logits out, in order, whatever stands beside them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from tiny_model import ODD, ROOT, WriteModel

from core.errors import BadOption
from core.model_directory import ModelDirectory
from worker.engine import Engine, load_engine, runtime
from worker.engine.runtime import available_cores

WORDS = ["i", "love", "hate", "this", "the", "very", "good", "bad", "day", "not", "so", "a", "b", "c", "!", "?"]


@pytest.fixture
def engine(model: ModelDirectory, tmp_path: Path) -> Engine:
    return load_engine(
        model, kind="onnx", precision="float32", threads=2, token_budget=64, cache_dir=tmp_path / "cache", memory=100
    )


def distinct_texts(n: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [f"{i} " + " ".join(rng.choice(WORDS, rng.integers(0, 30))) for i in range(n)]


class Recorder:
    """A runtime whose logits say what it was given: per row the sum of the ids, and the number of tokens."""

    name, token_budget = "recorder", 64

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run(self, batches: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        for input_ids in batches:
            self.shapes.append(input_ids.shape)
            logits = np.zeros((len(input_ids), 28), dtype=np.float32)
            logits[:, 0] = input_ids.sum(axis=1)
            logits[:, 1] = input_ids.shape[1]
            yield logits

    @property
    def rows(self) -> int:
        return sum(shape[0] for shape in self.shapes)


def test_what_comes_out(engine: Engine) -> None:
    scored = engine.score(["i love this", "bad " * 40, "i love this", ""])
    assert scored.logits.shape == (4, 28)
    assert scored.logits.dtype == np.dtype("<f2")
    assert scored.logits.flags.c_contiguous
    assert len(scored.logits.tobytes()) == 4 * 28 * 2
    assert scored.windows.tolist() == [1, 4, 1, 1]
    assert scored.windows.dtype == np.int32
    assert scored.identical.sum() == 1
    np.testing.assert_array_equal(scored.logits[0], scored.logits[2])


def test_no_texts(engine: Engine) -> None:
    scored = engine.score([])
    assert (scored.logits.shape, scored.windows.shape, scored.identical.shape) == ((0, 28), (0,), (0,))


def test_agrees_with_transformers_from_text_to_logits(model: ModelDirectory, engine: Engine) -> None:
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    import torch

    network = transformers.DistilBertForSequenceClassification.from_pretrained(model.path, dtype=torch.float32).eval()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(model.tokenizer_path))
    texts = [text for text in distinct_texts(60) if len(tokenizer(text)["input_ids"]) <= model.max_length]
    assert len(texts) > 15
    ours = engine.score(texts)
    reference = load_engine(model, kind="torch", threads=1).score(texts)
    for i, text in enumerate(texts):
        with torch.inference_mode():
            expected = network(torch.tensor([tokenizer(text)["input_ids"]])).logits[0].numpy()
        np.testing.assert_allclose(ours.logits[i].astype(np.float32), expected, atol=1e-4, rtol=2**-11)
        np.testing.assert_allclose(reference.logits[i].astype(np.float32), expected, atol=1e-4, rtol=2**-11)


@pytest.mark.parametrize("budget", [1, 50, 64, 10_000])
def test_order_is_restored_and_batches_keep_to_the_budget(model: ModelDirectory, budget: int) -> None:
    texts = distinct_texts(200)
    recorder = Recorder()
    scored = Engine(model, recorder, budget, None).score(texts)
    alone = [Engine(model, Recorder(), budget, None).score([text]).logits[0] for text in texts]
    np.testing.assert_array_equal(scored.logits, np.array(alone))
    assert len({tuple(row) for row in scored.logits.tolist()}) > 150
    assert all(rows == 1 or rows * length <= budget for rows, length in recorder.shapes)


def test_the_budget_is_the_runtimes_own_unless_given(model: ModelDirectory) -> None:
    assert Engine(model, Recorder(), 0, None).token_budget == Recorder.token_budget
    assert Engine(model, Recorder(), 7, None).token_budget == 7


def test_logits_of_windows_are_averaged(model: ModelDirectory) -> None:
    recorder = Recorder()
    engine = Engine(model, recorder, 0, None)
    text = " ".join("0123456789" * 4)  # 40 tokens; a window of 16 takes 14 of them
    windows = engine._tokens.windows([text])
    count = int(windows.per_text[0])
    assert count > 2
    scored = engine.score(["good", text, "bad"])
    assert scored.windows.tolist() == [1, count, 1]
    assert scored.logits[1, 0] == np.float16(windows.ids.sum() / count)
    assert scored.logits[1, 1] == model.max_length


def test_a_texts_scores_do_not_depend_on_its_neighbours(model: ModelDirectory, tmp_path: Path) -> None:
    texts = distinct_texts(120)
    engine = load_engine(
        model, kind="onnx", precision="float32", threads=2, token_budget=300, cache_dir=tmp_path, memory=0
    )
    together = engine.score(texts)
    for i in range(0, 120, 7):
        alone = engine.score([texts[i]])
        score = 1 / (1 + np.exp(-together.logits[i].astype(float)))
        np.testing.assert_allclose(1 / (1 + np.exp(-alone.logits[0].astype(float))), score, atol=1e-3, rtol=0)


def test_identical_texts_are_run_once(write_model: WriteModel) -> None:
    recorder = Recorder()
    engine = Engine(write_model(), recorder, 0, None)
    scored = engine.score(["good", "bad", "good", "Good", "good"])
    assert (recorder.rows, scored.identical.sum()) == (3, 2)
    assert scored.logits[0, 0] == scored.logits[2, 0] == scored.logits[4, 0] != scored.logits[1, 0]
    assert not engine.score(["good"]).identical.any()  # no memory: the next call knows nothing


def test_remembers_over_calls(model: ModelDirectory, tmp_path: Path) -> None:
    engine = load_engine(model, kind="onnx", precision="float32", threads=1, cache_dir=tmp_path, memory=3)
    first = engine.score(["good", "bad " * 40])
    second = engine.score(["new", "bad " * 40, "good", "new"])
    assert (first.identical.sum(), second.identical.sum()) == (0, 3)
    assert second.windows.tolist() == [1, first.windows[1], 1, 1]
    np.testing.assert_array_equal(second.logits[[2, 1]], first.logits)
    engine.score(distinct_texts(50))
    assert engine.memory is not None
    assert len(engine.memory) == 3
    assert not engine.score(["good"]).identical.any()


def test_remembers_within_one_job_only(model: ModelDirectory, tmp_path: Path) -> None:
    engine = load_engine(model, kind="onnx", precision="float32", threads=1, cache_dir=tmp_path, memory=10)
    one, other = uuid4().bytes, uuid4().bytes
    assert [engine.score(["good"], job).identical.sum() for job in (one, other, one, other)] == [0, 0, 1, 1]


def test_odd_texts_get_finite_logits(engine: Engine) -> None:
    scored = engine.score(ODD)
    assert np.isfinite(scored.logits).all()
    assert (scored.windows >= 1).all()


@pytest.mark.parametrize(
    "text", ["very good day, " * 6_667, "好" * 100_000, "a" * 100_000, "😀 " * 50_000, "[" * 100_000]
)
def test_the_longest_cell_is_read_whole(model: ModelDirectory, text: str) -> None:
    recorder = Recorder()
    engine = Engine(model, recorder, 4_096, None)
    scored = engine.score([text[:100_000]])
    tokens = len(engine._tokens._tokenizer.encode(text[:100_000], add_special_tokens=False).ids)
    room = model.max_length - 2
    assert scored.windows[0] == recorder.rows >= tokens / room
    assert scored.windows[0] <= 1 + tokens / (room - room // 4)
    assert max(rows * length for rows, length in recorder.shapes) <= 4_096


def test_nan_is_an_error_and_no_result(model: ModelDirectory) -> None:
    class Broken(Recorder):
        def run(self, batches: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
            return (logits * np.float32("nan") for logits in super().run(batches))

    with pytest.raises(ArithmeticError, match="tiny gave NaN on recorder"):
        Engine(model, Broken(), 0, None).score(["good"])


@pytest.mark.parametrize("lanes", [1, 2])
def test_an_error_in_a_lane_reaches_the_caller(model: ModelDirectory, tmp_path: Path, lanes: int) -> None:
    engine = load_engine(model, kind="onnx", precision="float32", threads=lanes, cache_dir=tmp_path)
    out_of_vocabulary = np.full((1, 3), 10**6)
    with pytest.raises(Exception, match="out of"):
        list(engine.runtime.run([out_of_vocabulary] * 3))
    assert engine.score(["good"]).logits.shape == (1, 28)  # and the lanes go on


def test_what_is_scored_in_a_pause_comes_first_and_changes_nothing(engine: Engine) -> None:
    texts = distinct_texts(200)
    expected = engine.score(texts).logits
    engine.memory = None
    begun, pauses, urgent, asked = [], 0, [], 0
    run_one = engine.runtime._run_one

    def run(input_ids: np.ndarray) -> np.ndarray:
        begun.append(input_ids)
        return run_one(input_ids)

    def pause() -> None:
        nonlocal pauses, asked
        pauses += 1
        if pauses == 3:
            urgent.append(engine.score(["so urgent"]).logits)
            asked = len(begun)

    engine.runtime._run_one = run
    scored = engine.score(texts, pause=pause)
    assert np.abs(scored.logits.astype(np.float32) - expected).max() < 1e-2
    engine.runtime._run_one = run_one
    assert np.array_equal(urgent[0], engine.score(["so urgent"]).logits)
    assert pauses > 2 * asked, "most batches were still to come"


# --- which runtime ------------------------------------------------------------------------------------------------


def test_auto_is_onnx_without_cuda(model: ModelDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "cuda_is_there", lambda: False)
    engine = load_engine(model, cache_dir=tmp_path, threads=3, precision="float32")
    assert engine.runtime.name.startswith("onnxruntime")
    assert engine.runtime.threads == 3


def test_auto_is_torch_with_cuda(model: ModelDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(runtime, "cuda_is_there", lambda: True)
    assert load_engine(model, threads=1).runtime.name.startswith("torch")


@pytest.mark.parametrize(
    ("kind", "installed", "match"),
    [
        ("fast", True, "no engine 'fast'.*auto, onnx, torch"),
        ("onnx", False, r"'onnx' needs onnxruntime, .*pip install 'emobatch\[worker\]'"),
        ("torch", False, r"'torch' needs torch, .*pip install 'emobatch\[gpu\]'"),
        ("auto", False, r"no CUDA device was found, needs onnxruntime"),
    ],
)
def test_an_engine_that_cannot_be_had(
    model: ModelDirectory, monkeypatch: pytest.MonkeyPatch, kind: str, installed: bool, match: str
) -> None:
    if not installed:
        monkeypatch.setattr(runtime, "find_spec", lambda name: None)
    with pytest.raises(BadOption, match=match):
        load_engine(model, kind=kind, threads=1)


@pytest.mark.parametrize("kind", ["onnx", "auto"])
def test_runtimes_are_imported_on_loading_and_torch_not_at_all(
    model: ModelDirectory, tmp_path: Path, kind: str
) -> None:
    code = (
        "import sys; from pathlib import Path; from core.model_directory import ModelDirectory;"
        "from worker.engine import load_engine; heavy = {'torch', 'transformers', 'onnxruntime', 'onnx', 'tokenizers'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules);"
        "model = ModelDirectory.load(sys.argv[1]);"
        "engine = load_engine(model, kind=sys.argv[2], threads=1, cache_dir=Path(sys.argv[3]), precision='float32');"
        "print(engine.runtime.name.split()[0], 'torch' in sys.modules)"
    )
    if runtime.cuda_is_there():
        pytest.skip("this machine has a CUDA device")
    command = [sys.executable, "-c", code, str(model.path), kind, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.stdout.split() == ["onnxruntime", "False"], done.stderr


@pytest.mark.parametrize(
    ("cpu_max", "expected"),
    [
        (None, 8),
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("9900000 100000", 8),
    ],
)
def test_available_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu_max: str | None, expected: int) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)), raising=False)
    if cpu_max is not None:
        folder = tmp_path / "sys/fs/cgroup"
        folder.mkdir(parents=True)
        (folder / "cpu.max").write_text(cpu_max + "\n")
    assert available_cores(tmp_path) == expected
