"""A small classifier of MNIST, whose features stand in for Inception's on digits.

Its weights come with the package; `experiments/mnist_classifier.py` made them and says
how well they do. A Fréchet distance on its features is `fd_mnist`, and never FID.
"""

from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxgan.data import archives
from jaxgan.models.layers import Conv, batch_norm
from jaxgan.text import shortened
from jaxgan.types import UsageError

__all__ = ["Classifier", "classify", "classify_stacked", "maps", "save", "weights"]

SHAPE = (28, 28, 1)
WEIGHTS = Path(__file__).with_name("mnist_classifier.npz")


class Classifier(nn.Module):
    """`images [B, 28, 28, 1] in [-1, 1] -> (features [B, 128], logits [B, 10])`.

    It takes images of any size, and other numbers of `classes`, where it is trained for
    them (`metrics.training`)."""

    classes: int = 10

    @nn.compact
    def __call__(self, x, train: bool = True):
        for features, stride in ((32, 1), (64, 2), (64, 1), (128, 2)):
            x = Conv(features, (3, 3), (stride, stride), use_bias=False)(x)
            x = nn.relu(batch_norm(train)(x))
            self.sow("intermediates", "maps", x)
        x = x.mean((1, 2))
        return x, nn.Dense(self.classes)(x)


@cache
def weights(path: str | Path = WEIGHTS) -> dict:
    """Variables from a file, by default the package's, float32.

    Raises:
        UsageError: it cannot be read, or holds others.
    """
    try:
        with archives.archive(Path(path)) as found:
            arrays = {
                tuple(name.removesuffix(".npy").split("/")): archives.array(
                    archives.contents(found, name)
                ).astype(np.float32)
                for name in found.namelist()
            }
        variables = unflatten_dict(arrays)
        image = jax.ShapeDtypeStruct((1, *SHAPE), np.uint8)
        jax.eval_shape(classify, variables, image)
    # What other arrays meet depends on their names and shapes.
    except Exception as error:
        reason = f"holds no weights of the classifier ({shortened(repr(error))})."
        raise UsageError("path", path, reason) from None
    return variables


def save(path: str | Path, params, stats) -> None:
    """Writes variables for `weights` to read, in half precision."""
    flat = flatten_dict({"params": params, **stats}, sep="/")
    arrays: dict[str, Any] = {k: np.asarray(v, np.float16) for k, v in flat.items()}
    np.savez_compressed(path, **arrays)


def classify(variables, images):
    """`uint8 [B, 28, 28, 1] -> (features [B, 128], logits [B, 10])`, float32."""
    x = images.astype(jnp.float32) / 127.5 - 1
    return Classifier().apply(variables, x, train=False)


def maps(variables, images) -> list:
    """The last activations of each size, `[[B, 28, 28, 32], [B, 14, 14, 64], [B, 7, 7,
    128]]`, of images `[B, 28, 28, 1]` in [-1, 1]."""
    net, keep = Classifier(), "intermediates"
    kept: Any = net.apply(variables, images, train=False, mutable=keep)[1]
    first, _, second, third = kept["intermediates"]["maps"]
    return [first, second, third]


def classify_stacked(variables, images):
    """`uint8 [B, 28, 28, 3] -> (features [B, 384], logits [B, 1000])`, float32.

    Each colour is a digit; class 123 has a 1 in red, a 2 in green and a 3 in blue.
    """
    colors = jnp.moveaxis(images, 3, 1).reshape(-1, *SHAPE)
    features, logits = classify(variables, colors)
    r, g, b = jnp.moveaxis(logits.reshape(-1, 3, 10), 1, 0)
    joint = r[:, :, None, None] + g[:, None, :, None] + b[:, None, None, :]
    return features.reshape(len(images), -1), joint.reshape(len(images), -1)
