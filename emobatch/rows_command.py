"""The command `emobatch rows`: rows of a job, found by what is said of them."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import click
from rich.console import Console

from emobatch.connect import Where
from emobatch.job import View
from emobatch.options import DASH, label_options, where_options
from emobatch.output import Output
from emobatch.progress import Display
from emobatch.rows import Row, RowFilter, table_of, write_csv, write_jsonl

LIMIT = 20


@click.command("rows", short_help="Show rows of a job by label, score or word.")
@click.argument("job")
@click.option("--label", help="Only rows whose top label this is, e.g. anger.")
@click.option("--listed", metavar="LABEL", help="Only rows of which this label is said: at or over its threshold.")
@click.option("--status", type=click.Choice(["ok", "empty", "failed"]))
@click.option("--flag", help="Only rows with this flag: ragged, windowed, capped, close, not_english ...")
@click.option("--min-score", type=click.FloatRange(0, 1), help="At least this score.")
@click.option("--max-score", type=click.FloatRange(0, 1), help="At most this score.")
@click.option("--search", metavar="WORDS", help="Only rows whose text holds this, upper or lower case alike.")
@click.option("--whole-word", is_flag=True, help="As a word of its own.")
@click.option("--sort", type=click.Choice(["row", "row-desc", "score", "score-asc"]), help="score: highest first.")
@click.option("--limit", type=click.IntRange(1), help=f"At most so many. Default: {LIMIT} at a terminal, else all.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="- is stdout.")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl", "table"]), help="Default: table at a terminal.")
@label_options
@where_options
@click.pass_obj
def rows_command(
    display: Display,
    job: str,
    limit: int | None,
    output: Path | None,
    form: str | None,
    view: View,
    where: Where,
    **filters: Any,
) -> None:
    """Show rows of a job: those with a label, a score, a word in their text; the surest first, or the least sure.

    At a terminal a table; into a file or a pipe a CSV with your own columns.
    """
    to_file = output is not None and output != DASH
    form = form or ("table" if not to_file and output is None and sys.stdout.isatty() else "csv")
    if form == "table" and to_file:
        raise click.UsageError("A table is for a terminal: use --format csv or jsonl with -o.")
    limit = limit or (LIMIT if form == "table" else None)
    place = Output(output if to_file else None)
    place.check()
    with where.connect(display) as client:
        found = islice(client.each_row(job, view, RowFilter(**filters), limit=limit), limit)
        if form == "table":
            _show(display, list(found), limit)
            return
        with place.open() as file:
            text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
            _write(found, text, form)
            text.detach()
            path = place.settle(f"rows.{form}")
    if path:
        display.say(f"Wrote {path}")


def _write(rows: Iterator[Row], file: TextIO, form: str) -> None:
    if form == "jsonl":
        write_jsonl(rows, file)
    else:
        write_csv(rows, file)


def _show(display: Display, rows: list[Row], limit: int | None) -> None:
    if not rows:
        display.say("No row like that.")
        return
    Console().print(table_of(rows))
    if len(rows) == limit:
        display.say("There may be more: raise --limit, or write all of them with -o FILE.")
