"""The model directory: what `training` writes, `worker` runs and `web` reads the labels from.

A folder with `model.safetensors` (fp16), `config.json`, `tokenizer.json` and `emobatch.json`; the last one carries the
28 labels, the window, the taxonomies with calibration and thresholds, and the sha256 of the others. Those four decide
every label, so one hash over the four is the model's identity: a job stores it, and a worker with another hash does not
take the job's chunks. The remaining files (card, training record, tokenizer settings for transformers) decide nothing.

Loading reads JSON only; the weights stay on disk until an engine opens them. NumPy and the standard library only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from core.errors import EmobatchError
from core.flags import Trust
from core.taxonomy import Taxonomy

FORMAT = 1  # of emobatch.json; a reader refuses a higher one rather than mislabel
DEFAULT_MODEL = "emobatch-distilbert-3x384"

MANIFEST = "emobatch.json"
WEIGHTS = "model.safetensors"
CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
_HASHED = (CONFIG, WEIGHTS, TOKENIZER)  # recorded in the manifest; with it they decide every label

_ARCHITECTURE = ("n_layers", "dim", "n_heads", "hidden_dim", "vocab_size", "max_position_embeddings")
_SHIPPED = Path(__file__).resolve().parent.parent / "models"
_REINSTALL = "Restore the folder from where it was installed, or name another model directory."


class ModelDirectoryError(EmobatchError):
    """A model directory is missing, incomplete, damaged, or of a newer format."""

    code = "model_directory"


@dataclass(frozen=True)
class ModelDirectory:
    """A model directory, read.

    Attributes:
        path: the folder, absolute.
        name, version: as the manifest gives them; `sha256` (hex) is the identity that decides.
        labels: the model's labels, in the order of its logits.
        max_length: the window in tokens, [CLS] and [SEP] included.
        taxonomies: by name; `default_taxonomy` is one of them.
        trust: from where on a row is flagged as doubtful.
        n_layers … max_position_embeddings, activation: DistilBERT's config.json.
    """

    path: Path
    name: str
    version: str
    sha256: str
    labels: tuple[str, ...]
    max_length: int
    taxonomies: Mapping[str, Taxonomy]
    default_taxonomy: str
    n_layers: int
    dim: int
    n_heads: int
    hidden_dim: int
    vocab_size: int
    max_position_embeddings: int
    activation: str
    trust: Trust = field(default_factory=Trust)

    @property
    def weights_path(self) -> Path:
        """The fp16 safetensors, under DistilBertForSequenceClassification's names."""
        return self.path / WEIGHTS

    @property
    def tokenizer_path(self) -> Path:
        """The `tokenizers` file; it neither truncates nor pads."""
        return self.path / TOKENIZER

    @property
    def taxonomy(self) -> Taxonomy:
        """The default taxonomy."""
        return self.taxonomies[self.default_taxonomy]

    @classmethod
    def load(cls, path: str | Path, *, verify: bool = False) -> ModelDirectory:
        """Reads the folder at `path`.

        Args:
            path: a model directory.
            verify: also hash the files (some 50 ms) and compare with what the manifest recorded. Without it the
                identity is taken from the record, and the weights need not even be there: `web` has no use for them.

        Raises:
            ModelDirectoryError: naming the file that is missing, damaged, altered, or too new.
        """
        folder = Path(path).expanduser().resolve()
        if not folder.is_dir():
            raise ModelDirectoryError(f"There is no model directory at {path}.", next_step=_REINSTALL)
        manifest = _read_json(folder / MANIFEST)
        if manifest.get("format") != FORMAT:
            raise ModelDirectoryError(
                f"{folder / MANIFEST} has format {manifest.get('format')!r}; this emobatch reads format {FORMAT}.",
                next_step="Upgrade emobatch, or name another model directory.",
            )
        if manifest.get("checksum") != manifest_checksum(manifest):
            raise ModelDirectoryError(
                f"{folder / MANIFEST} was altered after export: its checksum does not match.", next_step=_REINSTALL
            )
        if verify:
            for name in _HASHED:
                _verify_file(folder / name, manifest)
        config = _read_json(folder / CONFIG)
        try:
            taxonomies = {t["name"]: Taxonomy.from_dict(t) for t in manifest["taxonomies"]}
            found = cls(
                path=folder,
                name=manifest["name"],
                version=manifest["version"],
                sha256=identity(manifest["files"], (folder / MANIFEST).read_bytes()),
                labels=tuple(manifest["labels"]),
                max_length=int(manifest["max_length"]),
                taxonomies=MappingProxyType(taxonomies),
                default_taxonomy=manifest["default_taxonomy"],
                activation=str(config.get("activation", "gelu")),
                trust=Trust.from_dict(manifest.get("trust")),
                **{name: int(config[name]) for name in _ARCHITECTURE},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelDirectoryError(
                f"The model directory at {path} does not fit together: {error!r}.", next_step=_REINSTALL
            ) from error
        found._check()
        return found

    def _check(self) -> None:
        """What no single file can know: that the manifest, the config and the taxonomies belong together."""
        problem = ""
        if self.default_taxonomy not in self.taxonomies:
            problem = f"the default taxonomy {self.default_taxonomy!r} is not among its taxonomies"
        elif any(taxonomy.width > len(self.labels) for taxonomy in self.taxonomies.values()):
            problem = "a taxonomy has a member outside the model's labels"
        elif not 3 <= self.max_length <= self.max_position_embeddings:
            problem = f"a window of {self.max_length} tokens does not fit {self.max_position_embeddings} positions"
        if problem:
            raise ModelDirectoryError(f"The model directory at {self.path} does not fit together: {problem}.")


def shipped_model_path() -> Path:
    """The model directory that comes with emobatch: `models/` beside `core/`."""
    return _SHIPPED / DEFAULT_MODEL


def find_model(name_or_path: str | Path | None = None) -> Path:
    """A model directory's folder, from what a setting or an option says.

    Args:
        name_or_path: a folder, the name of a directory under `models/`, or None for the shipped one.

    Raises:
        ModelDirectoryError: neither a folder nor a shipped name.
    """
    if name_or_path is None or not str(name_or_path):
        return shipped_model_path()
    for folder in (Path(name_or_path).expanduser(), _SHIPPED / name_or_path):
        if (folder / MANIFEST).is_file():
            return folder.resolve()
    raise ModelDirectoryError(
        f"No model directory is called {str(name_or_path)!r}, and no folder with {MANIFEST} is there.",
        next_step="Name a folder that `make train` wrote, or leave the model out for the shipped one.",
    )


def find_models(names: Iterable[str]) -> list[ModelDirectory]:
    """The model directories of these names or paths.

    Raises:
        ModelDirectoryError: one of them is neither a folder nor a shipped name, or is damaged.
    """
    return [ModelDirectory.load(find_model(name)) for name in names]


def directory_called(name: str) -> ModelDirectory | None:
    """The model directory of that name or at that path, or None where a name means something else."""
    try:
        return ModelDirectory.load(find_model(name))
    except ModelDirectoryError:
        return None


def file_sha256(path: Path) -> str:
    """The hex sha256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_hashes(folder: Path) -> dict[str, str]:
    """What an export records as the manifest's `files`: name to hex sha256 of weights, config and tokenizer."""
    return {name: file_sha256(folder / name) for name in sorted(_HASHED)}


def identity(files: Mapping[str, str], manifest: bytes) -> str:
    """One hex sha256 over the sorted lines `name sha256` of the files that decide labels, the manifest among them."""
    hashes = {**{name: files[name] for name in _HASHED}, MANIFEST: hashlib.sha256(manifest).hexdigest()}
    return hashlib.sha256("".join(f"{name} {hashes[name]}\n" for name in sorted(hashes)).encode()).hexdigest()


def manifest_checksum(manifest: Mapping[str, Any]) -> str:
    """The hex sha256 of a manifest's canonical JSON, its own `checksum` left out: tells an edit from an export."""
    content = {key: value for key, value in manifest.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelDirectoryError(f"The model directory lacks {path}.", next_step=_REINSTALL) from error
    except (OSError, ValueError) as error:
        raise ModelDirectoryError(f"{path} cannot be read: {error}.", next_step=_REINSTALL) from error
    if not isinstance(content, dict):
        raise ModelDirectoryError(f"{path} is not a JSON object.", next_step=_REINSTALL)
    return content


def _verify_file(path: Path, manifest: Mapping[str, Any]) -> None:
    try:
        actual = file_sha256(path)
    except OSError as error:
        raise ModelDirectoryError(f"The model directory lacks {path}.", next_step=_REINSTALL) from error
    recorded = manifest.get("files", {}).get(path.name)
    if actual != recorded:
        raise ModelDirectoryError(
            f"{path} is damaged or was exchanged: its sha256 is {actual}, recorded is {recorded}.",
            next_step=_REINSTALL,
        )
