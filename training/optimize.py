"""How weights move: which of them at what rate, by which optimizer, and the average that may replace them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import DistilBertForSequenceClassification, TrainerCallback

from training.recipe import Run

_AVERAGE_EVERY = 10  # steps between two steps of the moving average: it costs a pass over all weights


def parameter_groups(model: DistilBertForSequenceClassification, run: Run) -> list[dict[str, Any]]:
    """The optimizer's groups: rates fall with depth by `layer_decay`, biases, norms and embeddings are not decayed."""
    layers = int(model.config.num_hidden_layers)  # both configs know this name
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            continue
        if ".layer." in name:
            below = layers - 1 - int(name.split(".layer.")[1].split(".")[0])
        else:
            below = layers if ".embeddings." in name else 0
        rate = run.learning_rate * run.layer_decay**below
        if "classifier" in name and run.head_rate:
            rate = run.head_rate
        decay = 0.0 if weight.ndim < 2 or ".embeddings." in name else run.weight_decay
        groups.setdefault((rate, decay), []).append(weight)
    return [{"params": p, "lr": rate, "weight_decay": decay} for (rate, decay), p in groups.items()]


def optimizer_of(run: Run, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The optimizer a run asks for, over `parameter_groups`; decay is decoupled in all of them."""
    if run.optimizer == "nadam":
        return torch.optim.NAdam(groups, decoupled_weight_decay=True)
    if run.optimizer == "adafactor":
        return torch.optim.Adafactor(groups)
    return torch.optim.AdamW(groups, fused=True)


class Average(TrainerCallback):
    """An exponential moving average of the weights, which replaces them when the run ends (Polyak & Juditsky 1992).

    It is kept beside each checkpoint, so that a resumed run ends with the same average.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.weights: dict[str, torch.Tensor] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        saved = Path(args.output_dir) / f"checkpoint-{state.global_step}" / "average.pt"
        if state.global_step and saved.is_file():
            self.weights = torch.load(saved, weights_only=True)
        else:
            self.weights = {name: weight.detach().clone() for name, weight in model.state_dict().items()}

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        if state.global_step % _AVERAGE_EVERY == 0:
            # Early on the average looks back over a tenth of the steps only, or the start would weigh for ever.
            decay = min(self.decay, state.global_step / (state.global_step + 10 * _AVERAGE_EVERY))
            for name, weight in model.state_dict().items():
                self.weights[name].lerp_(weight.detach(), 1 - decay)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        torch.save(self.weights, Path(args.output_dir) / f"checkpoint-{state.global_step}" / "average.pt")

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        model.load_state_dict(self.weights)
