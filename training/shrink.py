"""A smaller start: fewer layers of a trained encoder, and fewer of the neurons in each.

A student that starts from its teacher's own layers is most of the way there (Sanh et al. 2019 took every other layer of
BERT so). Its layers keep their order; neurons of a feed-forward block are ranked by how much of the block's output
they move, which needs no data: what enters a block comes out of a LayerNorm, so each input is close to a normal with
that norm's own scale and shift, and so is each neuron before its activation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import DistilBertModel
from transformers.activations import get_activation

from training.recipe import RecipeError

_NODES = 32  # of the Gauss-Hermite quadrature; GELU is smooth


def keep_layers(encoder: DistilBertModel, layers: Sequence[int]) -> None:
    """Leaves the layers at these indices, in this order. Raises RecipeError where there is no such layer."""
    count = len(encoder.transformer.layer)
    if any(not 0 <= index < count for index in layers) or list(layers) != sorted(set(layers)):
        raise RecipeError(
            f"layers = {list(layers)} are not rising indices of the base's {count} layers.",
            next_step=f"Name layers between 0 and {count - 1}, each once.",
        )
    encoder.transformer.layer = torch.nn.ModuleList([encoder.transformer.layer[index] for index in layers])
    encoder.config.n_layers = len(layers)


def narrow(encoder: DistilBertModel, hidden_dim: int) -> None:
    """Leaves each feed-forward block its `hidden_dim` weightiest neurons; the others' mean goes into the bias.

    Raises RecipeError where the blocks have fewer.
    """
    width = int(encoder.config.hidden_dim)
    if not 0 < hidden_dim <= width:
        raise RecipeError(f"hidden_dim = {hidden_dim} is not between 1 and the base's {width}.")
    block: Any
    for block in encoder.transformer.layer:
        _narrow_block(block.ffn, block.sa_layer_norm, encoder.config.activation, hidden_dim)
    encoder.config.hidden_dim = hidden_dim


@torch.no_grad()
def _narrow_block(block: Any, norm: torch.nn.LayerNorm, activation: str, hidden_dim: int) -> None:
    mean, deviation = moments(block, norm, activation)
    weight = deviation * block.lin2.weight.norm(dim=0)
    ranked = weight.argsort(descending=True, stable=True)
    kept, dropped = ranked[:hidden_dim].sort().values, ranked[hidden_dim:]
    block.lin2.bias += block.lin2.weight[:, dropped] @ mean[dropped]
    for linear, axis in ((block.lin1, 0), (block.lin2, 1)):
        linear.weight = torch.nn.Parameter(linear.weight.index_select(axis, kept).contiguous())
    block.lin1.bias = torch.nn.Parameter(block.lin1.bias[kept])
    block.lin1.out_features = block.lin2.in_features = hidden_dim


@torch.no_grad()
def moments(block: Any, norm: torch.nn.LayerNorm, activation: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of a block's neurons after their activation, each (neurons,).

    `block` has `lin1`, whose input is `norm`'s output: normal with mean `norm.bias` and deviation `norm.weight`.
    """
    centre = block.lin1.weight @ norm.bias + block.lin1.bias
    spread = (block.lin1.weight * norm.weight).norm(dim=1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    share = torch.from_numpy(weights / weights.sum()).to(centre)
    values = get_activation(activation)(centre + torch.from_numpy(nodes).to(centre)[:, None] * spread)
    mean = share @ values
    return mean, (share @ (values - mean) ** 2).sqrt()
