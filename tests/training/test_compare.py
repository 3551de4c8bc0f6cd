"""Two models of different heads over one CSV: what each says, where they differ, and mistakes said plainly."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from transformers import DistilBertConfig, DistilBertForSequenceClassification, PreTrainedTokenizerFast  # noqa: E402

from core.model_directory import ModelDirectory  # noqa: E402
from core.taxonomy import sigmoid  # noqa: E402
from tests.training.conftest import LABELS, ROWS  # noqa: E402
from training import contender as opening  # noqa: E402
from training.compare import main, page, read_sheet  # noqa: E402
from training.contender import ContenderError, Labelmap, open_contender, over, read_labelmap  # noqa: E402
from training.evaluate import logits_of  # noqa: E402

TEXTS = [text for text, _ in ROWS]
THEIRS = ("Rage", "terror", "bliss", "calm")
MEANT = "".join(f'{a} = "{b}"\n' for a, b in zip(THEIRS, ("anger", "fear", "joy", "neutral"), strict=True))
MAP = f'activation = "softmax"\ntaxonomy = "ekman"\n[labels]\n{MEANT}'
NAME = "j-hartmann/emotion-english-distilroberta-base"


@pytest.fixture(scope="module")
def foreign(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transformers folder: softmax over four labels of other names, without surprise."""
    folder = tmp_path_factory.mktemp("foreign") / "their model"
    config = DistilBertConfig.from_pretrained(tiny_base)
    config.num_labels = len(THEIRS)
    config.id2label, config.label2id = dict(enumerate(THEIRS)), {label: i for i, label in enumerate(THEIRS)}
    torch.manual_seed(5)
    model = DistilBertForSequenceClassification(config)
    with torch.no_grad():
        model.classifier.weight.normal_(0, 2.0)
    model.save_pretrained(folder)
    PreTrainedTokenizerFast.from_pretrained(tiny_base).save_pretrained(folder)
    (folder / "map.toml").write_text(MAP)
    return folder


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "text", "label"])
        writer.writerows([n, text, "|".join(LABELS[i] for i in ids)] for n, (text, ids) in enumerate(ROWS))
    return path


def test_a_directory_scores_as_it_does_anywhere(tiny_model: Path) -> None:
    directory = ModelDirectory.load(tiny_model)
    said = open_contender(str(tiny_model))(TEXTS)
    expected = directory.taxonomies["ekman"].scores(logits_of(directory, TEXTS))
    assert said.scores == pytest.approx(expected, abs=5e-3)
    assert said.seconds > 0


def test_a_softmax_head_scores_as_transformers_does(foreign: Path) -> None:
    from transformers import pipeline

    contender = open_contender(str(foreign), "ekman", read_labelmap(foreign / "map.toml"))
    assert contender.labels == ("anger", "fear", "joy", "neutral")
    assert contender.name == "their model"
    said = contender(TEXTS)
    theirs = pipeline("text-classification", model=str(foreign), top_k=None)(TEXTS)
    for row, answers in zip(said.scores, theirs, strict=True):
        expected = {answer["label"]: answer["score"] for answer in answers}
        assert row == pytest.approx([expected[label] for label in THEIRS], abs=1e-5)
    assert said.scores.sum(axis=1) == pytest.approx(np.ones(len(TEXTS)))
    assert (said.said.sum(axis=1) == 1).all()


def test_labels_that_mean_one_are_joined(foreign: Path) -> None:
    meaning = {"Rage": "anger", "terror": "fear", "bliss": "joy", "calm": "joy"}
    soft = open_contender(str(foreign), "ekman", Labelmap("softmax", "ekman", meaning))(TEXTS[:3]).scores
    apart = open_contender(str(foreign), "ekman", read_labelmap(foreign / "map.toml"))(TEXTS[:3]).scores
    assert soft[:, 2] == pytest.approx(apart[:, 2] + apart[:, 3])
    one = Labelmap("sigmoid", "ekman", {label: label for label in THEIRS})
    p = open_contender(str(foreign), "ekman", one)(TEXTS[:3]).scores
    many = open_contender(str(foreign), "ekman", Labelmap("sigmoid", "ekman", meaning))(TEXTS[:3]).scores
    assert many[:, 2] == pytest.approx(1 - (1 - p[:, 2]) * (1 - p[:, 3]))
    assert ((p > 0) & (p < 1)).all()
    assert sigmoid(np.zeros(1)) == 0.5


def test_a_label_that_a_model_lacks_is_never_said(foreign: Path) -> None:
    contender = open_contender(str(foreign), "ekman", read_labelmap(foreign / "map.toml"))
    said = over(LABELS, contender, contender(TEXTS))
    assert said.scores.shape == (len(TEXTS), 5)
    assert not said.scores[:, LABELS.index("surprise")].any()
    assert not said.said[:, LABELS.index("surprise")].any()


def test_the_command_writes_page_and_rows(tiny_model: Path, foreign: Path, sheet: Path, tmp_path: Path) -> None:
    arguments = [str(tiny_model), str(foreign), "--labels-b", str(foreign / "map.toml"), "--data", str(sheet)]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "compare.json").read_text())
    with (tmp_path / "out" / "differences.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert found["rows"] == len(ROWS)
    assert found["different"] == len(rows) > 0
    assert found["agreement"] == pytest.approx(1 - len(rows) / len(ROWS))
    assert sum(map(sum, found["matrix"])) == len(ROWS)
    assert found["models"][1]["lacks"] == ["surprise"]
    assert found["models"][0]["figures"]["accuracy_single"][0] > found["models"][1]["figures"]["accuracy_single"][0]
    for row in rows:
        text, ids = ROWS[int(row["row"]) - 1]
        assert (row["text"], row["gold"]) == (text, "|".join(LABELS[i] for i in ids))
        assert row["a"] != row["b"]
    written = (tmp_path / "out" / "compare.md").read_text()
    assert "tiny 1" in written
    assert "their model" in written
    assert "softmax over 4" in written


def test_a_declared_set_is_compared_on_its_reporting_part(
    tiny_model: Path, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOBATCH_DATA", str(film.parent / next(film.parent.glob("data*")).name))
    assert main([str(tiny_model), str(tiny_model), "--domain", str(film), "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "compare.json").read_text())
    assert 0 < found["rows"] < 7
    assert (found["agreement"], found["different"]) == (1.0, 0)


def test_without_a_gold_column_there_are_no_figures(tiny_model: Path, sheet: Path, tmp_path: Path) -> None:
    arguments = [str(tiny_model), str(tiny_model), "--data", str(sheet), "--label-column", "none"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "compare.json").read_text())["models"][0]["figures"] is None


def test_markdown_in_a_text_stays_text() -> None:
    model = {
        "name": "m",
        "head": "h",
        "parameters": 1,
        "megabytes": 1,
        "rows_per_second": 1,
        "lacks": [],
        "figures": None,
    }
    found = {"rows": 1, "labels": ["a"], "agreement": 0.0, "kappa": 0.0, "different": 1, "matrix": [[0]]}
    written = page(found | {"models": [model, model]}, [["1", "a|b <img>\nc", "a", "0.5", "a", "0.5", ""]])
    assert "| 1 | a\\|b &lt;img> c | a |" in written


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--text-column", "body"], "no column 'body'"),
        (["--label-column", "id"], "data row 1"),
        (["--taxonomy", "colours"], "colours"),
        (["--labels-b", "nowhere.toml"], "label map"),
    ],
)
def test_a_mistake_is_said(
    tiny_model: Path, sheet: Path, extra: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tiny_model), str(tiny_model), "--data", str(sheet), *extra]) == 2
    assert message in capsys.readouterr().err


def test_undeclared_labels_are_refused(foreign: Path, tiny_model: Path, sheet: Path, capsys) -> None:
    assert main([str(tiny_model), str(foreign), "--data", str(sheet)]) == 2
    assert "label map" in capsys.readouterr().err
    with pytest.raises(ContenderError, match="calm"):
        open_contender(
            str(foreign), "ekman", Labelmap("softmax", "ekman", {"Rage": "anger", "terror": "x", "bliss": "y"})
        )


def test_without_a_network_the_hub_is_said_to_be_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_answer(*_: object, **__: object) -> None:
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(opening.HfApi, "model_info", no_answer)
    monkeypatch.setattr(opening, "try_to_load_from_cache", lambda *_: None)
    with pytest.raises(ContenderError, match="no network") as caught:
        open_contender(NAME)
    assert NAME in str(caught.value)
    assert "Download" in caught.value.next_step


def test_the_rival_s_labels_are_declared() -> None:
    known = opening._known(NAME)
    assert known is not None
    assert (known.activation, known.taxonomy) == ("softmax", "ekman")
    assert sorted(known.labels) == ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]


def test_an_empty_cell_is_a_text(sheet: Path) -> None:
    with sheet.open("a", newline="") as stream:
        csv.writer(stream).writerow([99, "", "joy"])
    assert read_sheet(sheet, LABELS, "text", "label").texts[-1] == ""
