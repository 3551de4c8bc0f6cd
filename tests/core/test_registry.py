"""core.registry: which versions there are, which can be had, and what a job that names one gets."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from core import registry
from core.errors import BadOption
from core.states import JobState
from tests.fakes import NullScorer
from tests.fixtures import Installation
from tests.versions import OtherScorer, come_alive, of_other, other_model

FILE = b"id,text\n1,good\n2,moved on\n"


def test_known_versions_say_who_holds_them(installation: Installation):
    other = other_model(installation.model)
    come_alive(installation.db, installation.model, "w1", 2)
    come_alive(installation.db, installation.model, "w2", 3)
    come_alive(installation.db, other, "w3", 1)
    with installation.db.transaction() as session:
        session.execute(text("UPDATE worker SET heartbeat = now() - interval '1 minute' WHERE id = 'w3'"))
    with installation.web_db.transaction() as session:
        found = {model.full_name: (model.workers, model.slots) for model in registry.known_models(session)}
    assert found == {f"{installation.model.name}@{installation.model.version}": (2, 5), "other-model@9.9.9": (0, 0)}


@pytest.mark.parametrize("wanted", ["other-model", "other-model@9.9.9", "b" * 8, "b" * 64])
def test_a_job_is_labelled_with_the_version_it_names_and_by_nobody_else(installation: Installation, wanted):
    other = of_other(installation)
    come_alive(installation.db, other.model)
    job_id = installation.accept(FILE, model=wanted)
    installation.run(NullScorer())
    assert installation.status(job_id).rows_ok == 0, "a worker without that version cuts the file and no more"
    other.run(OtherScorer())
    status = installation.status(job_id)
    assert (status.state, status.rows_ok) == (JobState.COMPLETED, 2)
    assert (status.model_name, status.model_version, status.model_sha256) == ("other-model", "9.9.9", "b" * 64)


@pytest.mark.parametrize(("wanted", "said"), [("other-model", "alive"), ("nope", "no model"), ("b" * 7, "no model")])
def test_a_version_that_cannot_be_had_is_refused_before_the_file_is_read(installation: Installation, wanted, said):
    with installation.db.transaction() as session:
        registry.register(session, other_model(installation.model))

    def unread():
        raise AssertionError("the file was read")
        yield b""

    from core.uploads import JobRequest

    with pytest.raises(BadOption, match=said) as caught:
        installation.uploads().accept(installation.account_id, JobRequest("a.csv", model=wanted), unread())
    assert installation.model.name in str(caught.value.next_step)


def test_the_installations_own_version_may_be_named_before_any_worker_lives(installation: Installation):
    job_id = installation.accept(FILE, model=installation.model.name)
    assert installation.status(job_id).model_sha256 == installation.model.sha256
