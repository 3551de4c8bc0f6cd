"""Corrections as labelled rows to train and to measure with, in the formats that `training` reads.

``tsv`` is GoEmotions' own: text, numbers of the labels joined by commas, an id; no header, no quoting. ``csv`` has the
columns text and label, as the sets under ``training/domains``; ``toml`` is the description that belongs to it there.
"""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterable, Iterator
from enum import StrEnum

from core.db import Database
from core.results import JobResults
from core.review.corrections import Given, list_corrections
from core.taxonomy import Taxonomy

SEPARATOR = "|"
BATCH = 500

_UNQUOTED = str.maketrans(dict.fromkeys("\t\r\n", " "))


class Form(StrEnum):
    """How corrections are written."""

    TSV = "tsv"
    CSV = "csv"
    TOML = "toml"


def training_set(
    db: Database, account_id: uuid.UUID, job_id: uuid.UUID, results: JobResults, taxonomy: Taxonomy, form: Form
) -> Iterator[bytes]:
    """The corrections of a job in one taxonomy, in the file's order, in blocks.

    A row of which none of the labels is true has no place in either format and is left out, as is one without text.

    Args:
        results: the job, opened for reading.

    Raises:
        NotFound: no such job.
        StorageMissing, Unavailable: as reading the job does.
    """
    if form is Form.TOML:
        yield description(taxonomy, file_stem(results)).encode()
        return
    if form is Form.CSV:
        yield b"text,label\r\n"
    after = 0
    while True:
        with db.transaction(account_id) as session:
            given = list_corrections(session, account_id, job_id, taxonomy=taxonomy.name, after=after, limit=BATCH)
        lines = "".join(_lines(job_id, results, taxonomy, form, given))
        if lines:
            yield lines.encode()
        if len(given) < BATCH:
            return
        after = given[-1].row


def _lines(
    job_id: uuid.UUID, results: JobResults, taxonomy: Taxonomy, form: Form, given: Iterable[Given]
) -> Iterator[str]:
    said = {one.row: one.labels for one in given if one.labels}
    for row in results.table.reader.read(sorted(said)):
        labels, words = said[row["row"]], row["text"].strip()
        if not words:
            continue
        if form is Form.TSV:
            numbers = ",".join(str(taxonomy.labels.index(label)) for label in labels)
            yield f"{words.translate(_UNQUOTED)}\t{numbers}\t{job_id.hex[:8]}-{row['row']}\n"
        else:
            buffer = io.StringIO(newline="")
            csv.writer(buffer).writerow([words, SEPARATOR.join(labels)])
            yield buffer.getvalue()


def file_stem(results: JobResults) -> str:
    """File name of an export, without its extension: ``reviews.corrections``."""
    return f"{results.stem.removesuffix('.labelled')}.corrections"


def description(taxonomy: Taxonomy, name: str) -> str:
    """The TOML that tells `training.domain` how to read the CSV of the same name."""

    def quoted(value: str) -> str:
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # a JSON string is a TOML string then

    lines = [
        f"name = {quoted(name)}",
        f"title = {quoted(f'Corrections of {name}')}",
        f"file = {quoted(f'{name}.csv')}",
        f"taxonomy = {quoted(taxonomy.name)}",
        f"separator = {quoted(SEPARATOR)}",
        "",
        "[labels]",
        *(f"{quoted(label)} = {quoted(label)}" for label in taxonomy.labels),
    ]
    return "\n".join(lines) + "\n"
