"""The plots of records and reports, as SVG that diffs: no date, no random ids, text as text.

matplotlib is imported where it draws and without a screen. Colours are those of Okabe & Ito (2008), which readers with
any kind of colour vision can tell apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


@contextmanager
def figure(path: Path, columns: int = 1, rows: int = 1, size: tuple[float, float] = (5.0, 3.6)) -> Iterator[Any]:
    """Axes (one, or an array of rows × columns) whose figure is saved at `path` when the block ends; `size` of each."""
    import matplotlib

    style: dict[Any, Any] = {
        "svg.hashsalt": "emobatch",
        "svg.fonttype": "none",
        "font.size": 9,
        "axes.spines.top": False,
    }
    style |= {"axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3, "figure.facecolor": "white"}
    with matplotlib.rc_context(style):
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        drawn = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
        FigureCanvasSVG(drawn)
        yield drawn.subplots(rows, columns)
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(path, format="svg", metadata={"Date": None})


def learning_curves(path: Path, curves: Mapping[str, Sequence[Mapping[str, float]]], note: str = "") -> None:
    """Loss and macro-F1 by epoch, one colour a run; `curves` as `records.epochs_of` gives them."""
    with figure(path, columns=2) as (left, right):
        for (name, epochs), colour in zip(curves.items(), _colours(len(curves)), strict=True):
            at = [row["epoch"] for row in epochs]
            seen = [(row["epoch"], row["train_loss"]) for row in epochs if "train_loss" in row]
            left.plot(*zip(*seen, strict=True), "--", color=colour) if seen else None
            left.plot(at, [row["dev_loss"] for row in epochs], "-o", ms=3, color=colour, label=name)
            right.plot(at, [row["macro_f1"] for row in epochs], "-o", ms=3, color=colour, label=name)
        left.set(xlabel="epoch", ylabel="loss", title="loss on dev (solid) and on train (dashed)")
        right.set(xlabel="epoch", ylabel="macro-F1", title=note or "macro-F1 on dev, all labels at 0.3")
        left.legend(fontsize=7)


def confusion(path: Path, matrix: NDArray[np.int64], labels: Sequence[str], title: str) -> None:
    """A confusion matrix (k, k), gold by rows; colour is the share of the row, the number the count."""
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    with figure(path, size=(1.6 + 0.62 * len(labels), 1.2 + 0.55 * len(labels))) as axes:
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.grid(False)
        axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
        axes.set_yticks(range(len(labels)), labels)
        axes.set(xlabel="said", ylabel="gold", title=title)
        for i, j in np.ndindex(matrix.shape):
            colour = "white" if share[i, j] > 0.55 else "black"
            axes.text(j, i, f"{matrix[i, j]}", ha="center", va="center", color=colour, fontsize=8)


def reliability(path: Path, score: NDArray[np.float64], right: NDArray[np.bool_], bins: int, title: str) -> None:
    """How often the best label is right against its score, in bins of equal count; bars are ±2 standard errors."""
    order = np.argsort(score, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    said = np.array([score[part].mean() for part in parts])
    found = np.array([right[part].mean() for part in parts])
    error = np.array([2 * np.sqrt(max(f * (1 - f), 1e-9) / len(p)) for f, p in zip(found, parts, strict=True)])
    with figure(path, size=(4.4, 4.0)) as axes:
        axes.plot([0, 1], [0, 1], color="grey", lw=1)
        axes.errorbar(said, found, yerr=error, fmt="o", ms=4, color=COLOURS[0], ecolor="#9ecae1", capsize=2)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="score of the best label", ylabel="share that is right", title=title)


def precision_recall(
    path: Path, scores: NDArray[np.float64], gold: NDArray[np.int8], labels: Sequence[str], title: str
) -> None:
    """One precision–recall curve a label, with its average precision: scores and gold (n, k)."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    with figure(path, size=(5.6, 4.2)) as axes:
        for j, colour in zip(range(len(labels)), _colours(len(labels)), strict=True):
            if not gold[:, j].any():
                continue
            precision, recall, _ = precision_recall_curve(gold[:, j], scores[:, j])
            step = max(1, len(recall) // 400)  # a page needs no more points than that
            area = average_precision_score(gold[:, j], scores[:, j])
            axes.plot(recall[::step], precision[::step], color=colour, lw=1.3, label=f"{labels[j]} {area:.2f}")
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="recall", ylabel="precision", title=title)
        axes.legend(fontsize=7, title="average precision", title_fontsize=7)


def intervals(path: Path, rows: Sequence[tuple[str, float, float, float]], title: str, xlabel: str) -> None:
    """Values with their intervals, one line each from top to bottom: (name, value, low, high)."""
    with figure(path, size=(5.6, 0.8 + 0.32 * len(rows))) as axes:
        at = np.arange(len(rows))[::-1]
        value = np.array([row[1] for row in rows])
        low = value - np.array([row[2] for row in rows])
        high = np.array([row[3] for row in rows]) - value
        axes.errorbar(value, at, xerr=[np.maximum(low, 0), np.maximum(high, 0)], fmt="o", color=COLOURS[0], capsize=3)
        axes.set_yticks(at, [row[0] for row in rows])
        axes.set(title=title, xlabel=xlabel)


def bars(path: Path, values: Mapping[str, float], title: str, xlabel: str) -> None:
    """Named values as horizontal bars, the largest on top."""
    ranked = sorted(values.items(), key=lambda item: item[1])
    with figure(path, size=(5.6, 0.8 + 0.32 * len(ranked))) as axes:
        axes.barh([name for name, _ in ranked], [value for _, value in ranked], color=COLOURS[0])
        axes.set(title=title, xlabel=xlabel)


def lines(path: Path, x: Sequence[float], curves: Mapping[str, Sequence[float]], xlabel: str, ylabel: str) -> None:
    """Named curves over the same x."""
    with figure(path) as axes:
        for (name, values), colour in zip(curves.items(), _colours(len(curves)), strict=True):
            axes.plot(x, values, "-o", ms=3, color=colour, label=name)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.legend(fontsize=7)


def _colours(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]
