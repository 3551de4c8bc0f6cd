"""Texts that are in memory already, labelled as a job: a DataFrame gets columns, a list of texts gets a list of labels.

Only the texts travel, numbered, as a CSV whose dialect is said, so that nothing about it has to be guessed; and the
answer is read line by line. What is held is the caller's data and the labels: never a request or an answer as a whole.
pandas is not needed here, and never imported: whoever has a DataFrame has imported it.
"""

from __future__ import annotations

import csv
import io
import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from core.errors import BadOption, EmobatchError, NoTextColumn, UnknownColumn
from emobatch.connection import read
from emobatch.errors import ServerFailed
from emobatch.job import Job, View
from emobatch.output import Output
from emobatch.query import given
from emobatch.rows import free_names
from emobatch.texts import TextLabels

if TYPE_CHECKING:
    import pandas

    from emobatch.client import Client

FILENAME = "texts.csv"
GUESSED_FROM = 200
"""Rows that the text column is guessed from."""

JOB_ATTRIBUTE = "emobatch_job"
"""Where a labelled DataFrame keeps the id of its job, in `DataFrame.attrs`."""

_HEADER = ("row", "text")
_OURS = {"row", "line", "text", "cells"}
"""What an answer repeats of the question."""

_READING = {"text_column": "text", "delimiter": ",", "encoding": "utf-8", "header": True, "quoting": True}

OnChange = Callable[[Job], None]


def is_frame(value: object) -> bool:
    """Whether it is a pandas DataFrame."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def label_frame(
    client: Client,
    frame: pandas.DataFrame,
    text_column: Any,
    view: View,
    *,
    model: str | None,
    on_change: OnChange | None,
) -> pandas.DataFrame:
    """A copy of a DataFrame with the label columns added; see `Client.label`."""
    pandas = sys.modules["pandas"]
    at = _text_column(client, frame, text_column)
    attributes = dict(frame.attrs)
    added: dict[str, list[Any]] = {}
    if len(frame):
        for row, (job_id, fields) in enumerate(
            _labelled(client, map(_text, frame.iloc[:, at]), view, model, on_change)
        ):
            attributes[JOB_ATTRIBUTE] = job_id
            for name, value in _cells(fields).items():
                column = added.setdefault(name, [None] * len(frame))  # a row that failed has no scores
                column[row] = value
    else:
        added = {name: [] for name in _cells(client.classify(["any"], view)[0].fields)}
    columns = pandas.DataFrame({name: _series(pandas, name, cells, frame.index) for name, cells in added.items()})
    names = free_names(added, [str(name) for name in frame.columns])
    levels = frame.columns.nlevels
    columns.columns = (
        pandas.MultiIndex.from_tuples([(name, *[""] * (levels - 1)) for name in names]) if levels > 1 else names
    )
    labelled = pandas.concat([frame, columns], axis=1)
    labelled.columns.names = frame.columns.names
    labelled.attrs = attributes
    return labelled


def _series(pandas: Any, name: str, cells: list[Any], index: Any) -> Any:
    if name.endswith("_score") or name.startswith("score_"):
        return pandas.Series(cells, index=index, dtype="float64")
    return pandas.Series(cells, index=index, dtype="object").infer_objects()


def label_texts(
    client: Client, texts: Iterable[str | None], view: View, *, model: str | None, on_change: OnChange | None
) -> list[TextLabels]:
    """What is said of each text, in their order; see `Client.label`."""
    texts = iter(texts)
    first = list(islice(texts, 1))
    if not first:
        return []
    every = (_text(text) for part in (first, texts) for text in part)
    said = _labelled(client, every, view, model, on_change)
    return [TextLabels.from_dict({n: fields[n] for n in fields if n not in _OURS}) for _, fields in said]


def label_path(
    client: Client,
    path: Path,
    output: Path | None,
    text_column: Any,
    view: View,
    *,
    model: str | None,
    on_change: OnChange | None,
) -> Path:
    """The labelled copy of a file; see `Client.label`."""
    target = Output(output or path.absolute().parent, keep=path)
    target.check()
    job = _finished(client, client.create_job(path, text_column=text_column, model=model).id, on_change)
    written = client.download_to(job.id, target, view)
    if written is None:
        raise BadOption(f"{output} is no file.", next_step="Name a file or a folder.")
    return written


def _labelled(
    client: Client, texts: Iterable[str], view: View, model: str | None, on_change: OnChange | None
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Sends texts, waits, and yields the job's id with what is said of each."""
    with tempfile.TemporaryFile() as file:
        sent = _write(texts, file)
        made = client.create_job(file, filename=FILENAME, model=model, **_READING)  # type: ignore[arg-type]
    job = _finished(client, made.id, on_change)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labelled.jsonl"
        client.download_to(job.id, path, view, form="jsonl")
        row = 0
        with path.open(encoding="utf-8", newline="\n") as lines:
            for row, line in enumerate(lines, 1):
                fields = json.loads(line)
                if fields["cells"]["row"] != str(row):
                    raise _out_of_step(sent, job.id)
                yield job.id, fields
        if row != sent:
            raise _out_of_step(sent, job.id)


def _finished(client: Client, job_id: str, on_change: OnChange | None) -> Job:
    """Waits for a job's end; who stops waiting wants its work stopped. Raises what `Job.with_result` does."""
    try:
        return client.wait(job_id, on_change).with_result()
    except KeyboardInterrupt:
        with suppress(EmobatchError):
            client.cancel(job_id)
        raise


def _out_of_step(sent: int, job_id: str) -> ServerFailed:
    return ServerFailed(f"The job {job_id} did not return the {sent:,} texts that were sent, in their order.")


def _write(texts: Iterable[str], file: BinaryIO) -> int:
    """Texts as a CSV, numbered from 1; how many. What is no Unicode (half a surrogate pair) is sent as ``?``."""
    out = io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(_HEADER)
    row = 0
    for row, text in enumerate(texts, 1):
        writer.writerow((row, text))
    out.detach().seek(0)
    return row


def _text(value: Any) -> str:
    """A cell as a text: what is missing (None, NaN, NA, NaT) is empty."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    pandas = sys.modules.get("pandas")
    if pandas is not None and (value is pandas.NA or value is pandas.NaT):
        return ""
    return str(value)


def _cells(fields: Mapping[str, Any]) -> dict[str, Any]:
    """One row's label columns, under the names and in the order that a CSV has them."""
    scores = fields.get("scores") or {}
    cells = {name: fields[name] for name in _COLUMNS if name in fields} | {
        f"score_{label}": score for label, score in scores.items()
    }
    return {name: "|".join(value) if isinstance(value, list) else value for name, value in cells.items()}


_COLUMNS = ("emotion", "emotion_score", "emotions", "sentiment", "sentiment_score", "row_status", "flags")


def _text_column(client: Client, frame: pandas.DataFrame, named: Any) -> int:
    """The place of the text column: the one that is named, the only one of texts, else as the server guesses of files.

    Raises:
        UnknownColumn: it is named, and is not there, or there several times.
        NoTextColumn: no column holds words.
    """
    names = list(frame.columns)
    if named is not None:
        places = [at for at, name in enumerate(names) if _same(name, named)]
        if len(places) != 1:
            how = "no column" if not places else f"{len(places)} columns"
            raise UnknownColumn(f"There is {how} {named!r}.", column=str(named), next_step=_listing(names))
        return places[0]
    texts = [at for at in range(len(names)) if _holds_texts(frame.iloc[:GUESSED_FROM, at])]
    if not texts:
        raise NoTextColumn("No column of texts was found.", next_step=f"Name it: text_column=. {_listing(names)}")
    if len(texts) == 1:
        return texts[0]
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow([str(names[at]) for at in texts])
    writer.writerows(
        [_text(value) for value in row] for row in frame.iloc[:GUESSED_FROM, texts].itertuples(index=False)
    )
    return texts[_guess(client, file.getvalue().encode(errors="replace"), names)]


def _same(name: Any, named: Any) -> bool:
    with suppress(Exception):  # names may be anything, also what cannot be compared
        return bool(name == named)
    return False


def _holds_texts(cells: pandas.Series) -> bool:
    kinds = {type(value) for value in cells if _text(value)}
    return kinds == {str} or (str in kinds and cells.dtype == object)


def _guess(client: Client, head: bytes, names: Sequence[Any]) -> int:
    options = given({"header": "yes", "delimiter": ",", "encoding": "utf-8", "quoting": "yes", "labels": "no"})
    answer = client._connection.repeat(
        "POST", "/preview", params=options, content=head, headers={"Content-Type": "text/csv"}
    )
    found = read(answer, lambda fields: fields["text_column"])
    if found is None:
        raise NoTextColumn("No column of words was found.", next_step=f"Name it: text_column=. {_listing(names)}")
    return int(found["index"])


def _listing(names: Sequence[Any]) -> str:
    shown = ", ".join(map(repr, names[:20]))
    return f"The columns are {shown}" + (f" and {len(names) - 20:,} more." if len(names) > 20 else ".")
