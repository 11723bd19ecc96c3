"""What images are judged by.

Measures as functions of features, of logits or of images alone; as values, `MEASURES`,
of which one of your own is made as easily; and one report of them, `evaluate`, be the
images drawn from noise or from other images.
"""

from jaxgan.metrics import extractors
from jaxgan.metrics.checks import Rows, available, check, select
from jaxgan.metrics.classes import (
    class_shares,
    entropy,
    inception_score,
    matched_accuracy,
)
from jaxgan.metrics.frechet import Moments, frechet_distance, moments
from jaxgan.metrics.kernel import kid
from jaxgan.metrics.measures import MEASURES, Measure, colour_spread, help_text
from jaxgan.metrics.modes import Coverage, coverage, reverse_kl
from jaxgan.metrics.neighbours import PRDC, prdc, radii
from jaxgan.metrics.report import Judge, evaluate, judge, table
from jaxgan.metrics.seen import Seen, see
from jaxgan.metrics.similarity import diversity, full_reference, ms_ssim, psnr, ssim
from jaxgan.metrics.views import noise

__all__ = [
    "MEASURES",
    "PRDC",
    "Coverage",
    "Judge",
    "Measure",
    "Moments",
    "Rows",
    "Seen",
    "available",
    "check",
    "class_shares",
    "colour_spread",
    "coverage",
    "diversity",
    "entropy",
    "evaluate",
    "extractors",
    "frechet_distance",
    "full_reference",
    "help_text",
    "inception_score",
    "judge",
    "kid",
    "matched_accuracy",
    "moments",
    "ms_ssim",
    "noise",
    "prdc",
    "psnr",
    "radii",
    "reverse_kl",
    "see",
    "select",
    "ssim",
    "table",
]
