"""The commands about how right a job is: its figures, and what people said of its rows as a training set."""

from __future__ import annotations

from pathlib import Path

import click

from emobatch.connect import Where
from emobatch.options import json_option, output_option, place_of, print_json, where_options
from emobatch.progress import Display
from emobatch.reviews import Form, ReviewReport, Share

taxonomy_option = click.option("--taxonomy", metavar="NAME", help="ekman, goemotions, sentiment ... Default: ekman.")


@click.command(short_help="Show how right the labels are on this file.")
@click.argument("job")
@taxonomy_option
@where_options
@json_option
@click.pass_obj
def check(display: Display, job: str, taxonomy: str | None, where: Where, as_json: bool) -> None:
    """Show how right the labels are on this file, from the rows that were labelled on the job's page."""
    with where.connect(display) as client:
        found = client.reviews.report(job, taxonomy=taxonomy)
    if as_json:
        print_json(dict(found.fields))
    else:
        click.echo("\n".join(report_lines(found)))


@click.command(short_help="Download what people said of a job's rows.")
@click.argument("job")
@output_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["tsv", "csv", "toml"]),
    default="tsv",
    show_default=True,
    help="tsv: GoEmotions' format; csv: texts and labels; toml: the description of that csv.",
)
@taxonomy_option
@where_options
@click.pass_obj
def corrections(
    display: Display, job: str, output: Path | None, form: Form, taxonomy: str | None, where: Where
) -> None:
    """Download what people said of a job's rows, as a set to train and to measure with."""
    place = place_of(output)
    place.check()
    with where.connect(display) as client:
        path = client.reviews.download_to(job, place, form=form, taxonomy=taxonomy)
    if path:
        display.say(f"Wrote {path}")


def report_lines(found: ReviewReport) -> list[str]:
    """The figures as a table of words."""
    head = f"{'label':<16}{'said':>8}  {'really':<18}{'precision':<18}{'recall':<18}{'answers':>7}"
    rows = [
        f"{one.label:<16}{100 * one.said_share:>6.1f} %  {_share(one.prevalence):<18}{_share(one.precision):<18}"
        f"{_share(one.recall):<18}{one.asked:>7}"
        for one in found.labels
    ]
    return [
        f"{_share(found.accuracy)} of {found.rows:,} rows have the right label ({found.asked} answers, 95 % intervals)",
        "",
        head,
        *rows,
    ]


def _share(one: Share) -> str:
    if one.value is None:
        return "-"
    return f"{100 * one.value:.1f} % ({100 * one.low:.0f}-{100 * one.high:.0f})"
