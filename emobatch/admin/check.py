"""Whether everything that is kept is whole."""

from __future__ import annotations

import uuid
from dataclasses import asdict

import click

from core.integrity import check
from emobatch.admin.connection import installation, table
from emobatch.failure import ExitCode
from emobatch.options import json_option


@click.command("check")
@click.option("--job", type=click.UUID, help="Only this one and its file.")
@click.option("--contents", is_flag=True, help="Read every file and compare its checksum.")
@json_option
def check_all(job: uuid.UUID | None, contents: bool, as_json: bool) -> ExitCode:
    """Check that ledger, results and files agree; changes nothing. Exit code 1 if something is wrong."""
    with installation() as found:
        findings = list(check(found.db, found.storage, job, contents=contents))
    table([asdict(finding) for finding in findings], as_json)
    click.echo(f"{len(findings)} findings." if findings else "Everything agrees.", err=True)
    return ExitCode.FAILED if findings else ExitCode.DONE


COMMANDS = [check_all]
