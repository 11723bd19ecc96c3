"""Low-pass filters of two symlets (Daubechies, 1992, Ten Lectures on Wavelets)."""

import math

import numpy as np

__all__ = ["SYM2", "SYM6", "high_pass"]

SYM2 = np.array(
    [1 + math.sqrt(3), 3 + math.sqrt(3), 3 - math.sqrt(3), 1 - math.sqrt(3)]
)
SYM2 = SYM2 / (4 * math.sqrt(2))
"""Of two vanishing moments; the same as Daubechies' filter of four taps."""

SYM6 = np.array(
    [
        *(-0.007800708325034148, 0.0017677118642428036, 0.04472490177066578),
        *(-0.021060292512300564, -0.07263752278646252, 0.3379294217276218),
        *(0.787641141030194, 0.4910559419267466, -0.048311742585633),
        *(-0.11799011114819057, 0.0034907120842174702, 0.015404109327027373),
    ]
)
"""Of six vanishing moments."""


def high_pass(low: np.ndarray) -> np.ndarray:
    """The wavelet's filter that goes with a low-pass filter, of the same length."""
    return low[::-1] * (-1.0) ** np.arange(len(low))
