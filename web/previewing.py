"""The part of the upload page that shows a file before it is sent.

A script posts the file's first bytes and puts the answer into the page: what was detected, the first rows, problems, an
estimate. The rows' labels follow in a second answer, since a worker may take a moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apiflask import APIBlueprint
from flask import Flask, render_template, request

from core.errors import BadOption, EmobatchError, Unavailable
from core.preview import Preview, RowEstimate
from core.registry import version_of
from core.table import Record
from core.table.format import CSV
from web import forecast, problems
from web.auth import require_account
from web.forecast import SHOWN
from web.lane_schemas import PreviewOptions
from web.present import colours, facts_of
from web.schemas import parse
from web.state import state

previewing = APIBlueprint("previewing", __name__, enable_openapi=False)

COLUMNS_SHOWN = 12

MAX_LABELS_BODY = 1024 * 1024
"""The texts of a sample, each character of which a form may write as twelve bytes."""


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Attributes:
        index: its place in the file, from 0.
        name: as the header has it.
        option: what names it in the option `text_column`.
    """

    index: int
    name: str
    option: str


@dataclass(frozen=True)
class View:
    """A preview as the page shows it."""

    preview: Preview
    columns: list[Column]
    rows: list[Record]
    warnings: list[str]
    texts: list[str]

    @classmethod
    def of(cls, preview: Preview) -> View:
        """The first columns, and the one with the text wherever it is."""
        header = preview.format.header
        shown = set(range(min(COLUMNS_SHOWN, len(header))))
        if preview.text_column:
            shown.add(preview.text_column.index)
        return cls(
            preview=preview,
            columns=[Column(index, header[index], _option(header, index)) for index in sorted(shown)],
            rows=preview.records[:SHOWN],
            warnings=[str(warning) for warning in preview.warnings],
            texts=preview.texts()[: forecast.SAMPLE],
        )

    @property
    def hidden_columns(self) -> int:
        """Columns that are not shown."""
        return len(self.preview.format.header) - len(self.columns)

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What was detected, in words."""
        facts = facts_of(self.preview.format.to_dict())
        if self.preview.format.source != CSV:
            return facts
        quotes = "enclose cells" if self.preview.format.quoting else "are ordinary characters"
        return [*facts, ("Quotes", quotes)]


def install(app: Flask) -> None:
    """Adds the part to the app."""
    app.register_blueprint(previewing)


@previewing.before_request
def sign_in_first() -> None:
    """Before the body is read."""
    require_account()


@previewing.post("/preview")
def post_preview() -> Any:
    """The first bytes of a file: what they look like. A file that cannot be shown is told why, in the same place."""
    try:
        found = forecast.read_head(parse(PreviewOptions, request.args))
    except EmobatchError as error:
        return render_template("_preview.html", problem=problems.of_error(error))
    return render_template("_preview.html", view=View.of(found))


@previewing.post("/preview/labels")
def post_labels() -> Any:
    """The labels of the rows that are shown, from the texts that the page holds."""
    request.max_content_length = request.max_form_memory_size = MAX_LABELS_BODY
    texts = request.form.getlist("text")
    try:
        rows = RowEstimate(int(request.form["low"]), int(request.form["high"]))
    except (KeyError, ValueError) as error:
        raise BadOption("The form does not say how many rows there are.") from error
    model = version_of(state().model)
    try:
        said = forecast.label_texts(texts, rows, PreviewOptions())
    except Unavailable as error:
        return problems.ask_again(render_template("_preview_labels.html", missing=problems.of_error(error)))
    return render_template(
        "_preview_labels.html",
        results=said.results[:SHOWN],
        duration=said.duration,
        colours=colours(model, model.default_taxonomy),
    )


def _option(header: tuple[str, ...], index: int) -> str:
    """A column's name; its number where the name is blank, not its own, or would be read as another's number."""
    name = header[index]
    usable = name.isprintable() and name == name.strip() and len(name) <= 200
    return name if name and usable and header.index(name) == index else str(index + 1)
