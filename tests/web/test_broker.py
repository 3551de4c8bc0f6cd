"""A broker that is away is told to whoever waits for it, and to nobody else."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from tests.web.conftest import TOKEN, Asker
from web.broker import AWAY


@pytest.fixture
def lonely(make_app) -> Asker:
    """Asks an app whose Redis does not answer."""
    app = make_app(redis_url=SecretStr("redis://127.0.0.1:1/0"))
    return Asker(app.test_client(), TOKEN)


def test_a_job_that_waits_says_that_redis_is_away(lonely, ask, installation, worker_alive):
    job_id = lonely.upload()
    assert lonely("GET", f"/jobs/{job_id}").json["waiting_for"] == AWAY
    assert ask("GET", f"/jobs/{job_id}").json["waiting_for"] == "Waiting for a free worker."
    page = lonely.client.get(f"/jobs/{job_id}/live", headers={"Authorization": f"Bearer {TOKEN}"})
    assert AWAY in page.text
    installation.run()
    assert lonely("GET", f"/jobs/{job_id}").json["waiting_for"] is None


def test_a_change_of_reason_is_a_change(lonely, ask, worker_alive):
    job_id = lonely.upload()
    etags = {asker("GET", f"/jobs/{job_id}").headers["ETag"] for asker in (lonely, ask)}
    assert len(etags) == 2
