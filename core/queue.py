"""Tickets: Celery messages that say "look in the ledger", and nothing else.

Queue and task names stand here once, so that web rings by name and never imports a task. Losing, repeating or flushing
every ticket changes latency, never results: the sweeper rings again.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from core.errors import BadOption
from core.settings import Settings

QUEUE = "emobatch.tickets"
TICK = "emobatch.tick"

log = structlog.get_logger(__name__)


def celery_app(settings: Settings, name: str) -> Celery:
    """A Celery app that knows the broker. `worker` adds the task to its own; the others only send.

    Raises:
        BadOption: the broker is on another machine and asks for no password.
    """
    _need_password(settings.redis_url.get_secret_value())
    app = Celery(name, broker=settings.redis_url.get_secret_value(), set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        # A ticket carries nothing, so there is nothing to pickle and nothing to return.
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        # The ledger decides what is left to do: a ticket taken by a worker that dies is not missed.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        task_time_limit=settings.task_limit_s,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=4,
        broker_transport_options={
            "socket_timeout": 10,
            "socket_connect_timeout": 4,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "retry_on_timeout": True,
            "max_retries": 1,
        },
        broker_heartbeat=0,
        # It listens on a pub/sub connection: when the server closes that, redis-py connects anew and then waits for a
        # first message for ever, in the loop that should hear tickets. The ledger says who lives and what is done.
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        # CUDA touched before a fork fails; spawned children are clean. A model load may take its time.
        worker_pool_start_method="spawn",
        worker_proc_alive_timeout=300,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_send_task_events=settings.task_events,
        enable_utc=True,
    )
    return app


def _need_password(url: str) -> None:
    """A broker that anybody on the network may write to would run whatever task they name."""
    parts = urlsplit(url)
    if parts.hostname and not parts.password and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise BadOption(
            f"Redis on {parts.hostname} is used without a password.",
            next_step="Set one there (requirepass), and name it in REDIS_URL or REDIS_PASSWORD.",
        )


def ring(app: Celery, tickets: int = 1) -> bool:
    """Sends tickets; False if the broker does not answer, which only delays work until the sweeper rings."""
    try:
        for _ in range(tickets):
            app.send_task(TICK, queue=QUEUE, retry=False, ignore_result=True)
    except (OperationalError, RedisError, OSError) as error:
        log.warning("ticket not sent", reason=type(error).__name__)
        return False
    return True


def waiting(app: Celery) -> int:
    """Tickets that no worker has taken yet.

    Raises:
        kombu.exceptions.OperationalError, redis.exceptions.RedisError, OSError: the broker does not answer.
    """
    with app.connection_for_read() as connection:
        channel: Any = connection.default_channel
        return int(channel.client.llen(QUEUE))
