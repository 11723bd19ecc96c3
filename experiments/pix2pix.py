"""pix2pix (Isola et al., 2017, arXiv:1611.07004): between images in pairs.

    python experiments/pix2pix.py
    python experiments/pix2pix.py --data pairs:DIR --direction BtoA
    python experiments/pix2pix.py translate --input edges.png --out translated

`pairs:DIR` holds A/ and B/, or files that show A and B side by side. Of other images,
such as the default's painted digits, the edges are given. `--regression` leaves
D out: what a GAN is to be compared with.
"""

import dataclasses

from jaxgan import run, tasks
from jaxgan.run.presets import paired
from jaxgan.types import Model


@dataclasses.dataclass(frozen=True)
class Config(paired.Config):
    """pix2pix from edges of painted digits, or between any images in pairs."""


PRESET = run.changed(
    Config(),
    data="painted_mnist",
    steps=2000,
    batch_size=16,
    sample_every=1000,
    g_lr=2e-4,
    d_lr=2e-4,
)


def build(cfg: Config, shape, num_classes) -> Model:
    in_pairs = cfg.data.startswith("pairs:")
    task = tasks.paired(cfg.direction == "BtoA") if in_pairs else tasks.edges()
    return paired.build(cfg, shape, task)


if __name__ == "__main__":
    run.main(PRESET, build)
