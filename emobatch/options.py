"""Options that several commands share; each decorator gathers its own into one argument of the command."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, get_args

import click

from emobatch.connect import Where
from emobatch.job import Form, View
from emobatch.output import Output

Command = Callable[..., Any]

DASH = Path("-")
"""Stdin or stdout."""

output_option = click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Default: in this folder; - is stdout.",
)


def place_of(output: Path | None) -> Output:
    """Where the file of a command with `output_option` goes."""
    return Output(None if output == DASH else output or Path.cwd())


class Threshold(click.ParamType):
    """A number from 0 to 1, or ``auto``."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        """None for ``auto``."""
        if value == "auto":
            return None
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 <= number <= 1:
            self.fail(f"{value!r} is neither a number from 0 to 1 nor auto.", param, ctx)
        return number


def where_options(command: Command) -> Command:
    """``--server`` and ``--token``, as the argument `where`."""

    @click.option("--server", metavar="URL", envvar="EMOBATCH_SERVER", help="Default: the local stack.")
    @click.option("--token", envvar="EMOBATCH_TOKEN", help="Token or API key for the server.")
    @wraps(command)
    def gathered(*arguments: Any, server: str | None, token: str | None, **rest: Any) -> Any:
        return command(*arguments, where=Where(server, token), **rest)

    return gathered


def view_options(command: Command) -> Command:
    """How results are read, as the arguments `view` and `output_encoding`."""

    return click.option(
        "--output-encoding", type=click.Choice(["utf-8", "same"]), help="same: the input's own. Default: utf-8."
    )(label_options(command))


def download_words(view: View, form: Form, output_encoding: str | None, output: Output) -> list[str]:
    """The options of ``emobatch download`` that give a file as it was asked for, where it was asked for."""
    place = output.target
    threshold = None if view.threshold is None else repr(view.threshold)
    said = {
        "--taxonomy": view.taxonomy,
        "--threshold": threshold,
        "--scores": view.scores,
        "--output-encoding": output_encoding,
        "--format": form if form != checked_form(None, place, None) else None,
        "-o": str(place or DASH) if place != Path.cwd().resolve() else None,
    }
    return [word for name, value in said.items() if value is not None for word in (name, value)]


def label_options(command: Command) -> Command:
    """How labels are read, as the argument `view`."""

    @click.option("--taxonomy", metavar="NAME", help="ekman (default), goemotions, sentiment, or your own.")
    @click.option("--threshold", type=Threshold(), help="Score from which a label is said. Default: auto, as fitted.")
    @click.option("--scores", type=click.Choice(["none", "top", "all"]), help="all: of all 28 labels. Default: top.")
    @wraps(command)
    def gathered(
        *arguments: Any, taxonomy: str | None, threshold: float | None, scores: str | None, **rest: Any
    ) -> Any:
        return command(*arguments, view=View(taxonomy, threshold, scores), **rest)

    return gathered


def reading_options(command: Command) -> Command:
    """How to read the input, as the argument `reading`: keywords of `Client.create_job`; None is detected."""

    @click.option("--text-column", metavar="NAME|NUMBER", help="Column to label, by name or number from 1.")
    @click.option("--delimiter", metavar="C", help="One of , ; | \\t or tab; none: one column.")
    @click.option("--encoding", metavar="E", help="utf-8, utf-16, cp1252, shift_jis ...")
    @click.option("--header/--no-header", default=None, help="Whether the first line names the columns.")
    @click.option("--quoting/--no-quoting", default=None, help='Whether " encloses cells.')
    @click.option("--model", metavar="NAME[@VERSION]", help="Which model labels it; `emobatch models` lists them.")
    @click.option("--sheet", metavar="NAME|NUMBER", help="Of a workbook. Default: the first that has cells.")
    @click.option("--file-type", type=click.Choice(["csv", "jsonl", "parquet", "xlsx"]), help="Default: as it begins.")
    @wraps(command)
    def gathered(
        *arguments: Any,
        text_column: str | None,
        delimiter: str | None,
        encoding: str | None,
        header: bool | None,
        quoting: bool | None,
        model: str | None,
        sheet: str | None,
        file_type: str | None,
        **rest: Any,
    ) -> Any:
        reading = {
            "text_column": text_column,
            "delimiter": delimiter,
            "encoding": encoding,
            "header": header,
            "quoting": quoting,
            "model": model,
            "sheet": sheet,
            "file_type": file_type,
        }
        return command(*arguments, reading=reading, **rest)

    return gathered


def form_option(command: Command) -> Command:
    """``--format``, as the argument `form`: None where it is not said, see `form_of`."""
    forms = click.Choice(get_args(Form))
    return click.option("--format", "form", type=forms, help="Default: by the output's ending, else csv.")(command)


def checked_form(form: Form | None, output: Path | None, output_encoding: str | None) -> Form:
    """What file is wanted: the one that is said, else the one that the output's name ends in, else CSV.

    Raises:
        click.UsageError: an encoding was asked for, and only the exact CSV has one.
    """
    named = _ENDINGS.get(output.suffix.lower()) if output else None
    wanted: Form = form or named or "csv"
    if output_encoding and wanted != "csv":
        raise click.UsageError(f"The format {wanted} has one encoding: leave --output-encoding out.")
    return wanted


_ENDINGS: dict[str, Form] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".xlsx": "xlsx"}

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


def print_json(value: Any) -> None:
    """What a command with `json_option` prints."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
