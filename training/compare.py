"""Two models over the same CSV: where they agree, how right each is, what each costs, and the rows that differ.

    python -m training.compare A B --data FILE.csv [--text-column text] [--label-column label] [--out DIR]
    python -m training.compare A j-hartmann/emotion-english-distilroberta-base --domain xed

A and B are model directories, transformers folders or hub names (see `training.contender`). Written are `compare.md`,
`differences.csv` (every row whose best label differs) and `compare.json`. With a column of gold labels each model gets
its figures with intervals; of a declared domain only the reporting part is looked at.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from core.errors import InputError, UnknownColumn
from training.command import says_errors
from training.contender import DECLARE, Contender, ContenderError, Said, open_contender, over, read_labelmap
from training.data import NEUTRAL, data_dir
from training.domain import FIGURES, figures_of, read_domain
from training.figures import with_intervals
from training.report_page import shown, table

SHOWN = 50  # differing rows on the page; the CSV has all of them


@dataclass(frozen=True)
class Sheet:
    """The rows both models read: their data row numbers, texts, and gold (n, k) over `labels` where there is one."""

    rows: list[int]
    texts: list[str]
    gold: NDArray[np.int8] | None


def read_sheet(path: Path, labels: Sequence[str], text: str, label: str, separator: str = "|") -> Sheet:
    """The rows of a CSV; gold where it has the column `label`, whose cells join labels with `separator`.

    Raises UnknownColumn or InputError naming row and column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            records = list(reader)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    header = reader.fieldnames or []
    if text not in header:
        raise UnknownColumn(f"{path.name} has no column {text!r}.", next_step=f"Its columns: {', '.join(header)}.")
    gold = np.zeros((len(records), len(labels)), np.int8) if label in header else None
    for number, record in enumerate(records, start=1):
        for name in (record[label] or "").split(separator) if gold is not None else []:
            if name not in labels:
                raise InputError(
                    f"The gold label {name!r} is none of {', '.join(labels)}.",
                    next_step="Name another --label-column, or a column that is not there to do without.",
                    row=number,
                    column=label,
                )
            assert gold is not None
            gold[number - 1, list(labels).index(name)] = 1
    return Sheet(list(range(1, len(records) + 1)), [record[text] or "" for record in records], gold)


def figures(said: Said, gold: NDArray[np.int8], labels: tuple[str, ...]) -> dict[str, Any]:
    """A model's figures with intervals on gold labels (n, k); without a neutral label only those that need none."""
    at = figures_of(said.best, said.said, said.scores, gold, labels)
    keys = FIGURES if NEUTRAL in labels else ("accuracy_single", "macro_f1")
    return with_intervals(at, len(gold), keys)


def compare(
    a: Contender, b: Contender, labels: tuple[str, ...], sheet: Sheet
) -> tuple[dict[str, Any], list[list[str]]]:
    """What there is to say, as JSON holds it, and the rows that differ: data row, text, label and score of each, gold.

    Args:
        labels: the labels both are compared in; a model that lacks one never says it.
    """
    heard = [over(labels, model, model(sheet.texts)) for model in (a, b)]
    first, second = (said.best for said in heard)
    models = [
        {
            "name": model.name,
            "head": model.head,
            "lacks": [label for label in labels if label not in model.labels],
            "parameters": model.parameters,
            "megabytes": round(model.megabytes, 1),
            "rows_per_second": round(len(sheet.texts) / said.seconds, 1),
            "best": {label: int((said.best == j).sum()) for j, label in enumerate(labels)},
            "figures": None if sheet.gold is None else figures(said, sheet.gold, labels),
        }
        for model, said in zip((a, b), heard, strict=True)
    ]
    matrix = np.zeros((len(labels),) * 2, np.int64)
    np.add.at(matrix, (first, second), 1)
    different = np.flatnonzero(first != second)
    found = {
        "rows": len(sheet.texts),
        "labels": list(labels),
        "agreement": float(np.mean(first == second)),
        "kappa": _kappa(first, second),
        "different": len(different),
        "matrix": matrix.tolist(),
        "models": models,
    }
    rows = []
    for i in sorted(different, key=lambda i: -min(said.scores[i].max() for said in heard)):  # both sure: first
        cells = [str(sheet.rows[i]), sheet.texts[i]]
        for said in heard:
            cells += [labels[said.best[i]], f"{said.scores[i].max():.3f}"]
        gold = "" if sheet.gold is None else "|".join(np.array(labels)[sheet.gold[i].astype(bool)])
        rows.append([*cells, gold])
    return found, rows


def _kappa(first: NDArray[np.int64], second: NDArray[np.int64]) -> float | None:
    """Cohen's kappa; None where both say one and the same label of all rows, and chance explains everything."""
    if len(set(first) | set(second)) < 2:
        return None
    return float(cohen_kappa_score(first, second))


HEADER = ["row", "text", "a", "a_score", "b", "b_score", "gold"]


def page(found: dict[str, Any], rows: Sequence[Sequence[str]]) -> str:
    """The comparison as Markdown; texts are shown as they are, save what Markdown would read as a table."""
    one, two = found["models"]
    labels = found["labels"]
    facts = [
        [key, *(str(model[key]) for model in (one, two))]
        for key in ("name", "head", "parameters", "megabytes", "rows_per_second")
    ]
    facts.append(["labels it lacks", *(", ".join(model["lacks"]) or "none" for model in (one, two))])
    parts = [
        f"# {one['name']} (a) and {two['name']} (b)",
        f"{found['rows']} rows. The best label is the same in **{found['agreement']:.1%}** of them (Cohen's kappa "
        f"{shown(found['kappa'] and [found['kappa']]) or 'undefined'}); {found['different']} differ.",
        table(["", "a", "b"], facts),
        "Speed is torch's in float32 on the machine this ran on, tokenizing included: the service's engine is faster.",
    ]
    if one["figures"]:
        keys = [key for key in one["figures"] if key != "n"]
        parts += ["## Against gold labels, with 95 % intervals"]
        parts += [table(["figure", "a", "b"], [[k, shown(one["figures"][k]), shown(two["figures"][k])] for k in keys])]
    parts += ["## What one says where the other says", table(["a \\ b", *labels], _counted(labels, found["matrix"]))]
    if rows:
        parts += [f"## Rows that differ: the {min(SHOWN, len(rows))} of which both are surest", _differing(rows)]
    return "\n\n".join(parts) + "\n"


def _counted(labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> list[list[str]]:
    return [[label, *map(str, counts)] for label, counts in zip(labels, matrix, strict=True)]


def _differing(rows: Sequence[Sequence[str]]) -> str:
    safe = [[" ".join(cell.replace("|", "\\|").replace("<", "&lt;").split()) for cell in row] for row in rows[:SHOWN]]
    return table(HEADER, safe)


def write(folder: Path, found: dict[str, Any], rows: Sequence[Sequence[str]]) -> Path:
    """Writes page, CSV and JSON into `folder`, and returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "differences.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([HEADER, *rows])
    (folder / "compare.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "compare.md").write_text(page(found, rows), encoding="utf-8")
    return folder / "compare.md"


@says_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.compare", description=__doc__.split("\n")[0])
    parser.add_argument("a", help="a model directory, a folder, or a hub name")
    parser.add_argument("b")
    parser.add_argument("--data", type=Path, help="a CSV")
    parser.add_argument("--domain", help="instead of a CSV: a declared set, as in training/domains/")
    parser.add_argument("--taxonomy", default="ekman", help="the labels to compare in (default: ekman)")
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--label-column", default="label", help="gold labels, joined by |; left out where not there")
    parser.add_argument("--labels-a", type=Path, help="what a's labels mean: a label map")
    parser.add_argument("--labels-b", type=Path, help="the same of b")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the page and the CSV (default: here)")
    options = parser.parse_args(arguments)
    maps = [path and read_labelmap(path) for path in (options.labels_a, options.labels_b)]
    a, b = (
        open_contender(name, options.taxonomy, known) for name, known in zip((options.a, options.b), maps, strict=True)
    )
    if not set(a.labels) & set(b.labels):
        raise ContenderError(f"{a.name} and {b.name} have no label in common.", next_step=DECLARE)
    labels = tuple(dict.fromkeys((*a.labels, *b.labels)))
    found, rows = compare(a, b, labels, _sheet(options, labels))
    print(write(options.out, found, rows))
    return 0


def _sheet(options: argparse.Namespace, labels: tuple[str, ...]) -> Sheet:
    if options.domain:
        domain = read_domain(options.domain, labels, data_dir().parent)
        kept = np.flatnonzero(~domain.choosing)
        return Sheet([int(i) + 1 for i in kept], [domain.texts[i] for i in kept], domain.gold[kept])
    if not options.data:
        raise ContenderError("There is nothing to compare on.", next_step="Name a CSV with --data, or a --domain.")
    return read_sheet(options.data, labels, options.text_column, options.label_column)


if __name__ == "__main__":
    raise SystemExit(main())
