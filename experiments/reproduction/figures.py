"""The figures of README.md: the commands that they are of, and where they stand.

An entry of `FIGURES` is all that a figure needs: `reproduce.py` runs its commands,
keeps what they say and puts its cells into the tables of `tables.TABLES`.
"""

from reproduction import readings
from reproduction.entries import (
    DIGIT,
    EVALUATE,
    FILTERS,
    GRAY,
    INK,
    IOU,
    KEPT,
    L1,
    LEAST,
    MAP,
    PSNR,
    PSNR_Y,
    RANDOM,
    RPGAN,
    SSIM,
    SSIM_Y,
    STYLE,
    TONE,
    Figure,
    infogan,
    mixture,
    numbers,
    on_emoji,
    small,
    stacked,
    there,
    translator,
)
from reproduction.tables import smallest

DCGAN = "[DCGAN](https://arxiv.org/abs/1511.06434)"
CLASSIC = (
    *("gan", "smoothing", "lsgan", "hinge", "wgan", "wgan_gp", "dragan", "sngan"),
    *("r1", "rpgan", "r3gan", "pacgan", "lecam", "bcr", "diff_augment"),
    "instance_noise",
)
CONDITIONAL = "cgan_mnist", "acgan_mnist"
SMALL = "--g-width 16 --d-width 16 --steps 2000"
NUMBERS = (
    *numbers(
        "`fd_mnist`, Fréchet distance",
        "{fd_mnist:.3f}",
        "{fd_mnist:.3f} ± {fd_mnist.error:.3f}",
    ),
    *numbers("class entropy, at most ln 10 = 2.303", "{class_entropy:.3f}"),
    *numbers("least share of a class", "{least_class_share:.1%} %"),
    *numbers("precision / recall, k = 5", "{precision:.2f} / {recall:.2f}"),
    *numbers("density / coverage", "{density:.2f} / {coverage:.2f}"),
    *numbers("Inception Score by digits, at most 10", "{score_mnist:.2f}"),
    *numbers("mean MS-SSIM of pairs", "{ms_ssim:.3f}"),
)

ENLARGED = PSNR_Y, SSIM_Y, FILTERS
TIMES = ", four times larger"
MISSING = ", a quarter missing"
CHALK = ", chalk to paint"
OUT = {"without": "--regression"}
PRETRAINED = {"without": "--pretrain 2000"}
PLAIN_SRGAN = {"options": " painted --no-consistent", **PRETRAINED}

DRAWN = "sample --num 64 --out {workdir}/drawn.png"
WALK = "interpolate --seeds 0,1,2,5,9 --steps 8 --out {workdir}/digits.gif"
MIXED = "mix --out {workdir}/mixed.png"
AT_32 = "--resize 32 --flip --batch-size 32"
NARROW = "--g-width 32 --d-width 32"
FD_FILTERS = "`fd_filters` ", "{fd_filters:.2f}", ""
THREE = 0, 1, 2


def narrow(name: str, steps: int) -> Figure:
    """A ResNet of `gan_cifar10.py` on emoji, ten minutes on one core."""
    return on_emoji(
        f"gan_cifar10.py {name} --data emoji {AT_32} {NARROW} --decay-steps 0",
        steps,
        minutes=10,
    )


def few(options: str) -> Figure:
    """DCGAN of 500 emoji, a quarter of an hour on one core."""
    return Figure(
        f"gan_mnist.py gan --data emoji --subset 500 {AT_32} {options}",
        (*EVALUATE, DRAWN),
        minutes=15,
        seeds=(0,),
        cells=there("gan_mnist.py NAME", "500 emoji", FD_FILTERS),
    )


FIGURES: dict[str, Figure] = {
    "dcgan_mnist": Figure(
        "dcgan_mnist.py",
        EVALUATE,
        minutes=5,
        cells=there("dcgan_mnist.py", DCGAN, (*LEAST, smallest)) + NUMBERS,
    ),
    "cgan_mnist": Figure(
        "cgan_mnist.py",
        ("sample --num 5000 --out {workdir}/asked.png --npz {workdir}/asked.npz",),
        minutes=5,
        judge=readings.class_asked_for,
        cells=there(
            "cgan_mnist.py",
            "[conditional GAN](https://arxiv.org/abs/1411.1784), DCGAN networks",
            ("of the class asked for ", "{asked_for:.1%}", " % of the samples"),
        ),
    ),
    "mlp_gan_mnist": Figure(
        "mlp_gan_mnist.py",
        EVALUATE,
        minutes=4,
        cells=there(
            "mlp_gan_mnist.py",
            "[GAN](https://arxiv.org/abs/1406.2661), MLPs",
            (*LEAST, smallest),
        ),
    ),
    "infogan_mnist": infogan(),
    "infogan_mnist.weight_0": infogan(" --weight 0", seeds=(0,)),
    "infogan_mnist.no_affine": infogan(" --no-affine", seeds=(0,)),
    "stacked_mnist.r3gan": stacked("r3gan"),
    "stacked_mnist.vanilla": stacked("vanilla"),
    "stacked_mnist.r3gan.norm": stacked("r3gan", " --g-norm batch", (0,)),
    "stacked_mnist.vanilla.norm": stacked("vanilla", " --g-norm batch", (0,)),
    "cgan_emoji": Figure(
        "cgan_emoji.py",
        EVALUATE,
        minutes=9,
        cells=there(
            "cgan_emoji.py",
            "class-conditional GAN of real colour images: "
            "[AC-GAN](https://arxiv.org/abs/1610.09585), "
            f"{RPGAN}, [DiffAugment](https://arxiv.org/abs/2006.10738)",
            ("the tone of skin asked for ", "{tone_accuracy:.0%}", " % of the samples"),
            FD_FILTERS,
            ("that of real emoji of other groups ", "{fd_filters.floor:.2f}", ""),
        ),
    ),
    "emoji500": few("--steps 30000"),
    "emoji500.ada": few("--steps 10000 --augment ada --ada-images 100000"),
    "stylegan2.emoji": on_emoji(
        "stylegan2.py emoji", 7000, f"{DRAWN} --truncation 0.7", MIXED, minutes=25
    ),
    "stylegan2.emoji.short": on_emoji("stylegan2.py emoji", 4600, seeds=THREE),
    "stylegan2.mnist": Figure(
        "stylegan2.py mnist --steps 5200",
        (*EVALUATE, WALK),
        minutes=15,
        seeds=(0,),
        cells=there(
            "stylegan2.py NAME",
            "[StyleGAN2](https://arxiv.org/abs/1912.04958)",
            FD_FILTERS,
        ),
    ),
    "progan": on_emoji("progan.py emoji --sample-every 374", 3514, DRAWN, seeds=THREE),
    "progan.whole": on_emoji("progan.py emoji --first-stage 3", 2347),
    "stylegan": on_emoji("progan.py stylegan", 3341, DRAWN),
    "r3gan.emoji": on_emoji(
        "r3gan.py emoji --burn-in 120000", 9000, DRAWN, seeds=THREE
    ),
    "adversarial_flow.emoji": on_emoji("adversarial_flow.py emoji", 8785, minutes=8),
    "dcgan.emoji": on_emoji(f"dcgan_mnist.py --data emoji {AT_32}", 38_890),
    "dcgan.emoji.short": on_emoji(
        f"dcgan_mnist.py --data emoji {AT_32}", 10_000, minutes=4
    ),
    "sngan.emoji": narrow("sngan", 4236),
    "wgan_gp.emoji": narrow("wgan_gp", 2884),
    "biggan": on_emoji("biggan.py emoji", 1543, DRAWN, seeds=THREE, minutes=12),
    "sagan.emoji_tones": on_emoji(
        f"gan_cifar10.py sagan --data emoji_tones {AT_32} {NARROW}", 1815, minutes=10
    ),
    **{
        f"mixture.{data}.{gan}": mixture(data, gan)
        for gan in ("vanilla", "wgan_gp", "r3gan")
        for data in ("ring", "grid")
    },
    **{f"zoo.{name}": small(name, f"gan_mnist.py {name} {SMALL}") for name in CLASSIC},
    **{
        f"zoo.{name}": small(f"{name}.py", f"{name}.py --width 16 --steps 2000")
        for name in CONDITIONAL
    },
    **translator("colorize", "", PSNR, GRAY, FILTERS, **OUT),
    **translator("colorize", "", INK, GRAY, options=" painted", **OUT),
    **translator("inpaint", MISSING, PSNR, SSIM, FILTERS, **OUT),
    **translator("inpaint", MISSING, PSNR, SSIM, FILTERS, options=" painted", **OUT),
    **translator("srgan", TIMES, *ENLARGED, without="--pretrain 3000"),
    **translator("srgan", TIMES, *ENLARGED, options=" painted", **PRETRAINED),
    **translator("srgan", TIMES, *ENLARGED, **PLAIN_SRGAN),
    **translator("pix2pix", ", from edges", PSNR, FILTERS),
    **translator("pix2pix", ", from edges", DIGIT, options=" painted"),
    **translator("cyclegan", ", light skin to dark", TONE, L1, options=" tones"),
    **translator("cyclegan", CHALK, KEPT, FILTERS, options=" painted", minutes=11),
    **translator("spade", "", MAP, IOU, STYLE, RANDOM, FILTERS),
}
