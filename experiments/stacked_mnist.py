"""Modes of Stacked MNIST, three digits as the colours of an image: 1,000 classes.

    python experiments/stacked_mnist.py r3gan
    python experiments/stacked_mnist.py r3gan evaluate --num 25600 --metrics classes

The networks have no normalization, so that it is up to the objective. After 4,000
steps, six minutes on two CPU cores, `r3gan` (RpGAN + R1 + R2) draws 999, 999 and 998
modes with a reverse KL of 0.19, 0.22 and 0.27 over 25,600 samples (seeds 0, 1, 2),
`vanilla` 2 and 88 with 6.8 and 5.2 (seeds 0, 2).
"""

import dataclasses

import gan_mnist

from jaxgan.run import cli, config


@dataclasses.dataclass(frozen=True)
class Config(gan_mnist.Config):
    """A GAN of DCGAN's networks on Stacked MNIST."""

    data: str = "stacked_mnist"
    """Training images: stacked_mnist, or as in gan_mnist.py."""
    steps: int = 8000
    """How many updates of D, in all."""
    d_norm: gan_mnist.Norm = "none"
    """D's normalization; penalties of its gradient need "none" or "spectral"."""
    g_norm: gan_mnist.Norm = "none"
    """G's normalization."""
    g_lr: float = 5e-4
    """G's learning rate."""
    d_lr: float = 5e-4
    """D's learning rate."""
    beta1: float = 0.0
    """Adam's decay of the gradient's mean."""
    beta2: float = 0.99
    """The decay of the gradient's mean square."""
    evaluate_every: int = config.or_none(2000)
    """Steps between evaluations, 0 for none."""
    evaluate_num: int = 25600
    """How many samples to evaluate."""
    evaluate_metrics: tuple[config.Metric, ...] = ("classes",)
    """What to measure of them, as in `evaluate --help`."""


GANS = {
    "vanilla": Config(),
    "r3gan": Config(loss="relativistic_logistic", r1=1.0, r2=1.0),
}

if __name__ == "__main__":
    cli.main(Config, gan_mnist.build, named=GANS)
