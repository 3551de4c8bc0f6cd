"""A job's figures as Markdown: a summary to be pasted into a report."""

from __future__ import annotations

from collections.abc import Sequence

from core.figures import Figures
from core.figures.report import Example
from core.intervals import Share
from web.figure_charts import at_threshold, in_words

PAIRS = 10
EXAMPLES = 3
LONGEST = 200
"""Characters of a text that is quoted."""

METHOD = (
    "Shares are of the labelled rows, with Wilson's 95 % intervals. The intervals say how far chance in the choice of"
    " rows reaches; they know nothing of rows that are labelled wrongly."
)


def markdown(figures: Figures, filename: str, model_version: str) -> str:
    """The summary, as Markdown."""
    lines = [
        f"# Emotions in {_plain(filename)}",
        "",
        f"{figures.rows:,} labelled rows; labels of `{figures.taxonomy}`, said {at_threshold(figures.threshold)};"
        f" model {_plain(model_version)}. {METHOD}",
        "",
        "| label | most likely | said |",
        "|---|---|---|",
        *(f"| {_plain(one.label)} | {_share(one.top)} | {_share(one.said)} |" for one in figures.labels),
        f"| (none) | | {_share(figures.none)} |",
    ]
    if figures.sentiment:
        lines += ["", "| sentiment | rows |", "|---|---|"]
        lines += [f"| {_plain(label)} | {_share(share)} |" for label, share in figures.sentiment]
    if figures.by:
        by = figures.by
        title = by.column if by.unit == "value" else f"{by.unit} of {by.column}"
        lines += ["", f"## By {_plain(title)}", "", "Most likely label.", ""]
        lines += [f"| {_plain(title)} | rows | {' | '.join(_plain(one.label) for one in figures.labels)} |"]
        lines += ["|---|--:|" + "---|" * len(figures.labels)]
        lines += [
            f"| {_plain(group.name)} | {group.rows:,} | {' | '.join(in_words(one.top) for one in group.labels)} |"
            for group in by.groups
        ]
    if figures.together:
        lines += ["", "## Said together", "", "| labels | rows | times chance |", "|---|---|--:|"]
        lines += [
            f"| {_plain(' + '.join(pair.labels))} | {_share(pair.share)} | {pair.lift:.1f} |"
            for pair in figures.together[:PAIRS]
        ]
    for examples in figures.examples:
        if examples.typical:
            lines += ["", f"## {_plain(examples.label)}", "", "Typical rows:", "", *_rows(examples.typical)]
        if examples.uncertain:
            lines += ["", "Uncertain rows:", "", *_rows(examples.uncertain, second=True)]
    return "\n".join(lines) + "\n"


def _rows(rows: Sequence[Example], second: bool = False) -> list[str]:
    found = []
    for row in rows[:EXAMPLES]:
        said = f"{row.score:.2f}" + (f", {_plain(row.second)} {row.second_score:.2f}" if second else "")
        found.append(f"- “{_plain(_short(row.text or ''))}” (row {row.row}, {said})")
    return found


def _share(share: Share) -> str:
    return f"{share.count:,} · {in_words(share)}"


def _short(words: str) -> str:
    words = " ".join(words.split())
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1].rstrip()}…"


def _plain(words: str) -> str:
    """Words with what Markdown or HTML would take for markup made harmless."""
    words = " ".join(words.split())
    for sign in "\\`*_[]<>#|":
        words = words.replace(sign, f"\\{sign}")
    return words
