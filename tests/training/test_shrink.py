"""Fewer layers and fewer neurons: what is kept is the base's own, what is dropped is what mattered least."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from training.base import load_base  # noqa: E402
from training.recipe import RecipeError  # noqa: E402
from training.shrink import keep_layers, moments, narrow  # noqa: E402


def hidden(encoder: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return encoder(input_ids=torch.tensor([[2, 7, 9, 3]])).last_hidden_state


def test_the_layers_named_are_kept_in_order(tiny_base: Path) -> None:
    whole, small = load_base(str(tiny_base))[0], load_base(str(tiny_base))[0]
    keep_layers(small, [1])
    assert small.config.n_layers == 1
    assert len(small.transformer.layer) == 1
    kept, there = small.transformer.layer[0].state_dict(), whole.transformer.layer[1].state_dict()
    assert all(torch.equal(kept[name], there[name]) for name in there)
    keep_layers(whole, [0, 1])
    assert len(whole.transformer.layer) == 2


@pytest.mark.parametrize("layers", [[2], [-1], [1, 0], [0, 0]])
def test_layers_that_are_not_there_are_refused(tiny_base: Path, layers: list[int]) -> None:
    with pytest.raises(RecipeError, match="2 layers"):
        keep_layers(load_base(str(tiny_base))[0], layers)


@pytest.mark.parametrize("width", [33, -1])
def test_a_width_that_the_base_has_not_is_refused(tiny_base: Path, width: int) -> None:
    with pytest.raises(RecipeError, match="32"):
        narrow(load_base(str(tiny_base))[0], width)


def test_neurons_that_do_nothing_or_never_change_are_dropped_without_loss(tiny_base: Path) -> None:
    encoder = load_base(str(tiny_base))[0]
    with torch.no_grad():
        for layer in encoder.transformer.layer:
            layer.ffn.lin2.weight.normal_()
            layer.ffn.lin1.weight[::4] = 0  # neurons 0, 4, 8 … say the same whatever comes in
            layer.ffn.lin1.bias[::4] = torch.linspace(-1, 2, 8)
            layer.ffn.lin2.weight[:, 1::4] = 0  # nobody hears neurons 1, 5, 9 …
    before = hidden(encoder)
    narrow(encoder, 16)
    assert encoder.config.hidden_dim == 16
    assert encoder.transformer.layer[1].ffn.lin1.weight.shape == (16, 16)
    assert encoder.transformer.layer[1].ffn.lin2.weight.shape == (16, 16)
    assert torch.allclose(hidden(encoder), before, atol=1e-5)
    narrow(encoder, 8)
    assert not torch.allclose(hidden(encoder), before, atol=1e-3), "neurons that mattered are gone too"


def test_moments_agree_with_drawing(tiny_base: Path) -> None:
    layer = load_base(str(tiny_base))[0].transformer.layer[0]
    with torch.no_grad():
        layer.ffn.lin1.weight.normal_(0, 0.5)
        layer.sa_layer_norm.weight.uniform_(0.5, 1.5)
        layer.sa_layer_norm.bias.normal_()
        draws = torch.randn(100_000, 16, generator=torch.Generator().manual_seed(1))
        inputs = draws * layer.sa_layer_norm.weight + layer.sa_layer_norm.bias
        values = torch.nn.functional.gelu(layer.ffn.lin1(inputs))
    mean, deviation = moments(layer.ffn, layer.sa_layer_norm, "gelu")
    assert torch.allclose(mean, values.mean(dim=0), atol=0.05)
    assert torch.allclose(deviation, values.std(dim=0), atol=0.05)
