"""What a run minimizes: the losses of multi-label classification, and how targets are softened before them.

    bce         −y log p − (1 − y) log(1 − p)
    focal       each term times (1 − p of the truth)^γ                         (Lin et al. 2017, RetinaNet)
    asymmetric  γ+ for positives, γ− for negatives, whose p is first lowered by a margin  (Ridnik et al. 2021, ASL)

All take targets between 0 and 1: a soft target is the blend of the two terms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.recipe import Run

Loss = Callable[..., torch.Tensor]


def binary_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The mean over rows and labels."""
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)


def focal(logits: torch.Tensor, targets: torch.Tensor, gamma: float) -> torch.Tensor:
    """Cross-entropy whose terms weigh (1 − p)^γ for a positive, p^γ for a negative; γ = 0 is `binary_cross_entropy`."""
    return asymmetric(logits, targets, gamma, gamma, 0.0)


def asymmetric(
    logits: torch.Tensor, targets: torch.Tensor, gamma_positive: float, gamma_negative: float, margin: float
) -> torch.Tensor:
    """The asymmetric loss, mean over rows and labels; negatives whose p is under `margin` count nothing.

    Args:
        logits, targets: (batch, labels) float32, targets between 0 and 1.
    """
    p = torch.sigmoid(logits)
    miss = torch.nn.functional.logsigmoid(-logits)  # log(1 - p), exact where nothing is shifted
    shifted = p
    if margin:
        shifted = (p - margin).clamp(min=0)
        miss = torch.log1p(-shifted.clamp(max=1 - 1e-6))
    positive = targets * (1 - p) ** gamma_positive * torch.nn.functional.logsigmoid(logits)
    negative = (1 - targets) * shifted**gamma_negative * miss
    return -(positive + negative).mean()


def loss_of(run: Run) -> Loss:
    """The loss a run asks for, as the Trainer calls it: in float32 whatever the autocast."""

    def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        logits, targets = outputs["logits"].float(), labels.float()
        if run.loss == "focal":
            return focal(logits, targets, run.focus)
        if run.loss == "asymmetric":
            return asymmetric(logits, targets, run.focus_positive, run.focus, run.margin)
        return binary_cross_entropy(logits, targets)

    return loss


def smoothed(
    targets: NDArray[np.float32], smoothing: float, neutral: int | None = None, neutral_smoothing: float = 0.0
) -> NDArray[np.float32]:
    """Targets (n, labels) moved towards how often each label holds, so that no label's mean changes.

    Smoothing towards one half, as for one label of many, would raise the rare ones a hundredfold. `neutral` is its
    column, which moves by `neutral_smoothing` besides: its gold label is the least reliable of all (it is what
    annotators choose when nothing else fits).
    """
    share = np.full(targets.shape[1], smoothing, np.float32)
    if neutral is not None:
        share[neutral] = 1 - (1 - smoothing) * (1 - neutral_smoothing)
    return ((1 - share) * targets + share * targets.mean(axis=0)).astype(np.float32)
