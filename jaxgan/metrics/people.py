"""What people take for real: HYPE's error rate (Zhou et al., 2019, arXiv:1904.01121).

HYPE-infinity: people look at images one at a time, half of them real and half drawn,
for as long as they like, and say of each which it is. The share of wrong answers is 0.5
where samples cannot be told from real images, and more where they are taken for real
rather than the real ones. Its interval is a bootstrap over people and over their
judgements; the paper's is over its 30 people alone, which needs as many.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Verdict", "needed", "unveiled", "veil", "verdict"]

RESAMPLES = 10_000
Z = 1.959964
"""Deviations to either side that hold 95 % of a normal."""


class Verdict(NamedTuple):
    """What people say."""

    error_rate: float
    """The share of wrong answers, of all."""
    interval: tuple[float, float]
    """In which it is with 95 %."""
    deviation: float
    """Its standard error."""
    on_real: float | None
    """The share of real images that were called drawn; None where there were none."""
    on_drawn: float | None
    """The share of drawn images that were called real."""
    judgements: int
    people: int


def verdict(
    truths: Sequence[np.ndarray], answers: Sequence[np.ndarray], seed: int = 0
) -> Verdict:
    """The error rate of some people.

    Args:
        truths: by person, bool `[n]`, whether each image that was judged is drawn.
        answers: by person, bool `[n]`, whether it was called so.
        seed: decides the bootstrap.

    Raises:
        ValueError: nobody judged anything, or shapes differ.
    """
    pairs = [
        (np.asarray(t, bool), np.asarray(a, bool))
        for t, a in zip(truths, answers, strict=True)
    ]
    if not pairs or any(t.shape != a.shape or not len(t) for t, a in pairs):
        raise ValueError("verdict: a truth and an answer for each of some judgements.")
    wrong = [t != a for t, a in pairs]
    rng, found = np.random.default_rng(seed), np.zeros(RESAMPLES)
    for i in range(RESAMPLES):
        who = rng.integers(len(wrong), size=len(wrong))
        some = [wrong[k][rng.integers(len(wrong[k]), size=len(wrong[k]))] for k in who]
        found[i] = np.concatenate(some).mean()
    low, high = np.quantile(found, (0.025, 0.975))
    truth, every = (np.concatenate(x) for x in ([t for t, _ in pairs], wrong))

    def share(which):
        return float(every[which].mean()) if which.any() else None

    return Verdict(
        float(every.mean()),
        (float(low), float(high)),
        float(found.std(ddof=1)),
        share(~truth),
        share(truth),
        len(every),
        len(pairs),
    )


def needed(rate: float, half: float = 0.05) -> int:
    """How many judgements a 95 % interval of `rate` ± `half` takes."""
    spread = max(rate * (1 - rate), 0.05 * 0.95)  # of none wrong nothing would follow
    return math.ceil(spread * (Z / half) ** 2)


def veil(page: str, truth: Sequence[int]) -> str:
    """Truths, 0 or 1, as text that does not show them: each turned or not by a hash
    (FNV-1a) of the page and of its place, so that equal ones do not look it.

    It keeps a judge from seeing them by accident; who wants to can undo it, as the page
    itself does once all is answered.
    """
    return "".join(str(int(t) ^ _turned(page, i)) for i, t in enumerate(truth))


def unveiled(page: str, text: str) -> list[int]:
    """The truths of `veil`."""
    return [int(c) ^ _turned(page, i) for i, c in enumerate(text)]


def _turned(page, i):
    h = 0x811C9DC5
    for byte in f"{page}:{i}".encode():
        h = ((h ^ byte) * 0x01000193) % 2**32
    h ^= h >> 16
    return (h ^ (h >> 8) ^ (h >> 4)) & 1
