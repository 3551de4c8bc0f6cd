"""Noise, near words and mixup: what they change, what they must leave, and that a seed repeats them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from tokenizers import BertWordPieceTokenizer  # noqa: E402
from transformers import DistilBertConfig, DistilBertModel, PreTrainedTokenizerFast  # noqa: E402

from training.augment import kept_labels  # noqa: E402
from training.batches import Noise  # noqa: E402
from training.data import read_tsv  # noqa: E402
from training.recipe import Recipe, Run  # noqa: E402
from training.run import mixed, new_classifier  # noqa: E402
from training.synonyms import Synonyms, contextual_variants, synonym_variants  # noqa: E402

NEAR = {"glad": "happy", "happy": "glad", "lamp": "light", "light": "lamp"}


def test_noise_leaves_the_ends_and_at_least_one_token() -> None:
    torch.manual_seed(0)
    noise = Noise(dropped=0.3, masked=0.2, mask_id=7)
    ids = [1, *range(100, 200), 2]
    seen = [noise(ids) for _ in range(200)]
    assert all(row[0] == 1 and row[-1] == 2 for row in seen)
    inner = [row[1:-1] for row in seen]
    assert np.mean([len(row) for row in inner]) == pytest.approx(70, abs=2)
    assert np.mean([row.count(7) for row in inner]) == pytest.approx(20, abs=2)
    assert all([t for t in row if t != 7] == sorted(t for t in row if t != 7) for row in inner), "order is kept"
    assert Noise(dropped=1.0)([1, 50, 51, 2]) == [1, 50, 2]
    assert Noise(dropped=1.0)([1, 2]) == [1, 2]


@pytest.fixture
def synonyms() -> tuple[Synonyms, DistilBertModel, PreTrainedTokenizerFast]:
    """A vocabulary of six words in which glad is next to happy, and lamp to light."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "glad", "happy", "lamp", "light", "this", "name"]
    wordpiece = BertWordPieceTokenizer(vocab={word: i for i, word in enumerate(words)})
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=wordpiece._tokenizer, mask_token="[MASK]")
    torch.manual_seed(0)
    encoder = DistilBertModel(
        DistilBertConfig(vocab_size=len(words), n_layers=1, n_heads=2, dim=8, hidden_dim=8, max_position_embeddings=32)
    ).eval()
    table = torch.eye(8)[[0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 4]]
    with torch.no_grad():
        encoder.embeddings.word_embeddings.weight.copy_(table + 0.05 * torch.randn(table.shape))
    texts = ["Happy with this lamp, [NAME]!", "glad glad light light", "this this"]
    return Synonyms(encoder, tokenizer, texts), encoder, tokenizer


def test_words_are_exchanged_for_near_ones_alone(synonyms: tuple) -> None:
    found, *_ = synonyms
    texts = ["Happy with this lamp, [NAME]!"] * 50
    variants = synonym_variants(found, texts, 1)
    assert set(variants) == {"glad with this lamp, [NAME]!", "Happy with this light, [NAME]!"}
    assert variants == synonym_variants(found, texts, 1)
    assert variants != synonym_variants(found, texts, 2)
    assert synonym_variants(found, ["don't this", ""], 1) == ["don't this", ""], "nothing has a neighbour"
    assert found.near == {word: [other] for word, other in NEAR.items()}


def test_the_encoder_chooses_the_variant_it_reads_most_alike(synonyms: tuple) -> None:
    found, encoder, tokenizer = synonyms
    texts = ["happy lamp", "glad light this"] * 5
    chosen = contextual_variants(found, encoder, tokenizer, texts, 3)
    from training.synonyms import CANDIDATES, sentence_vectors

    def alike(variants: list[str]) -> np.ndarray:
        vectors = [sentence_vectors(encoder, tokenizer, part, 24) for part in (variants, texts)]
        return (vectors[0] * vectors[1]).sum(axis=1)

    candidates = [alike(synonym_variants(found, texts, 3 * CANDIDATES + c)) for c in range(CANDIDATES)]
    assert alike(chosen) == pytest.approx(np.max(candidates, axis=0), abs=1e-6)
    assert chosen != texts


@pytest.mark.parametrize("how", ["synonyms", "contextual"])
def test_variants_keep_their_row_s_gold(how: str, data: Path, tiny_base: Path) -> None:
    rows = read_tsv(data / "dev.tsv", 5)
    more = kept_labels(rows, 2, 1, how, str(tiny_base))
    assert len(more) == 2 * len(rows)
    assert np.array_equal(more.gold, np.concatenate([rows.gold, rows.gold]))


def test_mixup_blends_rows_and_targets_alike(tiny_base: Path) -> None:
    model, _ = new_classifier(Recipe("n", "1", str(tiny_base), 24, (Run("r", 1),)), ["a", "b"], 0.0)
    torch.manual_seed(3)
    inputs = {
        "input_ids": torch.tensor([[2, 8, 9, 3], [2, 7, 3, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
        "labels": torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
    }
    while True:  # until the draw pairs the two rows
        out = mixed(model, inputs, 0.4)
        if out["labels"][0, 1] > 0:
            break
    share = out["labels"][0, 0].item()
    assert share >= 0.5
    assert out["labels"].sum(dim=1).tolist() == pytest.approx([1.0, 1.0])
    words = model.distilbert.embeddings.word_embeddings(inputs["input_ids"])
    assert torch.allclose(out["inputs_embeds"][0], share * words[0] + (1 - share) * words[1])
    assert out["attention_mask"].tolist() == [[1, 1, 1, 1]] * 2
    model(**{k: v for k, v in out.items() if k != "labels"})
