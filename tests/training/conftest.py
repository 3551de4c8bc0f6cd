"""A tiny world to train in: a random DistilBERT in a folder, and thirty rows written for this project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs torch")
pytest.importorskip("transformers", reason="training needs transformers")

LABELS = ("anger", "fear", "joy", "surprise", "neutral")
ROWS = [
    ("this queue makes me furious", (0,)),
    ("I hate how they ignore my mails", (0,)),
    ("who breaks a promise like that, I am so angry", (0,)),
    ("I am scared of the next bill", (1,)),
    ("the noise at night frightens my children", (1,)),
    ("what a lovely kettle, I smile every morning", (2,)),
    ("so happy with this lamp", (2,)),
    ("great service and great people, thank you", (2,)),
    ("wow, I did not expect a letter", (3,)),
    ("it came a week early, what a surprise, I am happy", (2, 3)),
    ("furious and scared at once", (0, 1)),
    ("the parcel has two handles", (4,)),
    ("it is made of steel", (4,)),
    ("they open at nine", (4,)),
    ("the manual has ten pages", (4,)),
]


def write_rows(path: Path, rows: list[tuple[str, tuple[int, ...]]]) -> None:
    lines = [f"{text}\t{','.join(map(str, ids))}\tid{n}\n" for n, (text, ids) in enumerate(rows)]
    path.write_text("".join(lines), encoding="utf-8")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as GoEmotions' is, of five labels; train twice the rows, dev once."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n")
    emotions = {label: [label] for label in LABELS[:-1]}
    (folder / "ekman_mapping.json").write_text(json.dumps(emotions))
    sentiment = {"positive": ["joy"], "negative": ["anger", "fear"], "ambiguous": ["surprise"]}
    (folder / "sentiment_dict.json").write_text(json.dumps(sentiment))
    write_rows(folder / "train.tsv", ROWS * 2)
    write_rows(folder / "dev.tsv", ROWS)
    return folder


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DistilBERT of two layers of 16 with random weights, and a tokenizer over the rows' own words."""
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import DistilBertConfig, DistilBertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("base")
    words = sorted({word for text, _ in ROWS for word in text.lower().replace(",", " , ").split()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    wordpiece = BertWordPieceTokenizer(vocab={word: i for i, word in enumerate(vocabulary)})
    special = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    PreTrainedTokenizerFast(
        tokenizer_object=wordpiece._tokenizer, **{f"{kind}_token": token for kind, token in special.items()}
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = DistilBertConfig(
        vocab_size=len(vocabulary), max_position_embeddings=32, n_layers=2, n_heads=2, dim=16, hidden_dim=32
    )
    DistilBertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tiny_base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory of five labels, trained far enough on the rows to know them."""
    from training.recipe import Recipe, Run
    from training.train import train_recipe

    folder = tmp_path_factory.mktemp("tiny")
    run = Run("run", 1, epochs=40, batch_size=8, learning_rate=5e-3, dropout=0.0)
    return train_recipe(Recipe("tiny", "1", str(tiny_base), 24, (run,)), data, folder / "model", folder / "work")


@pytest.fixture
def film(data: Path) -> Path:
    """A declared set from elsewhere, beside the data: seven rows, so that its parts differ in number."""
    rows = [
        "text,label",
        "I am furious,rage",
        '"Scared, and angry",rage|dread',
        "How lovely,bliss",
        "How  LOVELY!,bliss",
    ]
    rows += ["At nine.,none", "It has ten pages,none", "So happy,bliss"]
    (data.parent / "film.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    path = data.parent / "film.toml"
    path.write_text(
        'name = "film"\ntitle = "lines of film"\nfile = "film.csv"\ntaxonomy = "ekman"\nseparator = "|"\n'
        '[labels]\nrage = "anger"\ndread = "fear"\nbliss = "joy"\nnone = "neutral"\n',
        encoding="utf-8",
    )
    return path
