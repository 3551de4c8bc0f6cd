"""Traces: what was done for an upload, from its first byte to its last commit, on whatever machine.

A ticket carries nothing, so the trace context (W3C Trace Context) is kept with the job's row, and whoever works for the
job joins the upload's trace. A tick, which works for many jobs, has no span of its own. Spans name stages, ids and
counts; text, file names and addresses never get in.

Without ``OTEL_EXPORTER_OTLP_ENDPOINT``, or without the extra ``traces``, everything here does nothing, and
imports nothing of OpenTelemetry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

log = structlog.get_logger(__name__)

HEADER = "traceparent"

_tracer: Tracer | None = None


def configure(endpoint: str, service: str) -> None:
    """Sends the spans of this process to a collector, from now on. Call it after a fork.

    Args:
        endpoint: where it listens for OTLP over HTTP; ``""``: no traces. The exporter reads it, and what else there is
            to say (``OTEL_EXPORTER_OTLP_HEADERS``, ``OTEL_TRACES_SAMPLER`` …), from the environment itself.
        service: the name of what this process is.
    """
    if not endpoint:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("no traces: the extra is not installed", extra="traces")
        return
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    use(provider)


def use(provider: TracerProvider | None) -> None:
    """Makes spans with this provider; None: no more."""
    global _tracer
    _tracer = provider.get_tracer("emobatch") if provider else None


@contextmanager
def span(name: str, parent: str | None = None, **attributes: Any) -> Iterator[None]:
    """A span over the block; what fails in it is marked by the name of the error alone.

    Args:
        name: of the stage.
        parent: a ``traceparent``; None: the span that is open in this thread, or a new trace.
        attributes: numbers and ids, nothing a user wrote.
    """
    if _tracer is None:
        yield
        return
    from opentelemetry.trace import Status, StatusCode

    with _tracer.start_as_current_span(
        name,
        context=_context(parent),
        attributes=_plain(attributes),
        record_exception=False,
        set_status_on_exception=False,
    ) as opened:
        try:
            yield
        except BaseException as error:
            # Not its message, which may quote a cell.
            opened.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def record(name: str, parent: str | None, began_ns: int, **attributes: Any) -> None:
    """A span that ends now and began at `began_ns` (`time.time_ns`), for what shows only afterwards whose it was."""
    if _tracer is not None:
        made = _tracer.start_span(name, context=_context(parent), start_time=began_ns, attributes=_plain(attributes))
        made.end()


def note(**attributes: Any) -> None:
    """Adds to the span that is open in this thread."""
    if _tracer is not None:
        from opentelemetry import trace

        trace.get_current_span().set_attributes(_plain(attributes))


def traceparent() -> str | None:
    """The span that is open in this thread, as others may join it; None: there is none."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(HEADER)


def add_trace_id(logger: Any, method: str, event: Any) -> Any:
    """Gives a log line the id of the trace that is open in this thread; a processor for structlog."""
    if _tracer is not None:
        from opentelemetry import trace

        found = trace.get_current_span().get_span_context()
        if found.is_valid:
            event["trace_id"] = f"{found.trace_id:032x}"
    return event


def _context(parent: str | None) -> Context | None:
    if parent is None:
        return None
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    # From an empty one: what is open in this thread has nothing to do with it.
    return TraceContextTextMapPropagator().extract({HEADER: parent}, context=Context())


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"emobatch.{name}": value if isinstance(value, bool | int | float) else str(value)
        for name, value in attributes.items()
    }
