"""Modes of Stacked MNIST, three digits as the colours of an image: 1,000 classes.

    python experiments/stacked_mnist.py r3gan
    python experiments/stacked_mnist.py r3gan evaluate --num 25600 --metrics classes

The networks have no normalization, so that it is up to the objective. After 16,000
steps, 22 minutes on one CPU core, `r3gan` (RpGAN + R1 + R2) draws all 1,000 modes with
a reverse KL of 0.057, 0.060 and 0.061 over 25,600 samples (seeds 0, 1, 2; of as many
real images 0.026). `vanilla` kept 2 and 88 modes with 6.8 and 5.2 (seeds 0, 2), after
4,000 steps at constant rates.
"""

from jaxgan import run
from jaxgan.run.presets import classic

VANILLA = run.changed(
    classic.Config(),
    data="stacked_mnist",
    steps=16000,
    d_norm="none",
    g_norm="none",
    g_lr=5e-4,
    d_lr=5e-4,
    decay_steps=16000,
    beta1=0.0,
    beta2=0.99,
    ema_decay=0.9995,
    evaluate_every=4000,
    evaluate_num=25600,
    evaluate_metrics=("classes",),
)

PRESETS = {
    "vanilla": VANILLA,
    "r3gan": run.changed(VANILLA, loss="relativistic_logistic", r1=1.0, r2=1.0),
}

if __name__ == "__main__":
    run.main(PRESETS, classic.build)
