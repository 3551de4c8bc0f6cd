"""A DistilBERT of random weights in a model directory: written with numpy alone, loaded in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from core.model_directory import CONFIG, MANIFEST, TOKENIZER, WEIGHTS, ModelDirectory, file_hashes, manifest_checksum
from core.taxonomy import plain

WriteModel = Callable[..., ModelDirectory]  # the fixture `write_model`

ROOT = Path(__file__).resolve().parents[3]

LABELS = [f"label_{i}" for i in range(28)]
ARCHITECTURE = {
    "n_layers": 3,
    "dim": 24,
    "n_heads": 4,
    "hidden_dim": 56,
    "vocab_size": 300,
    "max_position_embeddings": 40,
}

# Texts that break things.
ODD = [
    "",
    "   \t\n",
    "i love this 😀👩‍👩‍👧🏽",
    "a\0b",
    "zero\u200bwidth\u200d\ufeff",
    "\u202ertl \u0627\u0644\u0639",
    "e\u0301 \u1e9b\u0323",
    "\ufffd\uffff\U0010ffff",
    "東京は good",
    "x" * 5_000,
    "\r\n\x85\u2028",
]


def write(folder: Path, *, seed: int = 0, max_length: int = 16, **architecture: Any) -> Path:
    """A model directory of random fp16 weights over 28 labels; `architecture` changes fields of config.json."""
    folder.mkdir()
    config = ARCHITECTURE | {"activation": "gelu"} | architecture
    write_safetensors(folder / WEIGHTS, random_weights(config, seed))
    id2label = {str(i): label for i, label in enumerate(LABELS)}
    kind = {"model_type": "distilbert", "architectures": ["DistilBertForSequenceClassification"], "id2label": id2label}
    (folder / CONFIG).write_text(json.dumps(config | kind))
    tokenizer().save(str(folder / TOKENIZER))
    manifest = {
        "format": 1,
        "name": "tiny",
        "version": "1",
        "labels": LABELS,
        "max_length": max_length,
        "default_taxonomy": "all",
        "taxonomies": [plain("all", {label: [i] for i, label in enumerate(LABELS)}).to_dict()],
        "files": file_hashes(folder),
    }
    (folder / MANIFEST).write_text(json.dumps(manifest | {"checksum": manifest_checksum(manifest)}))
    return folder


def random_weights(config: dict[str, Any], seed: int) -> dict[str, np.ndarray]:
    """fp16 tensors under DistilBertForSequenceClassification's names, large enough that every part matters."""
    rng = np.random.default_rng(seed)
    dim, hidden = config["dim"], config["hidden_dim"]
    shapes: dict[str, tuple[int, ...]] = {
        "distilbert.embeddings.word_embeddings.weight": (config["vocab_size"], dim),
        "distilbert.embeddings.position_embeddings.weight": (config["max_position_embeddings"], dim),
    }
    norms = ["distilbert.embeddings.LayerNorm"]
    linears = {"pre_classifier": (dim, dim), "classifier": (len(LABELS), dim)}
    for layer in range(config["n_layers"]):
        prefix = f"distilbert.transformer.layer.{layer}."
        linears |= {f"{prefix}attention.{name}_lin": (dim, dim) for name in ("q", "k", "v", "out")}
        linears |= {f"{prefix}ffn.lin1": (hidden, dim), f"{prefix}ffn.lin2": (dim, hidden)}
        norms += [f"{prefix}sa_layer_norm", f"{prefix}output_layer_norm"]
    for name, shape in linears.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    weights = {name: rng.normal(0, 2 * shape[-1] ** -0.5, shape) for name, shape in shapes.items()}
    for name in norms:
        weights |= {f"{name}.weight": rng.normal(1, 0.2, dim), f"{name}.bias": rng.normal(0, 0.2, dim)}
    return {name: tensor.astype("<f2") for name, tensor in weights.items()}


def write_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """The safetensors format, as its specification says it."""
    dtypes = {"<f2": "F16", "<f4": "F32"}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in tensors.items():
        end = offset + tensor.nbytes
        header[name] = {"dtype": dtypes[tensor.dtype.str], "shape": tensor.shape, "data_offsets": [offset, end]}
        offset = end
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    body = b"".join(tensor.tobytes() for tensor in tensors.values())
    path.write_bytes(len(head).to_bytes(8, "little") + head + body)


def tokenizer() -> Tokenizer:
    """BERT's tokenizer over letters and a few words; it truncates and pads, which the engine must switch off."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = "abcdefghijklmnopqrstuvwxyz0123456789[]!?.,'"
    words = ["i", "love", "hate", "this", "the", "very", "good", "bad", "day", "##ing", "##ed", "not", "so"]
    vocabulary = dict.fromkeys([*special, *letters, *(f"##{letter}" for letter in letters), *words])
    ids = {token: i for i, token in enumerate(vocabulary)}
    made = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    made.add_special_tokens(special)
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    made.enable_truncation(8)
    made.enable_padding(length=8)
    return made
