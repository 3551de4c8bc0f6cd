"""How right the labels of a job are, and what people say of its rows, from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from emobatch.connection import Connection, read
from emobatch.downloading import download
from emobatch.output import Output

Form = Literal["tsv", "csv", "toml"]


@dataclass(frozen=True)
class Share:
    """A share from 0 to 1 with its 95 % interval; no value where nothing was seen of it."""

    value: float | None
    low: float
    high: float


@dataclass(frozen=True)
class LabelReport:
    """One label: how much of it was said (exact), and how much of it there really is."""

    label: str
    said_share: float
    asked: int
    precision: Share
    recall: Share
    prevalence: Share


@dataclass(frozen=True)
class ReviewReport:
    """What the answers say of the file; `fields` keeps the whole answer, the trade of thresholds among it."""

    taxonomy: str
    rows: int
    asked: int
    accuracy: Share
    labels: tuple[LabelReport, ...]
    fields: Mapping[str, Any]

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> ReviewReport:
        """Reads ``GET /jobs/…/review/results``."""
        labels = tuple(
            LabelReport(
                label=one["label"],
                said_share=one["said_share"],
                asked=one["asked"],
                precision=Share(**one["precision"]),
                recall=Share(**one["recall"]),
                prevalence=Share(**one["prevalence"]),
            )
            for one in fields["labels"]
        )
        accuracy = Share(**fields["accuracy"])
        return cls(fields["taxonomy"], fields["rows"], fields["asked"], accuracy, labels, fields)


@dataclass(frozen=True)
class RowToLabel:
    """A row of a sample: what was said of it is told once it is answered."""

    row: int
    line: int
    text: str


@dataclass(frozen=True)
class RowCorrection:
    """What a person says of a row."""

    row: int
    labels: tuple[str, ...]
    given_in: str


class Reviews:
    """Samples and corrections of the jobs of one server: `emobatch.client.Client.reviews`.

    A `taxonomy` of None is the model's default. Every method raises as the client's do.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # --- samples ----------------------------------------------------------------------------------------------

    def draw(
        self, job_id: str, *, taxonomy: str | None = None, size: int | None = None, seed: int | None = None
    ) -> Mapping[str, Any]:
        """Draws a sample of rows to label, or a larger one; answers are kept. How far it is, as `progress`."""
        asked = {"taxonomy": taxonomy, "size": size, "seed": seed}
        given = {name: value for name, value in asked.items() if value is not None}
        return read(self._connection.repeat("POST", _path(job_id, "review"), json=given), dict)

    def progress(self, job_id: str, *, taxonomy: str | None = None) -> Mapping[str, Any]:
        """How far a sample is: rows answered, left, of each label. Raises NotFound if none was drawn."""
        return read(self._connection.repeat("GET", _path(job_id, "review"), params=_in(taxonomy)), dict)

    def next_rows(self, job_id: str, *, taxonomy: str | None = None, limit: int = 10) -> list[RowToLabel]:
        """The next rows to answer; none: the sample is done."""
        params = _in(taxonomy) | {"limit": str(limit)}
        response = self._connection.repeat("GET", _path(job_id, "review/rows"), params=params)
        return read(response, lambda page: [RowToLabel(**row) for row in page["rows"]])

    def answer(
        self,
        job_id: str,
        row: int,
        labels: Sequence[str] | Literal["unsure", "skipped"],
        *,
        taxonomy: str | None = None,
    ) -> Mapping[str, Any]:
        """Answers a row: its labels (none: an empty list), ``unsure`` or ``skipped``. What had been said comes back."""
        given = {"verdict": labels} if isinstance(labels, str) else {"labels": list(labels)}
        path = _path(job_id, f"review/rows/{row}")
        return read(self._connection.repeat("PUT", path, params=_in(taxonomy), json=given), dict)

    def take_back(self, job_id: str, row: int, *, taxonomy: str | None = None) -> None:
        """Makes a row unanswered again."""
        self._connection.remove(_path(job_id, f"review/rows/{row}"), params=_in(taxonomy))

    def remove(self, job_id: str, *, taxonomy: str | None = None) -> None:
        """Removes a sample; what was said of its rows stays among the corrections."""
        self._connection.remove(_path(job_id, "review"), params=_in(taxonomy))

    def report(self, job_id: str, *, taxonomy: str | None = None) -> ReviewReport:
        """What the answers so far say of the whole file."""
        response = self._connection.repeat("GET", _path(job_id, "review/results"), params=_in(taxonomy))
        return read(response, ReviewReport.from_dict)

    # --- corrections ------------------------------------------------------------------------------------------

    def correct(self, job_id: str, row: int, labels: Sequence[str], *, taxonomy: str | None = None) -> None:
        """Says what is true of a row, in place of what was said of it before."""
        path = _path(job_id, f"corrections/{row}")
        self._connection.repeat("PUT", path, params=_in(taxonomy), json={"labels": list(labels)})

    def withdraw(self, job_id: str, row: int, *, taxonomy: str | None = None) -> None:
        """Forgets what was said of a row."""
        self._connection.remove(_path(job_id, f"corrections/{row}"), params=_in(taxonomy))

    def corrections(self, job_id: str, *, taxonomy: str | None = None) -> list[RowCorrection]:
        """All corrections of a job in one taxonomy, in the file's order."""
        found: list[RowCorrection] = []
        params = _in(taxonomy) | {"limit": "1000"}
        while True:
            page = read(self._connection.repeat("GET", _path(job_id, "corrections"), params=params), dict)
            found += [RowCorrection(one["row"], tuple(one["labels"]), one["given_in"]) for one in page["corrections"]]
            if page["next"] is None:
                return found
            params["cursor"] = page["next"]

    def download_to(
        self, job_id: str, target: Path | Output, *, form: Form = "tsv", taxonomy: str | None = None
    ) -> Path | None:
        """Writes corrections as a training set, whole or not at all.

        Args:
            target: a file, or a folder, where it gets the server's name for it.
            form: ``tsv``, GoEmotions' format; ``csv``, texts and labels; ``toml``, the description of that CSV.

        Returns:
            Where the file is, or None if `target` is no place in the file system.
        """
        name = f"{job_id}.corrections.{form}"
        return download(self._connection, _path(job_id, f"corrections.{form}"), _in(taxonomy), target, name=name)


def _path(job_id: str, part: str) -> str:
    return f"/jobs/{quote(job_id, safe='')}/{part}"


def _in(taxonomy: str | None) -> dict[str, str]:
    return {} if taxonomy is None else {"taxonomy": taxonomy}
