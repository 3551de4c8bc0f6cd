"""Reading GoEmotions' format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.data import DataError, data_dir, gather, read_groups, read_labels, read_tsv


def test_rows_are_cut_at_line_feeds_and_tabs_only(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_bytes('"quoted, not CSV\t0,2\tid\nan old\u2028line\u0085end\t1\tid\r\n'.encode())
    rows = read_tsv(path, 3)
    assert rows.texts == ['"quoted, not CSV', "an old\u2028line\u0085end"]
    assert rows.gold.tolist() == [[1, 0, 1], [0, 1, 0]]
    assert len(rows.sha256) == 64


@pytest.mark.parametrize("line", ["no ids", "text\t", "text\t7", "text\t-1", "text\tjoy"])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "x.tsv"
    path.write_text(f"fine\t0\tid\n{line}\n")
    with pytest.raises(DataError, match="line 2"):
        read_tsv(path, 3)


def test_no_rows_and_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("\n")
    with pytest.raises(DataError, match="no rows"):
        read_tsv(tmp_path / "x.tsv", 3)
    with pytest.raises(DataError, match="cannot be read"):
        read_tsv(tmp_path / "y.tsv", 3)


def test_groups_add_neutral_last(data: Path) -> None:
    groups = read_groups(data, read_labels(data))
    assert list(groups["ekman"]) == ["anger", "fear", "joy", "surprise", "neutral"]
    assert groups["sentiment"] == {"positive": [2], "negative": [0, 1], "ambiguous": [3], "neutral": [4]}
    assert groups["goemotions"]["joy"] == [2]


def test_a_mapping_that_leaves_a_label_out_is_refused(data: Path) -> None:
    with pytest.raises(DataError, match="exactly once"):
        read_groups(data, (*read_labels(data), "pride"))


def test_gold_groups_are_unions() -> None:
    gold = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0]], np.int8)
    assert gather(gold, [(0, 1), (2,)]).tolist() == [[1, 0], [1, 1], [0, 0]]


def test_the_data_folder_comes_from_the_environment(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOBATCH_DATA", str(data))
    assert data_dir() == data
    monkeypatch.setenv("EMOBATCH_DATA", str(data / "nowhere"))
    with pytest.raises(DataError, match=r"labels\.txt"):
        data_dir()


def test_goemotions_itself_reads_in_full() -> None:
    try:
        folder = data_dir()
    except DataError:
        pytest.skip("GoEmotions is not beside this checkout")
    labels = read_labels(folder)
    assert (len(labels), labels[-1]) == (28, "neutral")
    assert len(read_tsv(folder / "train.tsv")) == 43410
    assert len(read_tsv(folder / "dev.tsv")) == 5426
    assert len(read_groups(folder, labels)["ekman"]) == 7
