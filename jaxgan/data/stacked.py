"""Stacked MNIST: three digits as the colours of one image, which makes 1,000 classes.

Metz et al., 2017, arXiv:1611.02163; as many images as in PacGAN (Lin et al., 2018,
arXiv:1712.04086, section 4.2).
"""

import numpy as np

SIZES = {"train": 128000, "test": 26000}


def stack(images, labels, split: str):
    """Triples of digits, the same at every call.

    Args:
        images: uint8 `[N, H, W, 1]`.
        labels: int `[N]` in 0 ... 9.
        split: `"train"` or `"test"`, of which there are `SIZES`.

    Returns:
        `fetch`, int indices `[B]` -> uint8 `[B, H, W, 3]`, and int labels `[SIZES]`:
        100 times red's digit, plus 10 times green's, plus blue's.
    """
    rows = np.random.default_rng(0).integers(len(images), size=(SIZES[split], 3))

    def fetch(index):
        return np.moveaxis(images[rows[index], ..., 0], 1, 3)

    return fetch, labels[rows].astype(np.int32) @ np.array([100, 10, 1], np.int32)
