"""Arrays of numbers on their way into Postgres, in its binary form.

A chunk's result holds four arrays of up to a thousand numbers. As text each number is formatted here and parsed there,
which costs more than everything else about committing a chunk; in binary it is one copy.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import psycopg
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format


class _Array:
    """A one-dimensional array without NULLs, as a parameter of a statement; give it any sequence of numbers."""

    element: ClassVar[str]
    """numpy's name of an element's binary form."""
    element_oid: ClassVar[int]
    oid: ClassVar[int]

    __slots__ = ("_values",)

    def __init__(self, values: Sequence[int] | Sequence[float]) -> None:
        self._values = np.asarray(values, dtype=self.element)

    def binary(self) -> bytes:
        """Postgres' binary form: a head, then each element after its length in bytes."""
        n = len(self._values)
        if not n:
            return struct.pack(">iiI", 0, 0, self.element_oid)
        body = np.empty(n, dtype=[("length", ">i4"), ("value", self.element)])
        body["length"] = self._values.itemsize
        body["value"] = self._values
        return struct.pack(">iiIii", 1, 0, self.element_oid, n, 1) + body.tobytes()


class SmallInts(_Array):
    """``smallint[]``"""

    element, element_oid, oid = ">i2", 21, 1005
    __slots__ = ()


class Reals(_Array):
    """``real[]``"""

    element, element_oid, oid = ">f4", 700, 1021
    __slots__ = ()


def _register(kind: type[_Array]) -> None:
    class ArrayDumper(Dumper):
        format = Format.BINARY
        oid = kind.oid

        def dump(self, obj: _Array) -> Buffer:
            return obj.binary()

    psycopg.adapters.register_dumper(kind, ArrayDumper)


_register(SmallInts)
_register(Reals)
