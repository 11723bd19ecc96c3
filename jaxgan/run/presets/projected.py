"""Discriminators that see images by a frozen network, as an option of classic GANs."""

from collections.abc import Callable
from typing import Any

from jaxgan.metrics import feature_maps
from jaxgan.models import Net, projected
from jaxgan.models.layers import Norm
from jaxgan.types import UsageError

__all__ = ["FEATURES", "check", "discriminator"]

FEATURES: dict[str, Callable | None] = {
    "none": None,
    "filters": feature_maps.of_filters,
    "mnist": feature_maps.of_digits,
    "vgg": feature_maps.of_vgg,
    "inception": feature_maps.of_inception,
}
OF_FILES = {
    "vgg": "torchvision's file vgg19-dcbb9e9d.pth",
    "inception": "the file weights-inception-2015-12-05-6726825d.pth",
}


def discriminator(nets: Any, dtype) -> Net:
    """The D that options describe, with spectral norm.

    Args:
        nets: `classic.Networks`, with `d_features`.
        dtype: what its trained part computes in.
    """
    files = (nets.d_weights,) if nets.d_features in OF_FILES else ()
    chosen = FEATURES[nets.d_features](*files)  # type: ignore[misc]  # there is one

    def variables():
        try:
            return chosen.variables()
        except UsageError as error:
            raise error.renamed("d_weights") from None

    def refuses(shape):
        if reason := chosen.refuses(shape):
            raise UsageError("d_features", nets.d_features, reason)

    norm: Norm = "batch" if nets.d_norm == "batch" else "none"
    features = chosen._replace(variables=variables, refuses=refuses)
    return projected.discriminator("D", features, nets.d_width, norm, dtype)


def check(nets: Any, penalties: tuple[str, ...], labels: bool) -> None:
    """Refuses options that do not go together.

    Args:
        nets: `classic.Networks`.
        penalties: the names of those of D's gradient.
        labels: whether D would be told classes, or tell them.

    Raises:
        UsageError: naming one of them.
    """
    chosen, needed = nets.d_features, OF_FILES.get(nets.d_features)
    if nets.d_weights and not needed:
        reason = f"goes with {' or '.join(OF_FILES)} as `d_features`."
        raise UsageError("d_weights", nets.d_weights, reason)
    if chosen == "none":
        return
    if needed and not nets.d_weights:
        raise UsageError("d_features", chosen, f"needs `d_weights`, {needed}.")
    if nets.d_norm == "none":
        reason = (
            ": a D with `d_features` has spectral norm; give spectral, or batch for "
            "BatchNorm beside it."
        )
        raise UsageError("d_norm", "none", reason)
    if nets.pack > 1:
        reason = f": `d_features` {chosen} sees one image at a time; leave one out."
        raise UsageError("pack", nets.pack, reason)
    if labels:
        reason = "sees images without labels; leave it out."
        raise UsageError("d_features", chosen, reason)
    for name in penalties:
        reason = (
            f"is of D's gradient at pixels, most of it that of `d_features` {chosen}, "
            "which learns nothing; leave one out."
        )
        raise UsageError(name, None, reason)
