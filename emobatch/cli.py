"""The command `emobatch`: a thin client of the REST API, and the way to start the local stack.

Stdout carries data only: the labelled file with ``-o -``, what `status` and `list` were asked for, and JSON with
``--json``. Everything else goes to stderr. `emobatch.failure.ExitCode` says what scripts may rely on.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from rich.console import Console

from core.errors import EmobatchError
from emobatch import failure, local, summary
from emobatch.connect import connect
from emobatch.failure import ExitCode
from emobatch.job import View
from emobatch.labelling import Interrupted, Labelling, label
from emobatch.output import Output
from emobatch.progress import Display

Command = TypeVar("Command", bound=Callable[..., Any])

STDIN = Path("-")
FILE = click.Path(path_type=Path)


class Threshold(click.ParamType[float | None]):
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


def server_options(command: Command) -> Command:
    """``--server`` and ``--token``."""
    for option in (
        click.option("--token", envvar="EMOBATCH_TOKEN", show_envvar=True, help="Token or API key for the server."),
        click.option(
            "--server", metavar="URL", envvar="EMOBATCH_SERVER", show_envvar=True, help="Default: the local stack."
        ),
    ):
        command = option(command)
    return command


def view_options(command: Command) -> Command:
    """How results are read."""
    for option in (
        click.option(
            "--output-encoding", type=click.Choice(["utf-8", "same"]), default="utf-8", help="same: the input's own."
        ),
        click.option(
            "--scores", type=click.Choice(["none", "top", "all"]), help="Which scores to add; all: the model's 28 too."
        ),
        click.option(
            "--threshold", type=Threshold(), help="Score from which a label is in `emotions`. Default: as fitted."
        ),
        click.option(
            "--taxonomy", type=click.Choice(["ekman", "goemotions", "sentiment"]), help="Labels to use. Default: ekman."
        ),
    ):
        command = option(command)
    return command


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


def _version() -> str:
    try:
        return version("emobatch")
    except PackageNotFoundError:
        return "(not installed)"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), message="emobatch %(version)s")
@click.option("--debug", is_flag=True, envvar="EMOBATCH_DEBUG", help="Show tracebacks.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Labels the texts in a CSV with emotions.

    Exit codes: 0 done and no row failed, 3 done but some rows failed, 2 a mistake in the file or the options, 1
    anything else.
    """
    context.obj = Display(Console(stderr=True))


@cli.command("label")
@click.argument("file", metavar="IN.csv", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "-o", "--output", metavar="OUT.csv", type=FILE, help="Default: IN.labelled.csv beside the input; - is stdout."
)
@click.option("--text-column", metavar="NAME|NUMBER", help="Column to label; its number counts from 1. Default: guess.")
@view_options
@click.option("--delimiter", metavar="C", help="One of , ; | tab (or any other character). Default: detect.")
@click.option("--encoding", metavar="E", help="utf-8, utf-16, cp1252, shift_jis ... Default: detect.")
@click.option("--header/--no-header", default=None, help="Whether the first line names the columns. Default: detect.")
@server_options
@as_json
@click.pass_obj
def label_command(
    display: Display,
    file: Path,
    output: Path | None,
    text_column: str | None,
    taxonomy: str | None,
    threshold: float | None,
    scores: str | None,
    output_encoding: str,
    delimiter: str | None,
    encoding: str | None,
    header: bool | None,
    server: str | None,
    token: str | None,
    as_json: bool,
) -> ExitCode:
    """Label a CSV (also .csv.gz; - is stdin): same rows, same order, every cell as it was, labels added."""
    if output is None:
        output = STDIN if file == STDIN else file.absolute().parent
    if as_json and output == STDIN:
        raise click.UsageError("--json and the labelled file cannot both go to stdout: name a file with -o.")
    place = Output(None if output == STDIN else output, keep=None if file == STDIN else file)
    place.check()
    reading = {
        "text_column": text_column,
        "delimiter": "none" if delimiter == "" else delimiter,
        "encoding": encoding,
        "header": header,
    }
    with ExitStack() as stack:
        source = _seekable(file, stack)
        filename = "stdin.csv" if file == STDIN else file.name
        task = Labelling(source, filename, place, reading, View(taxonomy, threshold, scores), output_encoding)
        client = stack.enter_context(connect(server, token, display, first=True))
        try:
            finished = label(client, task, display, lambda name, job: _command(name, job, server))
        except EmobatchError as error:
            display.say(failure.say(error, filename))
            return failure.exit_code(error)
        display.say("\n".join(finished.lines()))
        if as_json:
            _print_json(finished.to_dict())
    return ExitCode.ROWS_FAILED if finished.job.rows_failed else ExitCode.DONE


@cli.command()
@click.argument("job")
@server_options
@as_json
@click.pass_obj
def status(display: Display, job: str, server: str | None, token: str | None, as_json: bool) -> None:
    """Show how far a job is, and what it was told about its file."""
    with connect(server, token, display) as client:
        found = client.status(job)
    if as_json:
        _print_json(found.fields)
    else:
        click.echo("\n".join(summary.status_lines(found)))


@cli.command("list")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="At most so many.")
@server_options
@as_json
@click.pass_obj
def list_command(display: Display, limit: int, server: str | None, token: str | None, as_json: bool) -> None:
    """List jobs, newest first."""
    with connect(server, token, display) as client:
        page = client.jobs(limit=limit)
    if as_json:
        _print_json([job.fields for job in page.jobs])
        return
    click.echo("\n".join(summary.list_lines(page.jobs)))
    if page.next_before:
        display.say("There are older ones: raise --limit.")


@cli.command()
@click.argument("job")
@click.option(
    "-o", "--output", metavar="FILE", type=FILE, help="Default: named after the upload, in this folder; - is stdout."
)
@view_options
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("--partial", is_flag=True, help="Also while the job is running: the rows done so far.")
@server_options
@click.pass_obj
def download(
    display: Display,
    job: str,
    output: Path | None,
    taxonomy: str | None,
    threshold: float | None,
    scores: str | None,
    output_encoding: str,
    form: str,
    partial: bool,
    server: str | None,
    token: str | None,
) -> None:
    """Download a job's result, in any taxonomy: the model is not run again."""
    place = Output(None if output == STDIN else output or Path.cwd())
    place.check()
    with connect(server, token, display) as client, display.bytes("Receiving") as received:
        path = client.download_to(
            job,
            place,
            View(taxonomy, threshold, scores),
            form=form,  # type: ignore[arg-type]
            output_encoding=output_encoding if form == "csv" else None,  # type: ignore[arg-type]
            partial=partial,
            progress=received,
        )
    if path:
        display.say(f"Wrote {path}")


@cli.command()
@click.argument("job")
@server_options
@click.pass_obj
def cancel(display: Display, job: str, server: str | None, token: str | None) -> None:
    """Stop a job; what was labelled stays and can be downloaded."""
    with connect(server, token, display) as client:
        found = client.cancel(job)
    display.say("\n".join(summary.status_lines(found)))


@cli.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Of the web server. Default: a free one.")
@click.option("--workers", type=click.IntRange(1), help="Processes that classify. Default: 1, which uses all cores.")
def up(port: int | None, workers: int | None) -> ExitCode:
    """Start the local stack and print its address; Ctrl-C stops it."""
    local.check_installed()
    return ExitCode(local.serve(port, workers))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line, by default the process' own; returns the exit code. Never raises."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    display = Display(Console(stderr=True))
    try:
        with _terminable():
            return int(cli.main(words, prog_name="emobatch", standalone_mode=False) or ExitCode.DONE)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except EmobatchError as error:
        display.say(failure.say(error))
        return failure.exit_code(error)
    except Interrupted as interrupted:
        display.say(str(interrupted))
        return ExitCode.INTERRUPTED
    except (click.Abort, KeyboardInterrupt):
        display.say("Interrupted.")
        return ExitCode.INTERRUPTED
    except Exception as error:
        return _surprise(error, display, debug="--debug" in words or os.environ.get("EMOBATCH_DEBUG", "") not in ("", "0"))
