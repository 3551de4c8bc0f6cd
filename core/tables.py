"""What all tables have in common: how constraints are named, and which Postgres type a Python type is."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Integer, LargeBinary, MetaData, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, REAL, UUID
from sqlalchemy.orm import DeclarativeBase


def one_of(column: str, values: Iterable[str]) -> str:
    """The condition of a check constraint: the column holds one of these."""
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


class Base(DeclarativeBase):
    """Constraints are named by convention (as in hypothesis/h), so that a migration can refer to them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix__%(column_0_label)s",
            "ck": "ck__%(table_name)s__%(constraint_name)s",
            "fk": "fk__%(table_name)s__%(column_0_name)s__%(referred_table_name)s",
            "pk": "pk__%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own protocol
        uuid.UUID: UUID(as_uuid=True),
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[dict[str, Any]]: JSONB,
        list[int]: ARRAY(SmallInteger),
        list[float]: ARRAY(REAL),
        str: Text,
        int: Integer,
        float: REAL,
        bytes: LargeBinary,
    }


NOW = text("now()")
NEW_ID = text("gen_random_uuid()")
