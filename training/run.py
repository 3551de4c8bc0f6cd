"""One run of training: an encoder and labelled rows in, a fine-tuned classifier out.

Fine-tuning is transformers' Trainer, with what a CPU of two cores needs: batches of rows of like length, padded to the
longest of the batch, and bfloat16 autocast over float32 master weights (about twice as fast where the CPU has AMX or
AVX512-BF16; elsewhere it is left off). Attention is "eager": at twenty tokens a row it beats the fused kernels here.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from transformers import (
    DistilBertForSequenceClassification,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

from core.model_directory import directory_called
from training.base import load_base, load_classifier
from training.data import Rows
from training.recipe import Recipe, RecipeError, Run
from training.shrink import keep_layers, narrow

_AVERAGE_EVERY = 10  # steps between two steps of the moving average: it costs a pass over all weights


def bf16_is_fast() -> bool:
    """Whether this machine multiplies bfloat16 natively; emulated, it is slower than float32."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return bool(torch.cpu._is_avx512_bf16_supported())


@dataclass
class Tokens(torch.utils.data.Dataset):
    """Tokenized rows for the Trainer: `ids` (n lists, truncated to the window) and float32 `targets` (n, labels)."""

    ids: list[list[int]]
    targets: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": self.ids[index], "labels": self.targets[index]}


def tokenize(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Token ids of each text, [CLS] and [SEP] included, cut at the window; nothing is padded."""
    backend = copy.deepcopy(tokenizer.backend_tokenizer)
    backend.no_padding()
    backend.enable_truncation(max_length)
    return [encoding.ids for encoding in backend.encode_batch(list(texts))]


def collate(rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Rows of unequal length to one batch, padded with 0 ([PAD]) to the longest."""
    longest = max(len(row["input_ids"]) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        length = len(row["input_ids"])
        ids[i, :length] = torch.tensor(row["input_ids"])
        mask[i, :length] = 1
    batch = {"input_ids": ids, "attention_mask": mask}
    if "labels" in rows[0]:
        batch["labels"] = torch.from_numpy(np.stack([row["labels"] for row in rows]))
    return batch


def predict(
    model: DistilBertForSequenceClassification, ids: Sequence[list[int]], batch: int = 64
) -> NDArray[np.float32]:
    """Float32 logits (n, labels) of tokenized rows, in their order; computed sorted by length, without autocast."""
    model.eval()
    order = np.argsort([len(row) for row in ids], kind="stable")
    out = np.zeros((len(ids), model.classifier.out_features), np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            index = order[start : start + batch]
            inputs = collate([{"input_ids": ids[i]} for i in index]).items()
            out[index] = model(**{k: v.to(model.device) for k, v in inputs}).logits.float().cpu().numpy()
    return out


def new_classifier(recipe: Recipe, labels: Sequence[str], dropout: float) -> tuple[Any, PreTrainedTokenizerFast]:
    """The model that every run of the recipe starts from, and its tokenizer.

    The base encoder, cut to the recipe's layers and neurons, under the base's own classifier where it has one, else
    under a fresh one drawn from torch's seed. Raises RecipeError where base and recipe or labels do not fit.
    """
    encoder, tokenizer = load_base(recipe.base)
    if recipe.layers:
        keep_layers(encoder, recipe.layers)
    if recipe.hidden_dim:
        narrow(encoder, recipe.hidden_dim)
    config = encoder.config
    config.num_labels = len(labels)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: i for i, label in enumerate(labels)}
    config.problem_type = "multi_label_classification"
    config.dropout = config.attention_dropout = config.seq_classif_dropout = dropout
    model = DistilBertForSequenceClassification(config)
    model.distilbert.load_state_dict(encoder.state_dict())
    if directory := directory_called(recipe.base):
        if directory.labels != tuple(labels):
            raise RecipeError(f"The base {recipe.base!r} has other labels than the data.")
        head = load_classifier(directory).state_dict()
        model.load_state_dict({k: t for k, t in head.items() if not k.startswith("distilbert.")}, strict=False)
    model.set_attn_implementation("eager")
    return model, tokenizer


def parameter_groups(model: DistilBertForSequenceClassification, run: Run) -> list[dict[str, Any]]:
    """AdamW's groups: rates fall with depth by `layer_decay`, biases, norms and embeddings are not decayed."""
    layers = int(model.config.n_layers)
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


def binary_cross_entropy(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
    """The mean over rows and labels, in float32 whatever the autocast, of soft or hard targets."""
    return torch.nn.functional.binary_cross_entropy_with_logits(outputs["logits"].float(), labels.float())


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


class LikeLengths(torch.utils.data.Sampler[int]):
    """Row indices so that each batch holds rows of like length, batches and rows in random order.

    Transformers' own strategy of that purpose hands out the batches of fifty in falling length, so that the gradient
    drifts with length; here they are shuffled. Draws from torch's global generator, which checkpoints restore.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, pool: int = 50) -> None:
        self.lengths = torch.tensor(lengths)
        self.batch_size, self.pool = batch_size, pool

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        batches: list[torch.Tensor] = []
        for part in torch.randperm(len(self)).split(self.batch_size * self.pool):
            batches += part[self.lengths[part].argsort(descending=True, stable=True)].split(self.batch_size)
        full = [i for i, batch in enumerate(batches) if len(batch) == self.batch_size]
        short = [i for i, batch in enumerate(batches) if len(batch) < self.batch_size]  # last, or it shifts the others
        for i in [full[j] for j in torch.randperm(len(full))] + short:
            yield from batches[i].tolist()


class _Trainer(Trainer):
    """The Trainer with our batches and parameter groups."""

    groups: list[dict[str, Any]]
    lengths: list[int]

    def _get_train_sampler(self, train_dataset: Any = None) -> LikeLengths:
        return LikeLengths(self.lengths, self.args.train_batch_size)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            self.optimizer = torch.optim.AdamW(self.groups, fused=True)
        return self.optimizer


def macro_f1(prediction: Any) -> dict[str, float]:
    """Macro-F1 of logits at one threshold of 0.3: a curve to watch, not a figure to report."""
    logits, gold = prediction
    return {"macro_f1": float(f1_score(gold > 0.5, logits >= math.log(0.3 / 0.7), average="macro", zero_division=0))}


def train_run(
    recipe: Recipe, run: Run, labels: Sequence[str], train: Rows, dev: Rows, targets: NDArray[np.float32], folder: Path
) -> tuple[DistilBertForSequenceClassification, PreTrainedTokenizerFast, list[dict[str, Any]]]:
    """Trains one run, resuming from the last checkpoint in `folder` where there is one.

    Args:
        recipe, run: what to do.
        labels: the model's label names.
        train, dev: rows; dev is only watched, nothing is chosen by it here.
        targets: (n_train, labels) float32, gold or softened by teachers.
        folder: for checkpoints, one for each epoch, the last kept.

    Returns:
        The model in eval mode, its tokenizer, and the Trainer's log: one dict for each report.
    """
    set_seed(run.seed)
    model, tokenizer = new_classifier(recipe, labels, run.dropout)
    if not directory_called(recipe.base):
        with torch.no_grad():  # a new head starts at the labels' frequencies, or first learns only that most are rare
            model.classifier.bias.copy_(torch.logit(torch.from_numpy(targets).mean(dim=0), eps=1e-4))
    model.distilbert.embeddings.word_embeddings.weight.requires_grad_(not run.freeze_words)
    steps = run.max_steps or math.ceil(math.ceil(len(train) / run.batch_size) * run.epochs)
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=run.batch_size,
        per_device_eval_batch_size=128,
        max_steps=steps,
        learning_rate=run.learning_rate,
        lr_scheduler_type=run.schedule,
        warmup_steps=round(run.warmup * steps),
        max_grad_norm=1.0,
        bf16=bf16_is_fast(),
        use_cpu=not torch.cuda.is_available(),
        seed=run.seed,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        logging_steps=max(1, steps // 40),
        report_to="none",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    tokens = Tokens(tokenize(tokenizer, train.texts, recipe.max_length), targets)
    trainer = _Trainer(
        model=model,
        args=arguments,
        data_collator=collate,
        train_dataset=tokens,
        eval_dataset=Tokens(tokenize(tokenizer, dev.texts, recipe.max_length), dev.gold.astype(np.float32)),
        compute_loss_func=binary_cross_entropy,
        compute_metrics=macro_f1,
        callbacks=[Average(run.average)] if run.average else [],
    )
    trainer.groups = parameter_groups(model, run)
    trainer.lengths = [len(row) for row in tokens.ids]
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(folder)) if folder.is_dir() else None)
    history = json.loads(json.dumps(trainer.state.log_history, default=float))
    return model.eval(), tokenizer, history
