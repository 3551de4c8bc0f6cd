"""Errors a user can cause, in one tree, so that every door (API, page, CLI, job record) says them alike.

Each error says what is wrong, where (data row and file line, column), and what to do next::

    EmobatchError
    ├── InputError               the file or the options are wrong
    │   ├── NotText                  a workbook, an image, an archive ...
    │   ├── NoRows                   nothing to label
    │   ├── NoTextColumn             no column of words, and none named
    │   ├── UnknownColumn            the named column is not there
    │   ├── UnknownSheet             the workbook has no such sheet
    │   ├── NoPreview                a kind of file that is looked at only once it is uploaded
    │   ├── EncodingFailed           bytes that the encoding does not allow
    │   ├── UnclosedQuote            end of file inside quotes
    │   ├── RecordTooLong            one record over the limit
    │   ├── BadOption                an option out of range
    │   ├── BadGzip                  a gzip file came damaged
    │   ├── ChecksumMismatch         bytes came with a checksum that is not theirs
    │   ├── ColumnsDiffer            fixed rows came back with other columns
    │   ├── NotAFailedRow            ... or a row that has not failed
    │   └── UploadDamaged            the bytes stored are not the bytes sent
    │       └── StorageMissing           ... they are not there at all
    ├── LimitExceeded            a size, count or rate over what is allowed
    │   └── TooMany                  a count or a rate: waiting helps, another file does not
    ├── NotFound                 no such thing, or not yours
    ├── NotReady                 it exists, but not yet in a state for this
    ├── Conflict                 the request collides with another
    │   ├── KeyInProgress            the same Idempotency-Key is being answered
    │   ├── KeyReused                the Idempotency-Key came with another body
    │   ├── WrongOffset              bytes for another place than the end of what is there
    │   └── Locked                   another request is writing to the same file
    ├── NotSignedIn              no valid token, key or session
    ├── NotAllowed               signed in, but not allowed to do this
    └── Unavailable              a part we depend on does not answer; try again
"""

from __future__ import annotations

from typing import Any


class EmobatchError(Exception):
    """Base of all errors that are shown to a user as they are.

    Args:
        what: one plain sentence: what is wrong.
        next_step: what the user can do about it.
        row: data row (records after the header, from 1).
        line: physical line of the file where that record starts, from 1.
        column: name or 1-based number of the column.
    """

    code = "error"

    def __init__(
        self,
        what: str,
        *,
        next_step: str = "",
        row: int | None = None,
        line: int | None = None,
        column: str | int | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step
        self.row = row
        self.line = line
        self.column = column

    @property
    def where(self) -> str:
        """The place in the user's file, in words: ``"data row 7 (file line 9), column 'text'"``, or ``""``."""
        parts = []
        if self.row is not None:
            parts.append(f"data row {self.row}" + (f" (file line {self.line})" if self.line is not None else ""))
        elif self.line is not None:
            parts.append(f"file line {self.line}")
        if self.column is not None:
            parts.append(f"column {self.column!r}")
        return ", ".join(parts)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} {self.next_step}".rstrip()

    def to_dict(self) -> dict[str, Any]:
        """The error as stored on a job and sent by the API; `from_dict` is its inverse."""
        fields = {
            "code": self.code,
            "what": self.what,
            "next_step": self.next_step,
            "row": self.row,
            "line": self.line,
            "column": self.column,
        }
        return {name: value for name, value in fields.items() if value not in (None, "")}

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> EmobatchError:
        """Rebuilds an error of the class named by ``code`` (an unknown code gives the base class)."""
        kind = _by_code(EmobatchError).get(fields.get("code", ""), EmobatchError)
        return kind(
            fields.get("what", "Something went wrong."),
            next_step=fields.get("next_step", ""),
            row=fields.get("row"),
            line=fields.get("line"),
            column=fields.get("column"),
        )


def _by_code(root: type[EmobatchError]) -> dict[str, type[EmobatchError]]:
    # A class without a code of its own is told apart by its server alone, and reads as what it is a kind of.
    found = {root.code: root} if "code" in vars(root) else {}
    for child in root.__subclasses__():
        found |= _by_code(child)
    return found


class InputError(EmobatchError):
    """The file or the options are wrong."""

    code = "input_error"


class TargetRefused(InputError):
    """An address that must not be called: no http, or inside a private network."""

    code = "target_refused"


class NotText(InputError):
    """The upload is not a text table: a workbook, an image, an archive."""

    code = "not_text"


class NoRows(InputError):
    """The upload holds no data row."""

    code = "no_rows"


class NoTextColumn(InputError):
    """No column of words was found and none was named."""

    code = "no_text_column"


class UnknownColumn(InputError):
    """The named text column is not in the header."""

    code = "unknown_column"


class UnknownSheet(InputError):
    """The named sheet is not in the workbook."""

    code = "unknown_sheet"


class NoPreview(InputError):
    """A kind of file whose beginning says too little: it is looked at once it is uploaded."""

    code = "no_preview"


class EncodingFailed(InputError):
    """Bytes that the encoding, detected or given, does not allow."""

    code = "encoding_failed"


class UnclosedQuote(InputError):
    """The file ends inside a quoted cell."""

    code = "unclosed_quote"


class RecordTooLong(InputError):
    """One record is longer than the limit."""

    code = "record_too_long"


class BadOption(InputError):
    """An option is unknown or out of range."""

    code = "bad_option"


class BadGzip(InputError):
    """A gzip file came damaged or cut off. Once it is stored, the same finding is `UploadDamaged`: ours."""

    code = "bad_gzip"


class ChecksumMismatch(InputError):
    """The bytes that came are not those that the sender made the checksum of."""

    code = "checksum_mismatch"


class ColumnsDiffer(InputError):
    """A file of fixed rows has not the columns of the file of failed rows."""

    code = "columns_differ"


class NotAFailedRow(InputError):
    """A file of fixed rows has a row that is none of the job's failed ones, or has it twice."""

    code = "not_a_failed_row"


class UploadDamaged(InputError):
    """The stored bytes are not the bytes that were sent."""

    code = "upload_damaged"


class StorageMissing(UploadDamaged):
    """Nothing is stored under the key: it was never committed, or it was deleted."""

    code = "storage_missing"


class LimitExceeded(EmobatchError):
    """A size, a count or a rate over what is allowed.

    Args:
        what, next_step, place: as of all errors.
        limit: the name of the limit, for programs.
    """

    code = "limit_exceeded"

    def __init__(self, what: str, *, limit: str = "", next_step: str = "", **place: Any) -> None:
        super().__init__(what, next_step=next_step, **place)
        self.limit = limit


class TooMany(LimitExceeded):
    """A limit on how many, or how often: waiting helps, another file does not."""

    code = "too_many"

    def __init__(self, what: str, *, retry_after_s: float = 1.0, **fields: Any) -> None:
        super().__init__(what, **fields)
        self.retry_after_s = retry_after_s


class NotFound(EmobatchError):
    """No such thing, or it belongs to another account: the two look alike."""

    code = "not_found"


class NotReady(EmobatchError):
    """The thing exists but is not yet in a state for this request."""

    code = "not_ready"


class Conflict(EmobatchError):
    """The request collides with another one."""

    code = "conflict"


class KeyInProgress(Conflict):
    """A request with the same Idempotency-Key is still being answered; ask again in a moment."""

    code = "idempotency_in_progress"


class KeyReused(Conflict):
    """The Idempotency-Key was used before with another request."""

    code = "idempotency_key_reused"


class WrongOffset(Conflict):
    """The bytes sent belong to another place than the end of those that are there."""

    code = "wrong_offset"


class Locked(Conflict):
    """Another request is writing to the same file; ask again in a moment."""

    code = "locked"


class NotSignedIn(EmobatchError):
    """No valid token, API key or session."""

    code = "not_signed_in"


class NotAllowed(EmobatchError):
    """Signed in, but the key's scope or the user's role does not allow this."""

    code = "not_allowed"


class Unavailable(EmobatchError):
    """Something we depend on does not answer at the moment; nothing is lost, try again."""

    code = "unavailable"
