"""What is known beforehand of options that often go wrong."""

from collections.abc import Iterator

from jaxgan.run import settings
from jaxgan.run.config import Config
from jaxgan.run.members import Member

__all__ = ["GAMMA", "of_gamma"]

GAMMA = "r1"
"""What experiments call γ of R1."""


def published(shape, batch_size: int) -> tuple[float, float]:
    """The least and the largest γ of R1 for images of a size.

    StyleGAN2-ADA's rule for all data is 0.0002 side² / batch (Karras et al., 2020,
    arXiv:2006.06676, `auto` of their program). The most that we know of is R3GAN's 150
    at 256×256 (Huang et al., 2024, arXiv:2501.05441, their program); here it grows with
    the pixels, as the rule does.
    """
    pixels = shape[0] * shape[1]
    return 0.0002 * pixels / batch_size, 150 / 256**2 * pixels


def of_gamma(cfg: Config, members: tuple[Member, ...], shape) -> Iterator[str]:
    """What to say of a γ that is far from what others have had.

    Args:
        cfg: the options, with or without such a one; 0 is without R1.
        members: whose γ may differ.
        shape: (H, W, C) of the images.
    """
    if GAMMA not in settings.known(type(cfg)):
        return
    least, most = published(shape, cfg.batch_size)
    own = settings.of(cfg, GAMMA)
    for gamma in dict.fromkeys(one.values.get(GAMMA, own) for one in members):
        if gamma and not least <= gamma <= most:
            far = (
                "large: it may leave D too flat to teach G"
                if gamma > most
                else ("small: it hardly holds D's gradient, and players may circle")
            )
            yield (
                f"γ of R1 is {gamma:g} ({settings.flag(GAMMA)}), which is {far}. For "
                f"{shape[0]}x{shape[1]} and batch {cfg.batch_size}, published ones are "
                f"{least:.2g} (StyleGAN2-ADA's rule) to {most:.2g} (R3GAN)."
            )
