"""Writes a model directory: fp16 weights, config, tokenizer, manifest, training record and card.

The manifest holds the hashes of the files that decide labels, so it is written after them; `core.model_directory` reads
it all back. The folder is built beside its destination and renamed into place: a reader sees the old one or the new.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import DistilBertForSequenceClassification, PreTrainedTokenizerFast

from core.flags import Trust
from core.model_directory import CONFIG, FORMAT, MANIFEST, TOKENIZER, WEIGHTS, file_hashes, manifest_checksum
from core.taxonomy import Taxonomy
from training.card import card

_CONFIG = (
    *("activation", "dim", "hidden_dim", "n_heads", "n_layers", "vocab_size", "max_position_embeddings"),
    *("pad_token_id", "dropout", "attention_dropout", "seq_classif_dropout", "sinusoidal_pos_embds"),
)


def half(model: DistilBertForSequenceClassification) -> dict[str, torch.Tensor]:
    """The model's tensors in fp16, contiguous, under their own names.

    Raises ValueError where one does not fit in fp16's range: it would be infinite in the file.
    """
    tensors = {name: t.detach().cpu().to(torch.float16).contiguous() for name, t in model.state_dict().items()}
    if bad := [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]:
        raise ValueError(f"Weights outside the range of fp16: {', '.join(bad)}.")
    return tensors


def config_of(model: DistilBertForSequenceClassification, labels: Sequence[str]) -> dict[str, Any]:
    """What config.json says: the architecture and labels that transformers and our engines read, and nothing local."""
    return {
        "architectures": ["DistilBertForSequenceClassification"],
        "model_type": "distilbert",
        "problem_type": "multi_label_classification",
        "dtype": "float16",
        **{name: getattr(model.config, name) for name in _CONFIG},
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
    }


def export(
    folder: Path,
    *,
    name: str,
    version: str,
    model: DistilBertForSequenceClassification,
    tokenizer: PreTrainedTokenizerFast,
    labels: Sequence[str],
    max_length: int,
    taxonomies: Mapping[str, Taxonomy],
    record: Mapping[str, Any],
    trust: Trust,
    default_taxonomy: str = "ekman",
) -> Path:
    """Writes the model directory at `folder`, replacing one that is there, and returns it.

    `record` becomes training.json and the source of the card's figures; it must hold no host name and no path.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    save_file(half(model), fresh / WEIGHTS, metadata={"format": "pt"})
    (fresh / WEIGHTS).chmod(0o644)  # safetensors writes 0600, and a service account must read it
    write_json(fresh / CONFIG, config_of(model, labels))
    save_tokenizer(tokenizer, fresh, max_length)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "name": name,
        "version": version,
        "labels": list(labels),
        "max_length": max_length,
        "default_taxonomy": default_taxonomy,
        "taxonomies": [taxonomy.to_dict() for taxonomy in taxonomies.values()],
        "trust": trust.to_dict(),
        "files": file_hashes(fresh),
    }
    write_json(fresh / MANIFEST, manifest | {"checksum": manifest_checksum(manifest)})
    write_json(fresh / "training.json", record)
    (fresh / "README.md").write_text(card(name, version, record, max_length), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return folder


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path, max_length: int) -> None:
    """tokenizer.json without truncation and padding (the engine windows and pads), and transformers' settings."""
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.save(str(folder / TOKENIZER), pretty=False)
    special = ("unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": max_length}
    write_json(folder / "tokenizer_config.json", settings | {key: str(getattr(tokenizer, key)) for key in special})


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """UTF-8 JSON, indented, with a final newline, so that it diffs."""
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
