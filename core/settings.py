"""All settings, read once at the edge of a process and passed in.

Names are the environment variables: ``EMOBATCH_`` and the field's name in capitals, except the three that every
platform already sets: ``DATABASE_URL``, ``REDIS_URL``, ``STORAGE_URL``. Any of them may come in a file instead, which
the same name with ``_FILE`` at its end names. A value that surprises carries its reason.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field, SecretStr, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from core.secret_files import read_secret, with_password

MIB = 1024 * 1024


class Settings(BaseSettings):
    """One frozen object per process. See the module docstring for the environment names."""

    model_config = SettingsConfigDict(env_prefix="EMOBATCH_", frozen=True, extra="ignore", populate_by_name=True)

    # --- where things are -------------------------------------------------------------------------------------
    # The passwords stand before the URLs that they go into.
    database_password: SecretStr = Field(
        default=SecretStr(""), validation_alias=AliasChoices("DATABASE_PASSWORD", "database_password")
    )
    """Put into ``DATABASE_URL`` where that has none: so a password can come in a file, and need not be quoted."""
    redis_password: SecretStr = Field(
        default=SecretStr(""), validation_alias=AliasChoices("REDIS_PASSWORD", "redis_password")
    )
    """Put into ``REDIS_URL`` where that has none."""
    database_url: SecretStr = Field(validation_alias=AliasChoices("DATABASE_URL", "database_url"))
    """``postgresql://user:password@host:port/db``. A process takes its role (owner, web, worker) on connecting."""
    redis_url: SecretStr = Field(validation_alias=AliasChoices("REDIS_URL", "redis_url"))
    """``redis://:password@host:port/number``, of Redis or Valkey."""
    storage_url: str = Field(validation_alias=AliasChoices("STORAGE_URL", "storage_url"))
    """``file:///absolute/folder`` or ``s3://bucket/prefix``."""
    model: Path | None = None
    """A model directory; by default the one that is shipped."""
    also_models: str = ""
    """More model directories, by name or path, with commas between them: the local stack runs a worker for each, and a
    job may name one, also before that worker is there. In production a worker with another ``EMOBATCH_MODEL`` is all
    it takes."""
    engine: str = "auto"
    """``auto`` (torch on CUDA, else ONNX Runtime), ``onnx``, ``torch``; ``null``: a checksum in place of the model, for
    benchmarks and fault tests. Its labels mean nothing."""
    precision: str = "auto"
    """Of a CPU's products: ``float32``, ``bfloat16``, or ``auto``: bfloat16 where the processor has instructions for it
    and a trial on the first start shows that it is faster and gives the same labels, float32 elsewhere."""
    cache_dir: Path | None = None
    """Where the graph built from the weights is kept, and the verdict on precision; by default the platform's cache
    folder."""

    # --- who gets in ------------------------------------------------------------------------------------------
    secret_key: SecretStr = SecretStr("")
    """Signs session cookies and hashes API keys. Web refuses to start without it."""
    access_token: SecretStr = SecretStr("")
    """A token that signs in to the default account, as Jupyter's does. Empty: API keys only."""
    session_s: float = 14 * 24 * 3600.0
    """A browser stays signed in for so long at most ..."""
    session_idle_s: float = 3 * 24 * 3600.0
    """... and until nobody has used it for so long."""
    host: str = "127.0.0.1"
    """Where the local stack's web server listens ..."""
    port: int = 8080
    """... and its port. Elsewhere gunicorn's ``--bind`` says both."""
    allowed_hosts: str = "127.0.0.1,localhost,[::1]"
    """Comma-separated Host headers that web answers; ``*`` for any (behind a proxy that checks)."""
    proxies: int = 0
    """Reverse proxies in front of web, each of which sets ``X-Forwarded-For``, ``-Proto`` and ``-Host``: what the last
    so many say is believed, nothing else."""
    web_threads: int = 64
    """Requests that one web process answers at once: a slow sender or reader holds a thread for as long as it takes."""
    web_processes: int = 1
    """Of the local stack. A laptop has one user; a status asked hundreds of times a second wants a process a core."""

    columns_mb: int = 256
    """Memory of one web process for what tables of rows are filtered and sorted by: 6 bytes a row that is looked at, 8
    more for each label that is asked for by its own score."""

    # --- what is accepted -------------------------------------------------------------------------------------
    max_upload_bytes: int = 8 * 1024 * MIB
    """Of a file as it is sent."""
    max_unpacked_bytes: int = 16 * 1024 * MIB
    """Of a compressed file, unpacked."""
    max_compression_ratio: int = 200
    """gzip reaches 1032:1 on zeros; real text stays under 20:1."""
    max_container_bytes: int = 256 * MIB
    """Of a workbook or a Parquet file: they are copied to a temporary file, and opened in a process of their own ..."""
    convert_memory_bytes: int = 1024 * MIB
    """... which may take so much memory: a workbook's million cells take some 110 MiB (``python -m
    benchmarks.reading``). With the worker itself and the copy this is less than the 2 GiB of a container ..."""
    convert_s: float = 120.0
    """... and so long: a workbook that fits into that memory takes some 25 s of one core. Less than `task_limit_s`,
    which would end the worker's child."""
    max_rows: int = 10_000_000
    """Of one file."""
    max_columns: int = 10_000
    """Of one file."""
    max_record_bytes: int = MIB
    """Of one record: a quote that is never closed would otherwise swallow the file."""
    max_text_chars: int = 100_000
    """What is classified of one cell. The cell itself is always kept whole."""
    max_active_jobs: int = 100
    """Unfinished jobs an account may have. Of this limit and the next four an account may have its own; 0 is none."""
    max_uploads: int = 16
    """Files an account may upload at the same time: each holds a thread of web for as long as it takes."""
    max_stored_bytes: int = 100 * 1024 * MIB
    """Of all files of an account."""
    max_rows_a_day: int = 50_000_000
    """... and rows of an account by UTC's days, texts of requests included."""
    requests_a_minute: int = 3_000
    """Of one account."""
    failures_a_minute: int = 60
    """Requests from one address with no right sign-in. 0: no limit."""
    guesses_a_quarter: int = 20
    """Wrong passwords for one e-mail address in 15 minutes; then nobody can try. 0: no limit."""
    retention_days: int = 30
    """How long a finished job's file and results are kept, unless it was sent with another number of days."""
    transfer_keep_hours: int = 24
    """How long a file that came in part is kept for its sender to go on."""
    webhook_private: bool = False
    """Whether webhooks may lead into private networks: only where everybody who can make one may go there anyway."""
    classify_texts: int = 64
    """Texts of one request that is answered at once; together they may have as many characters as a chunk."""
    classify_wait_s: float = 10.0
    """How long such a request waits for a worker before it is told to come back."""

    # --- how work is cut and shared ---------------------------------------------------------------------------
    chunk_records: int = 1_000
    """Of one chunk, at most ..."""
    chunk_text_bytes: int = 32 * 1024
    """Some tenths of a second of work on two cores: the grain of fairness, and what a killed worker loses."""
    chunk_bytes: int = MIB
    """Of the records of one chunk, texts and all."""
    ingest_slice_s: float = 1.0
    """Cutting gives its slot back this often, so that two big uploads do not fill every slot."""
    claim_s: float = 1.0
    """A worker claims about this much work at once, and as much ahead while that is scored. Between two such pieces its
    lanes stand still for some 8 ms, so half a second would cost 2 % of the speed."""
    claim_chunks: int = 64
    """... and never more than this many chunks."""
    lease_s: float = 30.0
    """A worker that is silent for so long loses what it holds to others."""
    upload_lease_s: float = 60.0
    """A sender that stands still for so long is given up."""
    classify_lease_s: float = 5.0
    """Shorter than somebody waits, so that a second worker can still answer when the first has died."""
    sweep_s: float = 2.0
    """How often a worker says that it lives and looks after what others left."""
    tick_s: float = 8.0
    """A tick works until nothing is claimable or this has passed, then rings for its successor, which costs 40 ms. A
    worker that is told to stop ends its tick first."""
    task_limit_s: int = 300
    """Celery's hard limit for one tick: it ends a child that hangs in native code."""
    crash_budget: int = 20
    """Crashes of a child that one job may cause before it fails."""
    isolated_row_s: float = 10.0
    """How long a row that may have killed a child is tried alone."""
    worker_slots: int = 1
    """Child processes of one worker. One engine already uses all cores of a small machine."""
    engine_threads: int = 0
    """Threads of one engine; 0: cores divided by slots."""
    token_budget: int = 0
    """Tokens of one batch, whose texts are all of one length; 0: what the engine is fastest with."""
    text_memory: int = 50_000
    """Texts whose logits a process remembers, over all chunks."""

    # --- how it speaks ----------------------------------------------------------------------------------------
    otlp_endpoint: str = Field(
        default="", validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT", "otlp_endpoint")
    )
    """Where a collector takes traces, OTLP over HTTP: ``http://host:4318``. Empty: none are made."""
    task_events: bool = False
    """Workers tell of each ticket, for Flower."""
    log_level: str = "INFO"
    """``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``."""
    log_format: str = "json"
    """``json`` or ``console``."""
    metrics_token: SecretStr = SecretStr("")
    """What Prometheus sends to read ``/metrics`` of web. Empty: there is no such page."""
    metrics_port: int = 0
    """Where a worker serves its metrics; 0: nowhere."""
    metrics_host: str = "127.0.0.1"
    """The address it serves them on. Nobody is asked to sign in there: keep it inside."""

    @field_validator("database_url", "redis_url")
    @classmethod
    def _sign_in(cls, url: SecretStr, info: ValidationInfo) -> SecretStr:
        password: SecretStr = info.data[str(info.field_name).replace("_url", "_password")]
        return SecretStr(with_password(url.get_secret_value(), password.get_secret_value()))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What the code says counts most, then the environment, then files."""
        return init_settings, env_settings, _Files(settings_cls)


class _Files(PydanticBaseSettingsSource):
    """``NAME_FILE``, see `core.secret_files`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return read_secret(variable(field_name, field)), field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


def listed(setting: str) -> list[str]:
    """What a setting names with commas between."""
    return [name for name in map(str.strip, setting.split(",")) if name]


def variable(name: str, field: FieldInfo) -> str:
    """The environment variable of a field."""
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"EMOBATCH_{name}".upper()


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process' settings, read from the environment the first time. Called at the edges only, then passed in."""
    return Settings()  # type: ignore[call-arg]
