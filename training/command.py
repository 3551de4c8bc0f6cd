"""What every command here does with an error that its user can mend: says it on stderr, without a stack trace."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import wraps

from core.errors import EmobatchError


def says_errors(main: Callable[..., int]) -> Callable[..., int]:
    """Exit code 2, and the error's own words, where `main` raises an EmobatchError."""

    @wraps(main)
    def said(arguments: Sequence[str] | None = None) -> int:
        try:
            return main(arguments)
        except EmobatchError as error:
            print(error, file=sys.stderr)
            return 2

    return said
