"""The commands about rows that failed: `emobatch failed` fetches them, `emobatch send-back` has them labelled anew."""

from __future__ import annotations

from pathlib import Path

import click

from emobatch import summary
from emobatch.connect import Where
from emobatch.failure import ExitCode
from emobatch.labelling import Interrupted
from emobatch.options import json_option, output_option, place_of, print_json, where_options
from emobatch.progress import Display


@click.command()
@click.argument("job")
@output_option
@where_options
@click.pass_obj
def failed(display: Display, job: str, output: Path | None, where: Where) -> None:
    """Download the failed rows alone, to fix them.

    A CSV with the number of each row, why it failed, and your columns. Fix it, then `send-back` it.
    """
    place = place_of(output)
    place.check()
    with where.connect(display) as client, display.bytes("Receiving") as received:
        path = client.failed_to(job, place, progress=received)
    if path:
        display.say(f"Wrote {path}")
        display.say(f"Correct the texts, keep the numbers, then: {where.command('send-back', job, str(path))}")


@click.command("send-back")
@click.argument("job")
@click.argument("file", metavar="FIXED.csv", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--encoding", metavar="E", help="utf-8, utf-16, cp1252, shift_jis ... Default: as detected.")
@where_options
@json_option
@click.pass_obj
def send_back(display: Display, job: str, file: Path, encoding: str | None, where: Where, as_json: bool) -> ExitCode:
    """Send fixed rows back, to be labelled anew.

    The file is what `failed` wrote, fixed; rows may be left out, their numbers must stay. Labelled, they stand in the
    places of the failed ones in JOB, in all that is downloaded from then on.
    """
    with where.connect(display) as client:
        with display.bytes("Sending") as sent:
            fixed = client.send_back(job, file, encoding=encoding, progress=sent)
        try:
            with display.rows() as show:
                client.wait(fixed.id, show).with_result()
        except KeyboardInterrupt:
            seen = where.command("status", fixed.id)
            raise Interrupted(f"Interrupted. The rows were sent and are labelled all the same: {seen}") from None
        mended = client.status(job)
    if as_json:
        print_json(dict(mended.fields))
    else:
        click.echo("\n".join(summary.status_lines(mended)))
    display.say(f"The whole file, with the fixed rows: {where.command('download', job)}")
    return ExitCode.ROWS_FAILED if mended.rows_failed else ExitCode.DONE
