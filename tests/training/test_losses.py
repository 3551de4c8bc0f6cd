"""The losses against their formulas, and targets that are softened without changing how often a label holds."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training.losses import asymmetric, binary_cross_entropy, focal, loss_of, smoothed  # noqa: E402
from training.recipe import Run  # noqa: E402

LOGITS = torch.tensor([[2.0, -1.0], [-3.0, 0.5]])
TARGETS = torch.tensor([[1.0, 0.0], [0.3, 1.0]])


def test_focal_without_focus_is_cross_entropy() -> None:
    assert focal(LOGITS, TARGETS, 0.0).item() == pytest.approx(binary_cross_entropy(LOGITS, TARGETS).item(), rel=1e-6)


def test_focal_by_hand() -> None:
    p = 1 / (1 + np.exp(-2.0))
    assert focal(torch.tensor([[2.0]]), torch.tensor([[1.0]]), 2.0).item() == pytest.approx(-((1 - p) ** 2) * np.log(p))
    assert focal(torch.tensor([[2.0]]), torch.tensor([[0.0]]), 2.0).item() == pytest.approx(-(p**2) * np.log(1 - p))


def test_asymmetric_by_hand() -> None:
    p = 1 / (1 + np.exp(1.0))
    low = p - 0.05
    found = asymmetric(torch.tensor([[-1.0]]), torch.tensor([[0.0]]), 0.0, 4.0, 0.05).item()
    assert found == pytest.approx(-(low**4) * np.log(1 - low), rel=1e-5)
    found = asymmetric(torch.tensor([[-1.0]]), torch.tensor([[1.0]]), 1.0, 4.0, 0.05).item()
    assert found == pytest.approx(-(1 - p) * np.log(p), rel=1e-5)


def test_negatives_under_the_margin_count_nothing() -> None:
    logits = torch.tensor([[-4.0]], requires_grad=True)
    loss = asymmetric(logits, torch.tensor([[0.0]]), 0.0, 4.0, 0.05)
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert logits.grad.item() == 0.0


@pytest.mark.parametrize("loss", ["bce", "focal", "asymmetric"])
def test_sure_mistakes_have_finite_losses_and_gradients(loss: str) -> None:
    logits = torch.tensor([[60.0, -60.0]], requires_grad=True)
    value = loss_of(Run("r", 1, loss=loss))({"logits": logits}, torch.tensor([[0.0, 1.0]]))
    value.backward()
    assert torch.isfinite(value)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_smoothing_keeps_how_often_each_label_holds() -> None:
    targets = (np.random.default_rng(0).random((500, 3)) < [0.02, 0.3, 0.6]).astype(np.float32)
    soft = smoothed(targets, 0.1, neutral=2, neutral_smoothing=0.5)
    assert soft.mean(axis=0) == pytest.approx(targets.mean(axis=0), abs=1e-5)
    gap = soft.max(axis=0) - soft.min(axis=0)
    assert gap == pytest.approx([0.9, 0.9, 0.9 * 0.5], abs=1e-5)
    assert np.array_equal(smoothed(targets, 0.0, 2, 0.0), targets)
