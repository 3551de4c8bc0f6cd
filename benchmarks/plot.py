"""One picture of the results: who is how fast, how near to the limit, and that nothing grows with the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.group import Group, Line

OURS, STUDENT, RIVAL, GOAL = "#3b6ea8", "#7aa6d8", "#b9b9b9", "#c0392b"
_SHARES = (
    ("b", "sgemm_share", "engine over best\nmatrix products"),
    ("c", "end_to_end_share", "end to end over\nengine alone"),
    ("e", "scaling", "two workers over\ntwice one"),
)


def draw(groups: Sequence[Group], facts: dict[str, Any], path: Path) -> bool:
    """Draws what has been measured into an SVG at `path`; False if there was nothing to draw."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "emobatch", "font.size": 9, "axes.spines.top": False}
    matplotlib.rcParams |= {"axes.spines.right": False, "axes.titlesize": 10, "axes.titlelocation": "left"}
    from matplotlib import pyplot

    by_letter = {group.letter: group for group in groups if not group.skipped}
    panels: list[Callable[[Any], None]] = []
    if "a" in by_letter:
        panels.append(lambda axes: _throughput(axes, by_letter["a"]))
    if shares := [(text, line) for letter, key, text in _SHARES if (line := _line(by_letter, letter, key))]:
        panels.append(lambda axes: _limits(axes, shares))
    if "d" in by_letter:
        panels += [lambda axes: _growth(axes, by_letter["d"]), lambda axes: _memory(axes, by_letter["d"])]
    if not panels:
        return False
    rows = -(-len(panels) // 2)
    figure, grid = pyplot.subplots(rows, min(2, len(panels)), figsize=(10, 3.4 * rows), squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        panel(axes)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    machine = facts["machine"]
    figure.suptitle(f"{machine['cpu']}, {machine['cores']} cores; medians, whiskers: lowest and highest", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return True


def _line(groups: dict[str, Group], letter: str, key: str) -> Line | None:
    return groups[letter].line(key) if letter in groups else None


def _throughput(axes: Any, group: Group) -> None:
    lines = [line for line in group.lines if line.unit == "rows/s"]
    lines.sort(key=lambda line: line.figure.median)
    colours = {"engine_rows_per_s": OURS, "exact_rows_per_s": OURS, "student_rows_per_s": STUDENT}
    names = [line.what.replace(", ", ",\n", 1) for line in lines]
    axes.barh(
        names,
        [line.figure.median for line in lines],
        xerr=_whiskers(lines),
        color=[colours.get(line.key, RIVAL) for line in lines],
        error_kw={"linewidth": 1},
    )
    axes.bar_label(axes.containers[-1], fmt="{:,.0f}", padding=6)
    axes.margins(x=0.15)
    axes.set_title("From CSV to labelled CSV, rows per second")


def _limits(axes: Any, shares: Sequence[tuple[str, Line]]) -> None:
    halves = [2 if line.key == "scaling" else 1 for _, line in shares]
    values = [line.figure.median / half for (_, line), half in zip(shares, halves, strict=True)]
    axes.bar([text for text, _ in shares], values, color=OURS, width=0.55)
    axes.bar_label(axes.containers[-1], fmt="{:.2f}", label_type="center", color="white")
    for place, ((_, line), half) in enumerate(zip(shares, halves, strict=True)):
        if line.target:
            axes.hlines(line.target.limit / half, place - 0.35, place + 0.35, color=GOAL, linewidth=1.5)
    axes.axhline(1, color="black", linewidth=0.8, linestyle=":")
    axes.set_ylim(0, 1.15)
    axes.set_title("How near to what is possible (red: target)")


def _growth(axes: Any, group: Group) -> None:
    points = group.series["rows_done"]
    axes.plot([t for t, _ in points], [n for _, n in points], color=OURS)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("seconds")
    axes.set_title("Rows done, null model")


def _memory(axes: Any, group: Group) -> None:
    samples = group.series["resident_mb"]
    kinds = sorted({kind for _, found in samples for kind in found} - {"supervisor"})
    for kind in kinds:
        series = [(t, found[kind]) for t, found in samples if kind in found]
        axes.plot([t for t, _ in series], [size for _, size in series], label=kind)
    axes.set_xlabel("seconds")
    axes.set_ylim(0, axes.get_ylim()[1] * 1.3)  # the legend has a place of its own
    axes.legend(fontsize=8, ncols=2)
    axes.set_title("Resident MB: upload, labelling, download")


def _whiskers(lines: Sequence[Line]) -> list[list[float]]:
    figures = [line.figure for line in lines]
    return [[f.median - f.low for f in figures], [f.high - f.median for f in figures]]
