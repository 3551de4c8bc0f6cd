"""A recipe: everything that decides what weights come out, read from one TOML file under `configs/`.

A recipe is a list of runs in order. Each starts from the base weights and learns from the gold labels, or in part from
the mean prediction of its teachers: earlier runs or finished model directories (Hinton et al. 2015; students of the
same shape gain too, Furlanello et al. 2018). The base may be a model directory too, of which a smaller student keeps
some layers and neurons. The last run is what ships. So one command, and one seed in the file, reproduce the shipped
model however many models it took.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from core.errors import EmobatchError
from core.model_directory import directory_called
from training.calibrate import METHOD, Method

CONFIGS = Path(__file__).resolve().parent / "configs"
LOSSES = ("bce", "focal", "asymmetric")
OPTIMIZERS = ("adamw", "nadam", "adafactor")
VARIANTS = ("words", "synonyms", "contextual")
LABEL_SETS = ("goemotions", "polarity")
MPNET = "mpnet-base"
"""The name by which a run asks for the weights of `training.mpnet` as its base."""


class RecipeError(EmobatchError):
    """A config file is missing or does not make sense."""


@dataclass(frozen=True)
class Run:
    """One pass of training, from weights to weights.

    Rates are per optimizer step of `batch_size` rows; `warmup` is a share of all steps. `layer_decay` multiplies the
    rate once for each layer below the top (1 = off), `head_rate` is the new classifier's rate (0 = `learning_rate`).
    `average` is the decay of an exponential moving average of the weights, which is then the run's result (0 = off).
    `teacher_weight` is the share of the teachers' prediction in the target; `teachers` are names of earlier runs or
    of model directories. `base` is `mpnet-base` for a run that only teaches (`training.mpnet`); empty: the recipe's.
    `unlabelled` names sets under `training/domains/` whose choosing part is learnt too: its texts alone, from teachers.
    `augment` is how many variants of each row are learnt besides it, only from what the teachers say of them.
    `augment_with` says how they are made; synonyms and contextual variants keep their row's gold label.
    `freeze_words` leaves the word embeddings as they are: half of all weights, most of them for words the data lacks.
    `frozen_layers` does the same with so many of the lowest layers of `mpnet-base`.
    `share` is how much of train is learnt, the same part for every seed. `loss` is one of LOSSES, with `focus` (γ, of
    negatives), `focus_positive` and `margin` as in `training.losses`; `label_smoothing` and `neutral_smoothing` soften
    targets there. `drop_tokens` and `mask_tokens` are shares of a row's tokens, drawn anew each epoch; `mixup` is the α
    of its Beta distribution (0 = off).
    `patience` stops a run after so many epochs without a better macro-F1 on dev and keeps the best (0 = off).
    `max_steps` cuts a run short (0 = off): for tests.
    """

    name: str
    seed: int
    epochs: float = 4
    batch_size: int = 64
    learning_rate: float = 2e-4
    head_rate: float = 0.0
    layer_decay: float = 1.0
    weight_decay: float = 0.01
    warmup: float = 0.06
    schedule: str = "linear"
    dropout: float = 0.1
    freeze_words: bool = False
    frozen_layers: int = 0
    average: float = 0.0
    teachers: tuple[str, ...] = ()
    teacher_weight: float = 0.0
    base: str = ""
    unlabelled: tuple[str, ...] = ()
    augment: int = 0
    augment_with: str = "words"
    share: float = 1.0
    optimizer: str = "adamw"
    loss: str = "bce"
    focus: float = 2.0
    focus_positive: float = 0.0
    margin: float = 0.05
    label_smoothing: float = 0.0
    neutral_smoothing: float = 0.0
    drop_tokens: float = 0.0
    mask_tokens: float = 0.0
    mixup: float = 0.0
    patience: int = 0
    max_steps: int = 0

    def __post_init__(self) -> None:
        if self.epochs <= 0 or self.batch_size < 1 or self.learning_rate <= 0:
            raise RecipeError(f"Run {self.name!r}: epochs, batch_size and learning_rate must be over 0.")
        shares = (
            *(self.teacher_weight, self.warmup, self.dropout, self.average, self.share, self.margin),
            *(self.label_smoothing, self.neutral_smoothing, self.drop_tokens + self.mask_tokens),
        )
        if not all(0 <= share <= 1 for share in shares) or not 0 < self.layer_decay <= 1:
            raise RecipeError(f"Run {self.name!r}: a share is not between 0 and 1.")
        if bool(self.teachers) != bool(self.teacher_weight):
            raise RecipeError(f"Run {self.name!r}: teachers and teacher_weight go together.")
        if not self.teachers and (self.unlabelled or (self.augment and self.augment_with == "words")):
            raise RecipeError(f"Run {self.name!r} learns texts without gold labels: it needs teachers.")
        if self.base not in ("", MPNET) or (self.base and self.mixup):
            raise RecipeError(f"Run {self.name!r}: base is {MPNET!r} or left out, and mixup is not for it.")
        for value, known in ((self.loss, LOSSES), (self.optimizer, OPTIMIZERS), (self.augment_with, VARIANTS)):
            if value not in known:
                raise RecipeError(f"Run {self.name!r}: {value!r} is not one of {', '.join(known)}.")
        if self.patience and self.average:
            raise RecipeError(f"Run {self.name!r}: patience keeps the best epoch, average a mean of all: choose one.")


@dataclass(frozen=True)
class Recipe:
    """A named model, the base it starts from, the window it reads (tokens, [CLS] and [SEP] included), and its runs.

    `layers` are the base's layers that every run keeps (none named: all); `hidden_dim` is how many neurons are left in
    each feed-forward block (0: all). A base that is a model directory brings its classifier along. `labels` is what is
    learnt: GoEmotions' 28, or `polarity`, positive and negative. `note` is a sentence for the model card that no record
    can know. Version "0" is what never ships: it is written under `.training/`, not `models/`. `recorded` says whether
    its record belongs on the page of all runs. `calibration` is how scores and thresholds are fitted on dev.
    """

    name: str
    version: str
    base: str
    max_length: int
    runs: tuple[Run, ...]
    layers: tuple[int, ...] = ()
    hidden_dim: int = 0
    labels: str = "goemotions"
    note: str = ""
    recorded: bool = True
    calibration: Method = METHOD

    def __post_init__(self) -> None:
        earlier: set[str] = set()
        for run in self.runs:
            if run.name in earlier:
                raise RecipeError(f"Two runs are called {run.name!r}.")
            if unknown := [name for name in run.teachers if name not in earlier and not directory_called(name)]:
                raise RecipeError(
                    f"Run {run.name!r} has teachers that do not come before it, and no model directory is called so: "
                    f"{', '.join(unknown)}."
                )
            earlier.add(run.name)
        if not all(isinstance(index, int) for index in (*self.layers, self.hidden_dim)):
            raise RecipeError("layers is a list of whole numbers, and hidden_dim a whole number.")
        if not self.runs or self.runs[-1].base:
            raise RecipeError("The recipe has no run that ends in a model directory.")
        if self.labels not in LABEL_SETS:
            raise RecipeError(f"labels = {self.labels!r} is not one of {', '.join(LABEL_SETS)}.")

    def to_dict(self) -> dict[str, Any]:
        """The recipe as it is written to the training record."""
        return asdict(self)

    def key(self, run: Run, data_sha256: str) -> str:
        """A hash of all that decides a run's weights but the code: a finished run with the same key is not repeated."""
        runs = {other.name: other for other in self.runs}
        teachers = [self.key(runs[t], data_sha256) if t in runs else identity_of(t) for t in sorted(run.teachers)]
        shape = [self.labels] if run.base else [self.layers, self.hidden_dim, self.labels]
        parts = [asdict(run), run.base or identity_of(self.base), shape, self.max_length, data_sha256, teachers]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def identity_of(name: str) -> str:
    """A model directory's hash, so that a run is repeated when its base or teacher was exchanged; else the name."""
    directory = directory_called(name)
    return directory.sha256 if directory else name


def read_recipe(name_or_path: str | Path) -> Recipe:
    """The recipe in a TOML file, or in the config of that name under `training/configs/`.

    Top level: name, version, base, max_length, and for a smaller student layers and hidden_dim; `[defaults]` holds for
    every `[[runs]]`, which says the rest.
    Raises RecipeError naming what is missing or unknown.
    """
    path = Path(name_or_path)
    if not path.suffix:
        path = CONFIGS / f"{path}.toml"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        known = ", ".join(sorted(p.stem for p in CONFIGS.glob("*.toml")))
        raise RecipeError(f"No recipe in {path}: {error}.", next_step=f"Configs: {known}.") from error
    defaults = content.pop("defaults", {})
    try:
        runs = tuple(_run(defaults | row) for row in content.pop("runs"))
        method = Method(**content.pop("calibration", {}))
        return Recipe(**content | {"layers": tuple(content.get("layers", ()))}, runs=runs, calibration=method)
    except (KeyError, TypeError, ValueError) as error:
        raise RecipeError(f"{path.name}: {error}.") from error


def _run(row: dict[str, Any]) -> Run:
    if unknown := set(row) - {field.name for field in fields(Run)}:
        raise RecipeError(f"A run has unknown settings: {', '.join(sorted(unknown))}.")
    return Run(**row | {key: tuple(row.get(key, ())) for key in ("teachers", "unlabelled")})
