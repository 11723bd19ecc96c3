"""Weights of StyleGAN2-ADA's PyTorch program, for `models.stylegan2`.

Arrays have the names of the program's `state_dict`, behind `G_ema.` for the generator
and `D.` for the discriminator. Of equalized layers both programs keep what is drawn
from N(0, 1), so that numbers are the same; axes are in another order.
"""

import re
from collections.abc import Mapping

import numpy as np

from jaxgan.types import UsageError

__all__ = ["converted"]


def _dense(x):
    return x.T if x.ndim == 2 else x


def _conv(x):
    """`[out, in, k, k]`, or of a bias as it is."""
    return x.transpose(2, 3, 1, 0) if x.ndim == 4 else x


def _flipped(x):
    """Of a convolution that doubles: theirs turns its kernel around."""
    return _conv(x)[::-1, ::-1] if x.ndim == 4 else x


def converted(arrays: Mapping[str, np.ndarray]) -> dict[str, dict]:
    """Weights by network, as trees.

    Args:
        arrays: by name. A generator and a discriminator, or one of them.

    Returns:
        `{"params": {network: tree}, "stats": {network: tree}}`, of the networks
        `mapping` and `synthesis`, and of `D`.

    Raises:
        UsageError: a name is not of those networks, such as of another architecture
            than config F's: skip connections in G, residual blocks in D.
    """
    found: dict[str, dict] = {"params": {}, "stats": {}}
    largest = max(map(_size, arrays), default=0)
    for name, x in arrays.items():
        place = _place(name, largest)
        if place is None:
            reason = "is no array of StyleGAN2-ADA's networks of config F."
            raise UsageError("input", name, reason)
        path, change = place
        if not path:
            continue
        field, *keys, last = path.split("/")
        tree = found[field]
        for key in keys:
            tree = tree.setdefault(key, {})
        tree[last] = np.array(change(np.asarray(x)), order="C")
    _in_rows(found["params"].get("D", {}))
    return found


def _in_rows(D):
    """The layer behind the last convolution takes pixels in rows of channels."""
    if "dense" not in D:
        return
    kernel = D["dense"]["kernel"]
    c = D["conv"]["kernel"].shape[3]
    side = round((len(kernel) // c) ** 0.5)
    pixels = kernel.reshape(c, side, side, -1).transpose(1, 2, 0, 3)
    D["dense"]["kernel"] = pixels.reshape(kernel.shape)


def _size(name):
    found = re.match(r"D\.b(\d+)\.", name)
    return int(found[1]) if found else 0


def _same(x):
    return x


NAMES = {"weight": "kernel", "bias": "bias"}


def _place(name, largest):
    """Where an array belongs, `(path, change)`; with "" what is not needed. None for
    unknown names."""
    *_, last = name.split(".")
    if last == "resample_filter":
        return "", _same
    if name == "G_ema.mapping.w_avg":
        return "stats/mapping/average/w", _same
    leaf = NAMES.get(last, last)
    if found := re.match(r"G_ema\.mapping\.(fc(\d+)|embed)\.(weight|bias)$", name):
        layer = "embed" if found[2] is None else f"dense{found[2]}"
        return f"params/mapping/{layer}/{leaf}", _dense
    if found := re.match(r"D\.mapping\.(fc(\d+)|embed)\.(weight|bias)$", name):
        layer = "embed" if found[2] is None else f"dense{found[2]}"
        return f"params/D/{layer}/{leaf}", _dense
    if name == "G_ema.synthesis.b4.const":
        return "params/synthesis/constant", lambda x: x.transpose(1, 2, 0)
    if found := re.match(r"G_ema\.synthesis\.b(\d+)\.(conv0|conv1|torgb)\.(.+)$", name):
        return _of_synthesis(int(found[1]).bit_length() - 3, found[2], found[3])
    if found := re.match(r"D\.b(\d+)\.(\w+)\.(weight|bias)$", name):
        return _of_d(int(found[1]), found[2], leaf, largest)
    return None


def _of_synthesis(stage, part, rest):
    number = 2 * stage - (part == "conv0")
    layer = f"image{stage}" if part == "torgb" else f"layer{number}"
    where = f"synthesis/{layer}"
    own = {
        "weight": ("conv/kernel", _flipped if part == "conv0" else _conv),
        "bias": ("bias", _same),
        "noise_strength": ("strength", _same),
        "affine.weight": ("conv/style/kernel", _dense),
        "affine.bias": ("conv/style/bias", _same),
    }
    if rest == "noise_const":
        return f"stats/synthesis/noise/{layer}/fixed", _same
    if rest not in own:
        return None
    leaf, change = own[rest]
    return f"params/{where}/{leaf}", change


def _of_d(size, part, leaf, largest):
    ends = {"conv": ("conv", _conv), "fc": ("dense", _dense), "out": ("logit", _dense)}
    if part == "fromrgb" and size == largest:
        layer, change = "from_image", _conv
    elif size == 4 and part in ends:
        layer, change = ends[part]
    elif size > 4 and part in ("conv0", "conv1", "skip"):
        block = largest.bit_length() - size.bit_length()
        layer, change = f"block{block}/{part}", _conv
    else:
        return None
    return f"params/D/{layer}/{leaf}", change
