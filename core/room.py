"""How many unfinished jobs an account may have at once: asked before a job is made, whichever way it comes."""

from __future__ import annotations

import uuid

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import TooMany
from core.models import Job
from core.states import ACTIVE_JOB_STATES


def check_room(session: Session, account_id: uuid.UUID, most: int) -> None:
    """Refuses another job when the account has `most` unfinished ones.

    Raises:
        TooMany: with what to do about it.
    """
    active = session.execute(
        select(func.count())
        .select_from(Job)
        .where(Job.account_id == account_id, Job.state.in_(ACTIVE_JOB_STATES), Job.deleted_at.is_(None))
    ).scalar_one()
    if active >= most:
        raise TooMany(
            f"There are {active} unfinished jobs, as many as are allowed.",
            next_step="Wait for one to finish, or cancel one.",
        )
