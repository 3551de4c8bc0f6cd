"""What a model must beat: the most frequent label, and words counted.

The second is TF-IDF of words and word pairs under one logistic regression a label (scikit-learn), fitted on train. Its
log-odds go the way of a model's logits: calibrated and thresholded on dev like them, so that only what the model knows
is compared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from training.data import Rows

_SURE = 8.0  # a logit that no threshold and no rounding changes


def majority_logits(train: Rows, n: int) -> NDArray[np.float16]:
    """Logits (n, labels) that say train's most frequent label of every text, and no other."""
    logits = np.full((n, train.gold.shape[1]), -_SURE, np.float16)
    logits[:, int(train.gold.sum(axis=0).argmax())] = _SURE
    return logits


def fit_words(train: Rows) -> Pipeline:
    """The classifier by counted words, fitted on train; a minute or less on one core for GoEmotions."""
    return make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, dtype=np.float32),
        OneVsRestClassifier(LogisticRegression(C=4.0, solver="liblinear")),
    ).fit(train.texts, train.gold)


def words_logits(fitted: Pipeline, texts: list[str]) -> NDArray[np.float16]:
    """Its log-odds (n, labels), as float16 like a model's logits."""
    return np.asarray(fitted.decision_function(texts)).astype(np.float16)
