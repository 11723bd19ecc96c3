"""What a classifier says of samples: Inception Score, class coverage and entropy."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from jaxgan.metrics.float64 import features

__all__ = ["class_shares", "entropy", "inception_score", "matched_accuracy"]


def inception_score(logits, splits: int = 10, seed: int = 2020) -> tuple[float, float]:
    """exp E KL(p(y|x) || p(y)) (Salimans et al., 2016, arXiv:1606.03498).

    Args:
        logits: `[N, classes]`.
        splits: parts that the shuffled samples are divided into.
        seed: decides the shuffle, which is torch-fidelity's for the same seed.

    Returns:
        Its mean and standard deviation over splits, from 1 to the number of classes.

    Raises:
        ValueError: there are fewer samples than splits.
    """
    logits = features("inception_score: logits", logits).astype(np.float64)
    if not 1 <= splits <= len(logits):
        raise ValueError(
            f"inception_score: splits {splits} must be 1 to {len(logits)}, the samples."
        )
    logits = logits[np.random.RandomState(seed).permutation(len(logits))]
    log_p = logits - np.logaddexp.reduce(logits, 1, keepdims=True)
    n, scores = len(logits), []
    for i in range(splits):
        part = log_p[i * n // splits : (i + 1) * n // splits]
        p = np.exp(part)
        log_q = np.log(np.maximum(p.mean(0), np.finfo(float).tiny))
        scores.append(np.exp((p * (part - log_q)).sum(1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def class_shares(labels, num_classes: int) -> np.ndarray:
    """The share of each class among labels `[N]`, float64 `[num_classes]`.

    Raises:
        ValueError: there are no labels, or one is of no class.
    """
    labels = np.asarray(labels)
    if (
        labels.ndim != 1
        or not len(labels)
        or not 0 <= labels.min() <= labels.max() < num_classes
    ):
        raise ValueError(
            f"class_shares: labels must be [N], N > 0, in 0 ... {num_classes - 1}; got "
            f"shape {labels.shape}."
        )
    return np.bincount(labels, minlength=num_classes) / len(labels)


def matched_accuracy(codes, labels) -> float:
    """How often codes name the classes, after the assignment of codes that is best.

    What unsupervised clustering is judged by (each code is given one class, by the
    Hungarian algorithm).

    Args:
        codes: int `[N]`, from 0.
        labels: int `[N]`, from 0.

    Raises:
        ValueError: they are not of one length above 0.
    """
    codes, labels = np.asarray(codes), np.asarray(labels)
    if codes.ndim != 1 or codes.shape != labels.shape or not len(codes):
        raise ValueError(
            f"matched_accuracy: codes and labels must be [N], N > 0; got "
            f"{codes.shape} and {labels.shape}."
        )
    counts = np.zeros((codes.max() + 1, labels.max() + 1))
    np.add.at(counts, (codes, labels), 1)
    return float(counts[linear_sum_assignment(-counts)].sum() / len(codes))


def entropy(shares) -> float:
    """Of a distribution over classes, in nats; ln(classes) when all are equal."""
    shares = np.asarray(shares, np.float64)
    present = shares[shares > 0]
    return float(abs((present * np.log(present)).sum()))
