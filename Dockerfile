# Images of emobatch, one target each: migrate, web (no torch, no ONNX Runtime), worker-cpu, worker-gpu, flower,
# admin.
#   docker build --target web -t emobatch-web .

FROM python:3.12-slim AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PATH=/opt/venv/bin:$PATH
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent emobatch \
    && python -m venv /opt/venv \
    && mkdir -p /data /cache \
    && chown emobatch /data /cache
WORKDIR /app
COPY requirements ./requirements
COPY core ./core
# Nothing is installed whose hash does not stand in a lock; the project itself runs from /app.
ARG INSTALL="python -m pip install --only-binary :all:"

FROM base AS web
RUN $INSTALL --require-hashes -r requirements/web.lock
COPY migrations ./migrations
COPY models ./models
COPY web ./web
USER 10001
EXPOSE 8080
CMD ["python", "-m", "gunicorn", "web.wsgi:app", "--config", "python:web.server", "--bind", "0.0.0.0:8080", "--worker-class", "gthread", "--workers", "2", "--threads", "64", "--timeout", "120", "--graceful-timeout", "10", "--no-control-socket"]

FROM web AS migrate
CMD ["python", "-m", "migrations.run", "upgrade"]

FROM web AS admin
COPY emobatch ./emobatch
ENTRYPOINT ["python", "-m", "emobatch.cli", "admin"]
CMD ["--help"]

FROM base AS worker-cpu
RUN $INSTALL --require-hashes -r requirements/worker.lock
COPY models ./models
COPY worker ./worker
USER 10001
CMD ["python", "-m", "celery", "--app", "worker.app", "worker", "--concurrency", "1", "--loglevel", "INFO", "--without-gossip", "--without-mingle"]

FROM base AS worker-gpu
# torch's own CUDA libraries differ by index: versions are pinned here, hashes are not. pip brings in what the extra
# needs; the project's installed copy goes again.
COPY constraints.txt pyproject.toml README.md LICENSE ./
RUN $INSTALL -c constraints.txt ".[gpu,parquet]" && python -m pip uninstall -y emobatch
COPY models ./models
COPY worker ./worker
USER 10001
CMD ["python", "-m", "celery", "--app", "worker.app", "worker", "--concurrency", "1", "--loglevel", "INFO", "--without-gossip", "--without-mingle"]

FROM base AS flower
RUN $INSTALL --require-hashes -r requirements/flower.lock
COPY deploy/flower.py ./deploy/flower.py
COPY worker ./worker
USER 10001
CMD ["python", "-m", "celery", "--app", "worker.monitor", "flower", "--conf=deploy/flower.py", "--address=0.0.0.0", "--port=5555"]
