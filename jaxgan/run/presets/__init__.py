"""Groups of options that experiments share, and what is built of them.

An experiment is a dataclass of such groups, a table of presets and a `build`.
"""

from jaxgan.run.presets import classic, paired
from jaxgan.run.presets.groups import DCGAN, Optimizers, adams, labelled

__all__ = ["DCGAN", "Optimizers", "adams", "classic", "labelled", "paired"]
