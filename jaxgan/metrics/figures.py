"""The figures of images that have been looked at, their errors, and notes on them."""

import math
import warnings

import numpy as np

from jaxgan.metrics.seen import Seen

__all__ = ["figures", "with_errors"]

PARTS = 4
ESTIMATES = "samples", "floor"
"""Columns on whose size there are notes; a ceiling is no estimate."""


def with_errors(measures, seen, extractor):
    """What `evaluate` has as "metrics", and notes on it.

    Args:
        measures: as `see` had them.
        seen: by column what was seen, "samples" first; "reference" is compared with.
        extractor: what they were looked at by.
    """
    columns = dict(seen)
    real, samples = columns.pop("reference", None), seen["samples"]
    found, notes = {}, []
    for name, one in columns.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found[name] = figures(measures, one, real, extractor)
        if name in ESTIMATES:
            label = "Value" if name == "samples" else name.capitalize()
            notes += [f"{label}: {warning.message}" for warning in caught]
    errors = _errors(measures, samples, real, extractor)
    values = found.pop("samples")
    table = {
        name: {
            "value": _finite(value),
            "error": _finite(errors[name]),
            **{column: _finite(of.get(name)) for column, of in found.items()},
        }
        for name, value in values.items()
    }
    return table, notes


def figures(measures, seen: Seen, real: Seen | None, extractor) -> dict:
    """All figures, in the order of the measures."""
    out: dict[str, float] = {}
    for one, each in zip(measures, seen.each, strict=True):
        if one.of_set:
            out |= one.of_set(seen, real, extractor, 0)
        out |= {name: float(x.mean()) for name, x in each.items()}
    return out


def _errors(measures, seen: Seen, real: Seen | None, extractor) -> dict:
    """Standard errors; of measures of a set, rough ones by quarters."""
    out: dict[str, float] = {}
    for one, each in zip(measures, seen.each, strict=True):
        if one.of_set:
            out |= _rough_errors(one, seen, real, extractor)
        deviations = {name: x.std(ddof=1) for name, x in each.items()}
        out |= {name: float(x / seen.count**0.5) for name, x in deviations.items()}
    return out


def _rough_errors(measure, seen, real, extractor):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quarters are no estimates
        quarters = [
            measure.of_set(seen.part(i, PARTS), real, extractor, 0)
            for i in range(PARTS)
        ]
    spread = {k: np.std([q[k] for q in quarters], ddof=1) for k in quarters[0]}
    return {name: float(value / PARTS**0.5) for name, value in spread.items()}


def _finite(value):
    return value if value is not None and math.isfinite(value) else None
