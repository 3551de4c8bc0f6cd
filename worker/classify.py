"""One chunk: read its bytes, score its texts, say what each row is. No transaction is open meanwhile.

Whatever one row does, the others get their labels: a batch that raises is tried row by row, and a chunk that killed a
child is classified one row at a time, each written down before it is tried.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import structlog

from core import flags
from core.errors import UploadDamaged
from core.failpoints import failpoint
from core.ledger import ChunkLease, ChunkResult
from core.model_directory import ModelDirectory
from core.states import RowFlag, RowStatus
from core.storage import Storage
from core.table import Format, RecordReader
from worker.engine import Pause, Scored, go_on
from worker.language import flag_of

log = structlog.get_logger(__name__)

UNREADABLE = "the model could not read this text"
"""Reason of a row whose text makes scoring raise, alone too."""


class Scorer(Protocol):
    """What classifying needs of an engine."""

    @property
    def name(self) -> str:
        """What computes the logits: see `worker.engine.Runtime`."""

    def prepare(self, texts: Sequence[str]) -> Any:
        """What `score` takes in place of texts, to save time; another thread may prepare while one scores."""

    def score(self, texts: Any, scope: bytes = b"", pause: Pause = ...) -> Scored:
        """Logits (n, 28) float16 and windows (n,) of texts; what it remembers, it remembers within `scope`."""


@dataclass
class Rows:
    """A chunk's rows as they are being filled in."""

    texts: list[str]
    flags: list[int]
    status: list[int]
    logits: np.ndarray
    """(n, 28) float16, NaN until scored."""
    detail: dict[str, Any]
    scope: bytes = b""
    """The job, as far as an engine's memory goes."""
    identical: int = 0

    @property
    def to_score(self) -> list[int]:
        """Indices of the rows with something to classify."""
        return [index for index, status in enumerate(self.status) if status == RowStatus.OK]

    def fail(self, index: int, reason: str) -> None:
        """This row will have no label, and here is why."""
        self.status[index] = RowStatus.FAILED
        self.detail[str(index)] = {"reason": reason}

    def put(self, indices: Sequence[int], scored: Scored) -> None:
        """Takes an engine's answer for the rows at `indices`."""
        self.logits[list(indices)] = scored.logits
        self.identical += int(scored.identical.sum())
        for index, windows in zip(indices, scored.windows.tolist(), strict=True):
            if windows > 1:
                self.flags[index] |= RowFlag.WINDOWED
                self.detail[str(index)] = {"windows": windows}


def read_rows(storage: Storage, lease: ChunkLease, *, max_text_chars: int, n_labels: int) -> Rows:
    """Reads a chunk's records and takes the text of each.

    Raises:
        UploadDamaged: the stored bytes are not the ones that were cut.
        Unavailable: the storage does not answer.
    """
    data = storage.read_range(lease.source.key, lease.byte_start, lease.byte_end - lease.byte_start)
    if zlib.crc32(data) != lease.crc:
        raise UploadDamaged(
            "The stored file has changed since it was uploaded.",
            next_step="Upload it again.",
            row=lease.first_row,
            line=lease.first_line,
        )
    found = Format.from_dict(lease.source.format)
    reader = RecordReader([data], found, offset=lease.byte_start, row=lease.first_row, line=lease.first_line)
    width, at = len(found.header), lease.source.text_index
    texts, found_flags = [], []
    for record in reader:
        cells = record.cells
        texts.append(cells[at] if at < len(cells) else "")
        found_flags.append(int(RowFlag.RAGGED if len(cells) != width else 0))
    if len(texts) != lease.n_rows:
        raise UploadDamaged(
            f"Chunk {lease.chunk_no} was cut as {lease.n_rows} rows and reads as {len(texts)}.",
            next_step="This is a fault of emobatch, not of the file: please report it.",
            row=lease.first_row,
            line=lease.first_line,
        )
    return rows_of(
        texts, before=found_flags, max_text_chars=max_text_chars, n_labels=n_labels, scope=lease.source.job_id.bytes
    )


def rows_of(
    texts: Sequence[str], *, max_text_chars: int, n_labels: int, scope: bytes, before: Sequence[int] | None = None
) -> Rows:
    """Texts as rows to be scored: stripped, capped, empty ones set apart, and what their words say of them noted.

    `before` are flags that the rows have already.
    """
    stripped = [text.strip() for text in texts]
    return Rows(
        texts=[text[:max_text_chars] for text in stripped],
        flags=[
            flag | flag_of(text) | (RowFlag.CAPPED.value if len(text) > max_text_chars else 0) if text else flag
            for text, flag in zip(stripped, before or [0] * len(texts), strict=True)
        ],
        status=[int(RowStatus.OK if text else RowStatus.EMPTY) for text in stripped],
        logits=np.full((len(texts), n_labels), np.nan, dtype="<f2"),
        detail={},
        scope=scope,
    )


@dataclass
class Together:
    """The rows of several chunks of one job, ready to be scored in one call."""

    parts: Sequence[Rows]
    to_score: list[list[int]]
    """For each part its rows with something to classify."""
    prepared: Any

    @classmethod
    def of(cls, parts: Sequence[Rows], engine: Scorer) -> Together:
        """Prepares them: another thread may do that while the engine scores."""
        to_score = [rows.to_score for rows in parts]
        texts: Any = [rows.texts[index] for rows, indices in zip(parts, to_score, strict=True) for index in indices]
        try:
            return cls(parts, to_score, engine.prepare(texts) if texts else None)
        except Exception as error:  # whatever a tokenizer raises: scoring will find out which row it is
            log.warning("batch could not be prepared", reason=type(error).__name__, rows=len(texts))
            return cls(parts, to_score, texts)


def score_together(together: Together, engine: Scorer, pause: Pause = go_on) -> None:
    """Scores all rows with text in one call; if that raises, chunk by chunk, then one by one: a row fails alone.

    `pause` is called between batches.
    """
    if together.prepared is None:
        return
    parts = together.parts
    try:
        scored = engine.score(together.prepared, parts[0].scope, pause)
    except Exception as error:  # whatever a runtime raises, it must cost one row and not the job
        log.warning("batch failed, trying smaller ones", reason=type(error).__name__, chunks=len(parts))
        for rows, indices in zip(parts, together.to_score, strict=True):
            if len(parts) > 1:
                score_rows(rows, engine)
            else:
                for index in indices:
                    _score_alone(rows, index, engine)
        return
    at = 0
    for rows, indices in zip(parts, together.to_score, strict=True):
        rows.put(indices, scored[at : at + len(indices)])
        at += len(indices)


def score_rows(rows: Rows, engine: Scorer) -> None:
    """The same for the rows of one chunk."""
    score_together(Together.of([rows], engine), engine)


def score_isolated(
    rows: Rows,
    engine: Scorer,
    *,
    condemned: dict[int, str],
    first_row: int,
    before_row: Callable[[int, str], None],
) -> None:
    """Scores row by row, each written down by `before_row(row_no, text)` first; condemned rows are not tried again."""
    for index in rows.to_score:
        row_no = first_row + index
        if row_no in condemned:
            rows.fail(index, condemned[row_no])
            continue
        before_row(row_no, rows.texts[index])
        failpoint("isolated")
        _score_alone(rows, index, engine)


def _score_alone(rows: Rows, index: int, engine: Scorer) -> None:
    try:
        rows.put([index], engine.score([rows.texts[index]], rows.scope))
    except Exception as error:  # as above: this row's fault, and nobody else's
        log.warning("row failed", reason=type(error).__name__)
        rows.fail(index, UNREADABLE)


def summarise(rows: Rows, model: ModelDirectory, runtime: str) -> ChunkResult:
    """What the ledger keeps of a chunk that `runtime` scored: logits, and what is counted from them, by label and by
    trust flag."""
    done = np.array(rows.to_score, dtype=np.int64)
    top_label = np.full(len(rows.texts), -1, dtype=np.int16)
    top_score = np.zeros(len(rows.texts), dtype=np.float32)
    counts: dict[str, dict[str, int]] = {}
    trust = flags.stored(rows.flags)
    for name, taxonomy in model.taxonomies.items():
        scores = taxonomy.scores(rows.logits[done])
        index, score = taxonomy.top(scores) if len(done) else (done, done)
        tally = np.bincount(index, minlength=len(taxonomy.labels))
        counts[name] = {label: int(n) for label, n in zip(taxonomy.labels, tally, strict=True) if n}
        if name == model.default_taxonomy:
            top_label[done] = index
            top_score[done] = score
            trust[done] |= flags.read_off(rows.logits[done], scores, model.trust, flags.neutral_of(model.labels))
    by_status = np.bincount(np.array(rows.status, dtype=np.int64), minlength=3)
    return ChunkResult(
        logits=np.ascontiguousarray(rows.logits, dtype="<f2").tobytes(),
        top_label=top_label.tolist(),
        top_score=top_score.tolist(),
        status=rows.status,
        flags=rows.flags,
        detail=rows.detail,
        label_counts=counts,
        flag_counts=flags.count(trust),
        runtime=runtime,
        rows_ok=int(by_status[RowStatus.OK]),
        rows_skipped=int(by_status[RowStatus.EMPTY]),
        rows_failed=int(by_status[RowStatus.FAILED]),
        rows_identical=rows.identical,
    )
