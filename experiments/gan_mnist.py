"""The classic GANs on MNIST, by name.

    python experiments/gan_mnist.py wgan_gp
    python experiments/gan_mnist.py wgan_gp sample --out digits.png
    python experiments/gan_mnist.py wgan_gp --n-critic 1 --r1 1 --workdir runs/mine

A name is a set of options, each paper's loss, penalty and schedule with DCGAN's
networks; options after it change it, and any may be combined.
"""

from jaxgan import run
from jaxgan.run.presets import classic


def named(**options) -> classic.Config:
    """Options by name, whatever group they are in."""
    return run.changed(classic.Config(steps=2000), **options)


def critic(**options) -> classic.Config:
    """A Wasserstein critic."""
    betas = {"beta1": 0.0, "beta2": 0.9}
    return named(loss="wasserstein", n_critic=5, ema_decay=0.99, **betas, **options)


def alone(**options) -> classic.Config:
    """A D that judges each image by itself, for penalties of its gradient there."""
    return named(d_norm="none", **options)


PRESETS = {
    "gan": named(),
    "smoothing": named(loss="one_sided"),
    "lsgan": named(loss="least_squares"),
    "hinge": named(loss="hinge"),
    "wgan": critic(clip=0.02, optimizer="rmsprop", g_lr=2e-3),
    "wgan_gp": critic(wgan_gp=10.0, d_norm="none"),
    "dragan": alone(dragan=10.0),
    "sngan": named(loss="hinge", d_norm="spectral", beta1=0.0, beta2=0.9),
    "r1": alone(r1=1.0),
    "rpgan": named(loss="relativistic_logistic"),
    "r3gan": alone(loss="relativistic_logistic", r1=1.0, r2=1.0),
    "pacgan": named(pack=2),
    "lecam": named(lecam=0.3),
    "bcr": named(consistency=10.0),
    "diff_augment": named(augment="diff_augment"),
    "instance_noise": named(augment="instance_noise"),
    "projected": named(
        loss="hinge", d_features="filters", d_width=16, augment="diff_augment"
    ),
}

if __name__ == "__main__":
    run.main(PRESETS, classic.build)
