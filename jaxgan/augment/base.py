"""The interface between an augmentation and recipes."""

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Augmentation"]


def _kept(memory, real_logits):
    return memory


def _silent(memory, real_logits):
    return {}


class Augmentation(NamedTuple):
    """What D is shown in place of images."""

    of: Callable
    """`(images, key, step, memory) -> images`"""
    memory: Any = ()
    """What it remembers from one step to the next, at first."""
    adapt: Callable = _kept
    """`(memory, D's logits of real images [B]) -> memory`, after each judgement of
    D's loss."""
    metrics: Callable = _silent
    """`(memory, D's logits of real images [B]) -> metrics by name`, scalars of D's
    loss; only asked of an augmentation with a memory."""
