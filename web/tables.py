"""The table of rows as a page shows it: what an address asks for, the rows found, and the words around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from flask import Flask, Request
from werkzeug.datastructures import MultiDict

from core import flags
from core.errors import NotReady
from core.results import JobResults, Page, ResultOptions
from core.results.query import FLAGS
from web.auth import require_account
from web.row_schemas import RowsOptions
from web.schemas import YesNo, parse
from web.state import state

if TYPE_CHECKING:
    from web.pages import JobView

ROWS_A_PAGE = 25

SEARCH_S = 0.25
"""Rows found by a search appear at this pace: the page asks again until it is full."""

MOST_COLUMNS = 60
"""Columns of the file that are offered to be shown; a wider file is for a download."""

FLAG_MEANINGS = {
    "ragged": "more or fewer cells than the header",
    "windowed": "long: scored in windows",
    "capped": "cut: longer than is classified",
    **flags.MEANINGS,
}
"""Flags in words: of a row's record, then what speaks against its label."""

FILTERS = ("label", "listed", "status", "flag", "min_score", "max_score", "search")

SORTS = {
    "row": "in the file's order",
    "row-desc": "last rows first",
    "score": "highest score first",
    "score-asc": "lowest score first",
}


class TableOptions(RowsOptions):
    """Options of the table on a page."""

    paused: YesNo = "no"
    """Whether a search that is not done waits for somebody to go on with it."""
    words: YesNo = "no"
    """Whether a row's own page says which words mattered, for who has no scripts."""


def options_in(given: MultiDict[str, str]) -> TableOptions:
    """The options in an address. A form without a script says each chosen column by itself.

    Raises:
        BadOption: naming the first that is wrong.
    """
    columns = ",".join(value for value in given.getlist("columns") if value)
    return parse(TableOptions, given.to_dict() | {"columns": columns})


def options_shown(request: Request) -> TableOptions:
    """The options of the page that asks: for htmx those in the browser's address, where what is chosen in place stands.

    Raises:
        BadOption: naming the first that is wrong.
    """
    page = request.headers.get("HX-Current-URL")
    if page is None:
        return options_in(request.args)
    return options_in(MultiDict(parse_qsl(urlsplit(page).query, keep_blank_values=True)))


@dataclass(frozen=True)
class Table:
    """Some rows of a job, and what stands around them."""

    page: Page
    columns: list[str]
    """Of the file's own, those that are shown."""
    offered: list[tuple[int, str]]
    """Number and name of those that can be."""

    @classmethod
    def of(cls, view: JobView) -> Table | None:
        """The rows that a job's address asks for; None where there are none to read (yet).

        Raises:
            BadOption: an option is wrong.
        """
        found = open_job(view)
        if found is None:
            return None
        options = view.options
        page = found.page(
            options.query,
            limit=ROWS_A_PAGE,
            cursor=options.cursor,
            after_row=options.after,
            search_s=0.0 if options.paused == "yes" else SEARCH_S,
        )
        offered = [
            (number, name)
            for number, name in enumerate(found.columns()[: MOST_COLUMNS + 1], start=1)
            if number != found.text_column
        ]
        shown = found.columns(options.column_numbers) if options.columns else []
        return cls(page, shown, offered[:MOST_COLUMNS])

    @property
    def first(self) -> int:
        """Which of the rows found the page begins with, from 1."""
        return self.page.before + 1

    @property
    def last(self) -> int:
        """Which of the rows found it ends with."""
        return self.page.before + len(self.page.rows)

    @property
    def is_searching(self) -> bool:
        """Whether texts are left that the page may need."""
        return self.page.searched is not None and not self.page.searched.done


def open_job(view: JobView) -> JobResults | None:
    """A job's results, read as its address says; None where there are none (yet)."""
    chosen = ResultOptions.parse(view.options.taxonomy, view.options.threshold)
    try:
        return state().results.open(require_account(), view.status.id, chosen, partial=True)
    except NotReady:
        return None


def install(app: Flask) -> None:
    """Makes the words of the table known to templates."""
    app.jinja_env.globals.update(
        table_choices={
            "status": [("", "any"), ("ok", "labelled"), ("empty", "empty"), ("failed", "failed")],
            "flag": [("", "any"), *((name, FLAG_MEANINGS.get(name, name)) for name in FLAGS)],
            "sort": list(SORTS.items()),
        },
        filters_of=filters_of,
        no_filters=dict.fromkeys((*FILTERS, "whole_word", "cursor", "after", "paused")),
    )


def filters_of(options: RowsOptions) -> dict[str, Any]:
    """The filters in force, by name: what `no rows like that` may be due to."""
    return {name: value for name in FILTERS if (value := getattr(options, name)) is not None}
