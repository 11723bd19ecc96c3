"""CycleGAN (Zhu et al., 2017, arXiv:1703.10593) from light skin to dark, and back.

    python experiments/cyclegan_tones.py
    python experiments/cyclegan_tones.py evaluate
    python experiments/cyclegan_tones.py translate --input wave.png --out dark
    python experiments/cyclegan_tones.py --data emoji_tones:0,3 --workdir runs/medium

Of emoji in one tone of skin and others in another, without pairs; the test images are
in pairs, so that one sees whether it was the skin that changed. The domains are a
hundred images each, and differ in one colour: generators that see a pixel at a time
cannot learn the rest by heart, and D, of which R1 and DiffAugment take care, cannot
either. Options are those of `cyclegan.py`.
"""

import cyclegan

from jaxgan import run

PRESET = run.changed(
    cyclegan.Config(),
    data="emoji_tones:1,5",
    resize="32",
    flip=True,
    generator="pixel",
    residual=True,
    width=32,
    blocks=2,
    norm="none",
    cycle=1.0,
    identity=1.0,
    loss="nonsaturating",
    r1=0.1,
    augment="diff_augment",
    steps=2000,
    batch_size=16,
    g_lr=1e-3,
    d_lr=1e-3,
    decay_from=1000,
    decay_until=2000,
    sample_every=500,
)
build = cyclegan.build

if __name__ == "__main__":
    run.main(PRESET, build)
