"""The command `emobatch`: a thin client of the REST API, and the way to start the local stack.

Stdout carries data only: the labelled file with ``-o -``, what `status` and `list` were asked for, and JSON with
``--json``. Everything else goes to stderr. `emobatch.failure.ExitCode` says what scripts may rely on.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO, Literal, NoReturn

import click
from rich.console import Console

from core.errors import EmobatchError
from emobatch import failure, local, summary, versions
from emobatch.check_commands import check, corrections
from emobatch.connect import Where
from emobatch.failed_commands import failed, send_back
from emobatch.failure import ExitCode
from emobatch.job import Form, View
from emobatch.labelling import Interrupted, Labelling, label
from emobatch.lazy import LazyGroup
from emobatch.options import (
    DASH,
    checked_form,
    form_option,
    json_option,
    output_option,
    place_of,
    print_json,
    reading_options,
    view_options,
    where_options,
)
from emobatch.output import Output
from emobatch.progress import Display
from emobatch.rows_command import rows_command
from emobatch.webhook_commands import webhooks

FILE = click.Path(path_type=Path)


def _version() -> str:
    try:
        return version("emobatch")
    except PackageNotFoundError:
        return "(run from its sources)"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), message="emobatch %(version)s")
@click.option("--debug", is_flag=True, help="Show tracebacks, as EMOBATCH_DEBUG=1 does.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Labels the texts in a CSV with emotions.

    Exit codes: 0 done and no row failed; 3 done, but some rows failed; 2 a mistake in the file or the options; 1
    anything else.
    """
    context.obj = Display(Console(stderr=True))


@cli.command("label", short_help="Label a CSV: same rows, same order, labels added.")
@click.argument("file", metavar="IN.csv", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("-o", "--output", metavar="OUT.csv", type=FILE, help="Default: beside IN.csv; - is stdout.")
@form_option
@reading_options
@view_options
@where_options
@json_option
@click.pass_obj
def label_command(
    display: Display,
    file: Path,
    output: Path | None,
    form: Form | None,
    reading: Mapping[str, Any],
    view: View,
    output_encoding: Literal["utf-8", "same"] | None,
    where: Where,
    as_json: bool,
) -> ExitCode:
    """Label a CSV (or .csv.gz; - is stdin): same rows, same order, every cell as it was, labels added.

    What is not said about the file is detected, and told at the end. With no --server, the local stack does the work;
    if none is running, one is started for this file.
    """
    to_stdout = output == DASH or (output is None and file == DASH)
    if as_json and to_stdout:
        raise click.UsageError("--json and the labelled file cannot both go to stdout: name a file with -o.")
    wanted = checked_form(form, output, output_encoding)
    place = Output(None if to_stdout else output or file.absolute().parent, keep=None if file == DASH else file)
    place.check()
    with _source(file) as source:
        filename = "stdin.csv" if file == DASH else file.name
        task = Labelling(source, filename, place, reading, view, output_encoding, wanted)
        with where.connect(display, first=True) as client:
            try:
                finished = label(client, task, display, where.command)
            except EmobatchError as error:
                display.say(failure.say(error, filename))
                return failure.exit_code(error)
            display.say("\n".join(finished.lines()))
    if as_json:
        print_json(finished.to_dict())
    return ExitCode.ROWS_FAILED if finished.job.rows_failed else ExitCode.DONE


@cli.command(short_help="Show how far a job is, and how its file was read.")
@click.argument("job")
@where_options
@json_option
@click.pass_obj
def status(display: Display, job: str, where: Where, as_json: bool) -> None:
    """Show how far a job is, and what its file was taken for."""
    with where.connect(display) as client:
        found = client.status(job)
    if as_json:
        print_json(dict(found.fields))
    else:
        click.echo("\n".join(summary.status_lines(found)))


@cli.command("list")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="At most so many.")
@where_options
@json_option
@click.pass_obj
def list_command(display: Display, limit: int, where: Where, as_json: bool) -> None:
    """List jobs, newest first."""
    with where.connect(display) as client:
        page = client.jobs(limit=limit)
    if as_json:
        print_json([dict(job.fields) for job in page.jobs])
        return
    click.echo("\n".join(summary.list_lines(page.jobs)))
    if page.next:
        display.say("There are older ones: raise --limit.")


@cli.command(short_help="Download a job's result, in any taxonomy.")
@click.argument("job")
@output_option
@form_option
@click.option("--partial", is_flag=True, help="Also while the job is running: the rows done so far.")
@click.option("--corrections", is_flag=True, help="With what people say of rows, as the last column.")
@view_options
@where_options
@click.pass_obj
def download(
    display: Display,
    job: str,
    output: Path | None,
    form: Form | None,
    view: View,
    output_encoding: Literal["utf-8", "same"] | None,
    where: Where,
    **more: bool,
) -> None:
    """Download a job's result, in any taxonomy: the model is not run again."""
    wanted = checked_form(form, output, output_encoding)
    place = place_of(output)
    place.check()
    with where.connect(display) as client, display.bytes("Receiving") as received:
        path = client.download_to(
            job, place, view, form=wanted, output_encoding=output_encoding, progress=received, **more
        )
    if path:
        display.say(f"Wrote {path}")


@cli.command()
@click.argument("job")
@where_options
@click.pass_obj
def cancel(display: Display, job: str, where: Where) -> None:
    """Stop a job; what was labelled stays and can be downloaded."""
    with where.connect(display) as client:
        found = client.cancel(job)
    display.say("\n".join(summary.status_lines(found)))


@cli.command(short_help="List model versions, and which can label now.")
@where_options
@json_option
@click.pass_obj
def models(display: Display, where: Where, as_json: bool) -> None:
    """List the model versions that there are, and which of them can label now."""
    with where.connect(display) as client:
        found = client.models()
    if as_json:
        print_json(list(found))
    else:
        click.echo("\n".join(versions.model_lines(found)))


@cli.command(short_help="Label a job's file again with another model.")
@click.argument("job")
@click.option("--model", metavar="NAME[@VERSION]", help="Default: the server's.")
@where_options
@json_option
@click.pass_obj
def again(display: Display, job: str, model: str | None, where: Where, as_json: bool) -> None:
    """Label a job's file again with another model, without sending it again; then see `compare`."""
    with where.connect(display) as client, display.rows() as show:
        found = client.wait(client.again(job, model).id, show)
    if as_json:
        print_json(dict(found.fields))
    else:
        click.echo("\n".join(summary.status_lines(found)))


@cli.command(short_help="Compare two jobs of one file.")
@click.argument("before")
@click.argument("after")
@click.option("--taxonomy", type=click.Choice(["ekman", "goemotions", "sentiment"]), help="Default: ekman.")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="Rows shown at most.")
@where_options
@json_option
@click.pass_obj
def compare(
    display: Display, before: str, after: str, taxonomy: str | None, limit: int, where: Where, as_json: bool
) -> None:
    """Compare two jobs of one file: how often their labels agree, and rows where they do not."""
    with where.connect(display) as client:
        found = client.compare(before, after, taxonomy=taxonomy, limit=limit)
    if as_json:
        print_json(dict(found))
    else:
        click.echo("\n".join(versions.comparison_lines(found)))


@cli.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Of the web server. Default: a free one.")
@click.option("--workers", type=click.IntRange(1), help="Processes that classify. Default: 1, on all cores.")
@click.option("--also-model", "also", multiple=True, metavar="NAME|FOLDER", help="One more model, to choose by job.")
def up(port: int | None, workers: int | None, also: tuple[str, ...]) -> ExitCode:
    """Start the local stack and print its address; Ctrl-C stops it."""
    local.check_installed()
    return ExitCode(local.serve(port, workers, also))


cli.add_command(LazyGroup("emobatch.admin", "admin", extra="core", short_help="Look after an installation."))
for _command in (rows_command, check, corrections, failed, send_back, webhooks):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line, by default the process' own, and returns its exit code."""
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
    except (click.Abort, KeyboardInterrupt) as error:
        display.say(" ".join(["Interrupted.", *getattr(error.__cause__ or error, "__notes__", ())]))
        return ExitCode.INTERRUPTED
    except Exception as error:
        if "--debug" in words or os.environ.get("EMOBATCH_DEBUG", "0") not in ("", "0"):
            raise
        display.say(failure.say_surprise(error))
        return ExitCode.FAILED


@contextmanager
def _source(file: Path) -> Iterator[Path | BinaryIO]:
    """What to send: a file as it is; stdin or a pipe by way of a temporary file, so that it can be sent again."""
    if file != DASH and file.is_file():
        yield file
        return
    with tempfile.TemporaryFile() as spooled:
        if file == DASH:
            shutil.copyfileobj(sys.stdin.buffer, spooled)
        else:
            with file.open("rb") as pipe:
                shutil.copyfileobj(pipe, spooled)
        spooled.seek(0)
        yield spooled


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends us as an exception does, so that a stack started for one file is stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(*_: object) -> NoReturn:
        sys.exit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    sys.exit(main())
