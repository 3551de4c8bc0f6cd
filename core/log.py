"""Structured logs: one line per event, with `job_id` where there is one. Never text, keys or cookies."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from core.outlets import outlive_full_disks
from core.tracing import add_trace_id


def configure(level: str, style: str) -> None:
    """Sends our events and the standard library's through structlog to stderr, which outlives a full disk from now on.

    Args:
        level: ``DEBUG`` … ``ERROR``.
        style: ``json`` for machines, ``console`` for people.
    """
    outlive_full_disks()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        add_trace_id,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer() if style == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
