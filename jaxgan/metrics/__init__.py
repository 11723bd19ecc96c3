"""What samples are judged by. Functions of features, of logits or of images alone."""

from jaxgan.metrics.classes import (
    class_shares,
    entropy,
    inception_score,
    matched_accuracy,
)
from jaxgan.metrics.frechet import Moments, frechet_distance, moments
from jaxgan.metrics.kernel import kid
from jaxgan.metrics.modes import Coverage, coverage, reverse_kl
from jaxgan.metrics.neighbours import PRDC, prdc, radii
from jaxgan.metrics.similarity import diversity, ms_ssim, psnr, ssim

__all__ = [
    "PRDC",
    "Coverage",
    "Moments",
    "class_shares",
    "coverage",
    "diversity",
    "entropy",
    "frechet_distance",
    "inception_score",
    "kid",
    "matched_accuracy",
    "moments",
    "ms_ssim",
    "prdc",
    "psnr",
    "radii",
    "reverse_kl",
    "ssim",
]
