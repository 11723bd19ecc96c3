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
WALK = "interpolate --seeds 0,1,2,5,9 --steps 8"
FD_FILTERS = "`fd_filters` ", "{fd_filters:.2f}", ""
GROWING = "[progressive growing](https://arxiv.org/abs/1710.10196)"


def styled(name: str, steps: int, drawn: str, more: tuple[str, str]) -> Figure:
    """A preset of `stylegan2.py`.

    Args:
        name: the preset.
        steps: of training.
        drawn: further options of `sample`.
        more: another command, and the file that it writes.
    """
    command, file = more
    return Figure(
        f"stylegan2.py {name} --steps {steps}",
        (*EVALUATE, DRAWN + drawn, f"{command} --out {{workdir}}/{file}"),
        minutes=15,
        seeds=(0,),
        cells=there(
            "stylegan2.py NAME",
            "[StyleGAN2](https://arxiv.org/abs/1912.04958)",
            FD_FILTERS,
        ),
    )


def few(options: str) -> Figure:
    """DCGAN of 500 emoji, a quarter of an hour on one core."""
    return Figure(
        "gan_mnist.py gan --data emoji --subset 500 --resize 32 --flip "
        f"--batch-size 32 {options}",
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
            ("`fd_filters` ", "{fd_filters:.2f}", ""),
            ("that of real emoji of other groups ", "{fd_filters.floor:.2f}", ""),
        ),
    ),
    "emoji500": few("--steps 30000"),
    "emoji500.ada": few("--steps 10000 --augment ada --ada-images 100000"),
    "stylegan2.emoji": styled("emoji", 7000, " --truncation 0.7", ("mix", "mixed.png")),
    "stylegan2.mnist": styled("mnist", 5200, "", (WALK, "digits.gif")),
    "progan": Figure(
        "progan.py emoji --steps 3514 --sample-every 374",
        (*EVALUATE, DRAWN),
        minutes=14,
        seeds=(0,),
        cells=there("progan.py NAME", GROWING, FD_FILTERS),
    ),
    "progan.whole": Figure(
        "progan.py emoji --steps 2347 --first-stage 3",
        EVALUATE,
        minutes=14,
        seeds=(0,),
        cells=there("progan.py NAME", GROWING, FD_FILTERS),
    ),
    "biggan": Figure(
        "biggan.py emoji --steps 1543",
        (*EVALUATE, DRAWN),
        minutes=12,
        seeds=(0,),
        cells=there(
            "biggan.py NAME",
            "[BigGAN](https://arxiv.org/abs/1809.11096)",
            FD_FILTERS,
        ),
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
