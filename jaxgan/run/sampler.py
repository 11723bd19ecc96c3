"""A trained generator, for commands that look into it."""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan.run import draws, latents
from jaxgan.run.loading import Loaded
from jaxgan.run.trained import class_of, of_noise
from jaxgan.types import Draw, UsageError

__all__ = ["Sampler", "sampler"]


class Sampler(NamedTuple):
    """What draws from noise, with its averaged weights and standing statistics."""

    of: Draw
    state: Any
    key: jax.Array
    """For networks that draw noise of their own."""
    classes: int
    """0 where it does not draw by class."""

    def given(self, seeds, labels=None) -> tuple:
        """`(z [N, Z], ...)`, a row for each seed, as `sample --seeds` has it.

        Args:
            seeds: N of them.
            labels: a class for each, or one for all; by default the classes in turn.
        """
        if not self.classes:
            return latents.given_of(self.of, seeds)
        turns = np.arange(len(seeds)) % self.classes if labels is None else labels
        labels = np.broadcast_to(np.asarray(turns, np.int32), len(seeds))
        return latents.given_of(self.of, seeds, labels)

    def generate(self, given) -> jax.Array:
        """Images `[N, H, W, C]` in [-1, 1], to be traced."""
        return self.of.run(self.state, given, self.key)

    def images(self, given) -> np.ndarray:
        """The same as uint8, in blocks, on all devices that hold the state."""
        return latents.drawer(self.of, self.state, self.key)(given)

    def label(self, loaded: Loaded, label: str | None) -> int | None:
        """The number of a class by its name.

        Raises:
            UsageError: there is no such class.
        """
        found = class_of(loaded, label)
        latents.check_class(found, self.classes)
        return found

    def styles(self, given) -> np.ndarray:
        """The latent w of each row, `[N, L, W]`.

        Raises:
            UsageError: the generator has none.
        """
        if self.of.latent is None:
            raise UsageError("space", "w", ": this run's generator has no such latent.")
        return np.asarray(jax.jit(self.of.latent.of)(self.state, given))

    def of_styles(self) -> "Sampler":
        """The same that is given w in place of z: `(w [N, L, W],)`."""
        latent = self.of.latent
        assert latent is not None, "checked by `styles`"

        def run(state, given, key):
            return latent.run(state, given[0], key)

        return self._replace(of=self.of._replace(run=run), classes=0)


def sampler(loaded: Loaded, truncation: float | None = None) -> Sampler:
    """The generator of a run.

    Raises:
        UsageError: the run translates images, or its generator cannot be truncated.
    """
    _, of = of_noise(loaded)
    of = latents.truncated(of, truncation)
    state = draws.settled(loaded.model, loaded.state)
    conditional = "label" in of.task.needs
    if conditional and not loaded.num_classes:
        raise UsageError("workdir", loaded.path, "draws by class and names no classes.")
    key = latents.keys_of(0)[1]
    return Sampler(of, state, key, loaded.num_classes if conditional else 0)
