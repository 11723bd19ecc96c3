"""Steps of every recipe on a device and on its host's CPU: how far they part.

    python -m benchmarks.device_numbers gpu

Prints a JSON object, by recipe, of `compared`'s values.
"""

import json
import os
import sys

STEPS = 3
DTYPES = ("float32", "bfloat16")


def compared(name: str, device, host) -> dict[str, float]:
    """Weights of a tiny model after some steps of SGD on either.

    Args:
        name: in `small_recipes.RECIPES`.
        device: the one that is checked.
        host: a CPU, which computes in float32.

    Returns:
        The largest difference between a weight here and there, as a share of how far
        the weights went at most: "float32", of products in full precision, and
        "bfloat16", of layers in that.
    """
    import jax

    from benchmarks.small_recipes import model

    start, wanted = _after(model(name), host)
    went = _apart(start, wanted)
    found = {dtype: _after(model(name, dtype), device)[1] for dtype in DTYPES}
    jax.clear_caches()
    return {dtype: _apart(wanted, weights) / went for dtype, weights in found.items()}


def _after(made, device):
    """A model's weights at first and after some steps, on the device."""
    import jax

    from benchmarks.small_recipes import ROWS

    with jax.default_device(device), jax.default_matmul_precision("highest"):
        state = first = made.init(jax.random.key(0), ROWS)
        step = jax.jit(made.step)
        for t in range(STEPS):
            state, _ = step(state, ROWS, jax.random.fold_in(jax.random.key(0), t))
        return first.params, state.params


def _apart(one, other):
    import jax
    import numpy as np

    one, other = jax.device_get((one, other))
    each = jax.tree.map(lambda a, b: np.abs(a - b).max(), one, other)
    return float(max(jax.tree.leaves(each)))


def main(platform: str, names: list[str]) -> None:
    os.environ["JAX_PLATFORMS"] = "cuda,cpu" if platform == "gpu" else "cpu"
    import jax

    from benchmarks.small_recipes import RECIPES

    device, host = jax.devices()[0], jax.devices("cpu")[-1]
    found = {name: compared(name, device, host) for name in names or RECIPES}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
