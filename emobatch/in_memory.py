"""What `emobatch.Client` does with what a program holds: a DataFrame, texts, a path, labelled in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, overload

from core.errors import BadOption
from emobatch import frames
from emobatch.figures import VIEW
from emobatch.job import Job, View
from emobatch.texts import TextLabels

if TYPE_CHECKING:
    import pandas

    from emobatch.client import Client


class InMemory:
    """The part of a client that labels what it is handed, as a job, and waits for it."""

    @overload
    def label(
        self,
        source: Path,
        text_column: str | int | None = None,
        *,
        view: View = VIEW,
        output: Path | None = None,
        model: str | None = None,
        on_change: Callable[[Job], None] | None = None,
    ) -> Path: ...
    @overload
    def label(
        self,
        source: Iterable[str | None],
        *,
        view: View = VIEW,
        model: str | None = None,
        on_change: Callable[[Job], None] | None = None,
    ) -> list[TextLabels]: ...
    @overload
    def label(
        self,
        source: pandas.DataFrame,
        text_column: Hashable = None,
        *,
        view: View = VIEW,
        model: str | None = None,
        on_change: Callable[[Job], None] | None = None,
    ) -> pandas.DataFrame: ...
    def label(
        self,
        source: Any,
        text_column: Any = None,
        *,
        view: View = VIEW,
        output: Path | None = None,
        model: str | None = None,
        on_change: Callable[[Job], None] | None = None,
    ) -> Any:
        """Labels a DataFrame, a file or texts as a job, and returns when it is done.

        Args:
            source: a pandas DataFrame, whose labelled copy is returned: same index, same order, own columns as they
                were; the job's id is in ``attrs["emobatch_job"]``. A path, whose labelled copy is written beside it.
                Any other iterable of texts, also an endless number: what is said of each, in their order.
            text_column: of a DataFrame the column's label, of a file its name or number; by default guessed.
            view: taxonomy, threshold and scores.
            output: of a file: where its labelled copy goes.
            model: which model version labels it.
            on_change: is called with the job each time it is looked at.

        Raises:
            InputError: no column of texts, an unknown one, a wrong option, a text that is too long.
            JobStopped: somebody cancelled it.
        """
        client = cast("Client", self)
        if isinstance(source, str | bytes):
            raise BadOption(
                "A string may be a file's name or a text.", next_step="Give pathlib.Path(name), or a list of texts."
            )
        if isinstance(source, os.PathLike):
            path = Path(source)
            return frames.label_path(client, path, output, text_column, view, model=model, on_change=on_change)
        if output is not None:
            raise BadOption("An output is for a file that is labelled.", next_step="Leave it out.")
        if frames.is_frame(source):
            return frames.label_frame(client, source, text_column, view, model=model, on_change=on_change)
        if text_column is not None:
            raise BadOption("Texts have no columns.", next_step="Leave text_column out.")
        return frames.label_texts(client, source, view, model=model, on_change=on_change)
