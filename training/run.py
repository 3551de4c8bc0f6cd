"""One run of training: an encoder and labelled rows in, a fine-tuned classifier out.

Fine-tuning is transformers' Trainer, with what a CPU of two cores needs: batches of rows of like length, padded to the
longest of the batch, and bfloat16 autocast over float32 master weights (about twice as fast where the CPU has AMX or
AVX512-BF16; elsewhere it is left off). Attention is "eager": at twenty tokens a row it beats the fused kernels here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score
from transformers import (
    DistilBertForSequenceClassification,
    EarlyStoppingCallback,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

from core.model_directory import directory_called
from training.base import load_base, load_classifier
from training.batches import LikeLengths, Noise, Tokens, collate, tokenize
from training.data import NEUTRAL, Rows
from training.losses import loss_of, smoothed
from training.mpnet import new_mpnet
from training.optimize import Average, optimizer_of, parameter_groups
from training.recipe import Recipe, RecipeError, Run
from training.shrink import keep_layers, narrow

SAVE_STEPS = 100
"""Of the larger model: a few minutes of work. A checkpoint takes a second."""


def bf16_is_fast() -> bool:
    """Whether this machine multiplies bfloat16 natively; emulated, it is slower than float32."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return bool(torch.cpu._is_avx512_bf16_supported())


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


def new_model(recipe: Recipe, run: Run, labels: Sequence[str], work: Path) -> tuple[Any, PreTrainedTokenizerFast]:
    """What one run starts from: the recipe's `new_classifier`, or a base of its own, unpacked under `work`."""
    return new_mpnet(labels, run.dropout, work) if run.base else new_classifier(recipe, labels, run.dropout)


def mixed(model: DistilBertForSequenceClassification, inputs: dict[str, Any], alpha: float) -> dict[str, Any]:
    """A batch whose rows are each blended with another, in word embeddings and in targets (mixup, Zhang et al. 2018).

    λ is drawn from Beta(α, α) once a batch and taken from its upper half, so that a row's own part is the larger.
    A row is as long as the longer of its two.
    """
    share = torch.distributions.Beta(alpha, alpha).sample()
    share = torch.maximum(share, 1 - share)
    other = torch.randperm(len(inputs["labels"]))
    words = model.distilbert.embeddings.word_embeddings(inputs["input_ids"])
    return {
        "inputs_embeds": share * words + (1 - share) * words[other],
        "attention_mask": inputs["attention_mask"] | inputs["attention_mask"][other],
        "labels": share * inputs["labels"] + (1 - share) * inputs["labels"][other],
    }


class _Trainer(Trainer):
    """The Trainer with our batches, parameter groups and mixup."""

    run: Run
    lengths: list[int]

    def _get_train_sampler(self, train_dataset: Any = None) -> LikeLengths:
        return LikeLengths(self.lengths, self.args.train_batch_size, seed=self.args.seed)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            classifier: Any = self.model
            self.optimizer = optimizer_of(self.run, parameter_groups(classifier, self.run))
        return self.optimizer

    def compute_loss(self, model: Any, inputs: Any, *arguments: Any, **named: Any) -> Any:
        if self.run.mixup and model.training:
            inputs = mixed(model, inputs, self.run.mixup)
        return super().compute_loss(model, inputs, *arguments, **named)


def watched(prediction: Any) -> dict[str, float]:
    """Macro-F1 of logits at one threshold of 0.3, and macro average precision, which needs none: curves to watch."""
    logits, gold = prediction[0], prediction[1] > 0.5
    held = gold.any(axis=0)
    return {
        "macro_f1": float(f1_score(gold, logits >= math.log(0.3 / 0.7), average="macro", zero_division=0)),
        "macro_ap": float(average_precision_score(gold[:, held], logits[:, held], average="macro")),
    }


def train_run(
    recipe: Recipe,
    run: Run,
    labels: Sequence[str],
    train: Rows,
    dev: Rows,
    targets: NDArray[np.float32],
    folder: Path,
    watch: TrainerCallback | None = None,
) -> tuple[DistilBertForSequenceClassification, PreTrainedTokenizerFast, list[dict[str, Any]]]:
    """Trains one run, resuming from the last checkpoint in `folder` where there is one.

    Args:
        recipe, run: what to do.
        labels: the model's label names.
        train, dev: rows; dev is only watched, unless the run has `patience`: then it says which epoch is kept.
        targets: (n_train, labels) float32, gold or softened by teachers.
        folder: for checkpoints, one for each epoch, the last kept (with `patience` the best too); of the larger model,
            whose epochs take long, one every `SAVE_STEPS`.
        watch: told of every evaluation, as a callback of the Trainer.

    Returns:
        The model in eval mode, its tokenizer, and the Trainer's log: one dict for each report.
    """
    set_seed(run.seed)
    model, tokenizer = new_model(recipe, run, labels, folder.parent.parent)
    if run.base or not directory_called(recipe.base):
        with torch.no_grad():  # a new head starts at the labels' frequencies, or first learns only that most are rare
            model.classifier.bias.copy_(torch.logit(torch.from_numpy(targets).mean(dim=0), eps=1e-4))
    if run.base:
        model.freeze(run.frozen_layers)
    else:
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
        save_strategy="steps" if run.base and not run.patience else "epoch",
        save_steps=SAVE_STEPS,
        save_total_limit=1,
        load_best_model_at_end=run.patience > 0,
        metric_for_best_model="macro_f1",
        logging_steps=max(1, steps // 40),
        report_to="none",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    noise = None
    if run.drop_tokens or run.mask_tokens:
        noise = Noise(run.drop_tokens, run.mask_tokens, int(tokenizer.mask_token_id))
    neutral = list(labels).index(NEUTRAL) if NEUTRAL in labels else None
    targets = smoothed(targets, run.label_smoothing, neutral, run.neutral_smoothing)
    tokens = Tokens(tokenize(tokenizer, train.texts, recipe.max_length), targets, noise)
    callbacks: list[TrainerCallback] = [Average(run.average)] if run.average else []
    if run.patience:
        callbacks.append(EarlyStoppingCallback(run.patience))
    if watch:
        callbacks.append(watch)
    trainer = _Trainer(
        model=model,
        args=arguments,
        data_collator=collate,
        train_dataset=tokens,
        eval_dataset=Tokens(tokenize(tokenizer, dev.texts, recipe.max_length), dev.gold.astype(np.float32)),
        compute_loss_func=loss_of(run),
        compute_metrics=watched,
        callbacks=callbacks,
    )
    trainer.run = run
    trainer.lengths = [len(row) for row in tokens.ids]
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(folder)) if folder.is_dir() else None)
    history = json.loads(json.dumps(trainer.state.log_history, default=float))
    return model.eval(), tokenizer, history
