"""GANs: each module is a page that reads as its paper's algorithm box.

`gan(G, D, ...)` is the GAN of 2014 and those that differ from it by a loss, a penalty,
a schedule, or what D is shown:

    conditional GAN  num_classes=10                                     1411.1784
    label smoothing  loss=losses.one_sided(0.9)                         1606.03498
    LSGAN            loss=losses.least_squares                          1611.04076
    WGAN             loss=losses.wasserstein, clip=0.01, n_critic=5     1701.07875
    WGAN-GP          loss=losses.wasserstein, penalty=wgan_gp(10), n_critic=5
                                                                        1704.00028
    WGAN-LP          the same with penalty=wgan_gp(10, one_sided=True)  1709.08894
    DRAGAN           penalty=dragan(10)                                 1705.07215
    R1               penalty=r1(10)                                     1801.04406
    SNGAN            loss=losses.hinge, D=spectral.normalized(D)        1802.05957
    projection cGAN  the same with labels, D's from models.resnet       1802.05637
    SAGAN            both networks normalized and with attention        1805.08318
    RpGAN            loss=losses.relativistic_logistic                  1807.00734
    RaGAN            loss=losses.relativistic_average_logistic          1807.00734
    Projected GAN    loss=losses.hinge, augment=augment.diff_augment(), D of
                     models.projected                                   2111.01007
    R3GAN            RpGAN with penalty=total(r1(gamma), r2(gamma))     2501.05441
    PacGAN           D=models.packed(D, 2)                              1712.04086
    DiffAugment      augment=augment.diff_augment()                     2006.10738
    ADA              augment=augment.adaptive(augment.pipeline("bgc"))  2006.06676
    bCR              penalty=consistency(augment.diff_augment(...))     2002.04724
    LeCam            penalty=lecam_penalty(0.3)                         2104.03310
    instance noise   augment=augment.instance_noise()                   1610.04490
    BigGAN           models.biggan's, g_penalty=orthogonal_regularization()
                                                                        1809.11096
    ExtraAdam        play=lambda d, g: extragradient(together(d, g))    1802.10551
    Lookahead        play=lambda d, g: lookahead(chain(d, g), 5)        2006.14567

Penalties are of `jaxgan.regularizers`, `extragradient` and `lookahead` of
`jaxgan.games`; weights of penalties may be functions of the step. Gradient clipping,
two time scales (TTUR, 1706.08500) and optimistic Adam are a matter of `g_tx` and
`d_tx`. `acgan`, `infogan`, `unrolled`, `consensus`, `adversarial_flow` (of least
transport from noise of the images' shape), `progan` and `stylegan2` are recipes of
their own; `pix2pix`, `regression`, `srgan`, `spade` and `cyclegan` are from image to
image. Each returns a `types.Model`.
"""

from jaxgan.recipes.acgan import acgan
from jaxgan.recipes.adversarial_flow import adversarial_flow
from jaxgan.recipes.consensus import consensus
from jaxgan.recipes.cyclegan import cyclegan
from jaxgan.recipes.gan import gan
from jaxgan.recipes.infogan import infogan
from jaxgan.recipes.pix2pix import pix2pix, regression
from jaxgan.recipes.progan import progan
from jaxgan.recipes.spade import spade
from jaxgan.recipes.srgan import srgan
from jaxgan.recipes.stylegan2 import stylegan2
from jaxgan.recipes.unrolled import unrolled

__all__ = [
    "acgan",
    "adversarial_flow",
    "consensus",
    "cyclegan",
    "gan",
    "infogan",
    "pix2pix",
    "progan",
    "regression",
    "spade",
    "srgan",
    "stylegan2",
    "unrolled",
]
