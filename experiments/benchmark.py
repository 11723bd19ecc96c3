"""How fast jaxgan trains beside PyTorch, on this machine's CPU.

    python experiments/benchmark.py
    python experiments/benchmark.py --models mlp ring --json -
    python experiments/benchmark.py --models plain r1 wgan_gp

Both sides do the same job: the same layers from the same weights, batch, Adam and
sequential update of D and G with shared fakes (`torch_twin.py`; that it is the same is
tested); every step gathers a batch from uint8 images in memory and draws its noise.
Each side runs as its users run it: PyTorch eager, jaxgan many steps in a dispatch, with
its averaged generator and its metrics on top.

Each framework lives in a process of its own, since the threads of one, spinning for
work, would slow the other. They take turns, round by round, and the one that waits
sleeps. A ratio is of the two times of one round, and the median over rounds counts:
what disturbs the machine for seconds disturbs both sides.

GFLOP/s are those of the step's matrix products and convolutions, 3·F_G + 8·F_D an
image (F: one forward pass), against a 2048³ matrix product measured in the same run.
They are counted as if each convolution were computed directly, on both sides; jaxgan
does some with fewer multiplications, and its GFLOP/s are higher for it.
"""

import dataclasses
import importlib.metadata
import importlib.util
import itertools
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

# No jax, no torch here: each process imports its own.

LEARNING_RATE, BETA1 = 2e-4, 0.5
TURN_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class Options:
    """Time jaxgan against the same GANs in PyTorch, in alternation."""

    models: tuple[
        Literal[
            *("dcgan", "digits", "mlp", "ring", "pix2pix", "cyclegan"),
            *("plain", "r1", "wgan_gp"),
        ],
        ...,
    ] = ("dcgan", "digits", "mlp", "ring", "pix2pix", "cyclegan")
    """DCGAN of two stages and width 64; what dcgan_mnist.py trains, of three stages and
    width 32; MLP GAN on MNIST; MLP GAN on a ring of 2-D Gaussians; pix2pix and CycleGAN
    of the papers' widths, at 64x64, an image a step as there. "plain", "r1" and
    "wgan_gp" are the second of these with a D without BatchNorm, and each penalty:
    together they give its price, interleaved like the two sides."""
    rounds: int = 9
    """How many turns each side takes."""
    steps: int | None = None
    """Steps of a turn; default, enough for about half a second."""
    json: str | None = None
    """Also write all numbers to this file; "-" for standard output."""


# --- the models


class Model(NamedTuple):
    title: str
    batch: int
    bar: float
    """The ratio that jaxgan promises."""
    data: Callable
    """`() -> uint8 [N, H, W, C] or float32 [N, 2]`; of pairs, the images one after the
    other along the channels."""
    pair: Callable | None = None
    """`() -> (G, D)`, jaxgan's."""
    twins: Callable | None = None
    """`() -> (G, D)`, PyTorch's."""
    latent_dim: int = 0
    flops: int | None = None
    """Of a step, by the count in the module's docstring; None if not counted."""
    penalty: str | None = None
    """Of D: "r1" or "wgan_gp", of weight 10."""
    translator: Literal["pix2pix", "cyclegan"] | None = None
    """In place of a pair."""


def step_flops(batch, g, d):
    return batch * (3 * g + 8 * d)


def dense(*widths):
    return sum(2 * a * b for a, b in itertools.pairwise(widths))


def conv(positions, c_in, c_out):
    return 2 * positions * 4 * 4 * c_in * c_out


def dcgan_pair(width, base, norm=True):
    from jaxgan.models import dcgan

    return dcgan.networks((28, 28, 1), width, base=base, norm=(True, norm))


def dcgan_twins(width, base, norm=True):
    import torch_twin

    return torch_twin.dcgan(28, width=width, latent_dim=100, base=base, norm=norm)


def mlp_pair():
    from jaxgan.models import mlp

    return mlp.Generator(), mlp.Discriminator()


def mlp_twins():
    import torch_twin

    return torch_twin.mlp()


def ring_pair():
    from flax import linen as nn

    from jaxgan.models import mlp

    G = mlp.Generator(shape=(2,), hidden=(128, 128), act=nn.relu, output=lambda x: x)
    return G, mlp.Discriminator(hidden=(128, 128), act=nn.relu)


def ring_twins():
    import torch_twin
    from torch import nn

    sizes = {"g_hidden": (128, 128), "d_hidden": (128, 128), "latent_dim": 2}
    return torch_twin.mlp((2,), **sizes, act=nn.ReLU, output=nn.Identity)


def mnist():
    from jaxgan import data

    dataset = data.load("mnist")
    return dataset.fetch(np.arange(dataset.size))["image"]


def ring():
    rng = np.random.default_rng(0)
    angle = rng.integers(8, size=60000) * (2 * np.pi / 8)
    centre = np.stack([np.cos(angle), np.sin(angle)], -1)
    return rng.normal(centre, 0.02).astype(np.float32)


def pairs():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (64, 64, 64, 6), np.uint8)


MODELS = {
    "dcgan": Model(
        "DCGAN, two stages, width 64",
        batch=64,
        latent_dim=100,
        bar=1.1,
        flops=step_flops(
            64,
            dense(100, 49 * 128) + conv(49, 128, 64) + conv(196, 64, 1),
            conv(196, 1, 64) + conv(49, 64, 128) + dense(49 * 128, 1),
        ),
        pair=partial(dcgan_pair, 64, base=7),
        twins=partial(dcgan_twins, 64, base=7),
        data=mnist,
    ),
    "digits": Model(
        "dcgan_mnist.py, width 32",
        batch=64,
        latent_dim=100,
        bar=1.1,
        flops=step_flops(
            64,
            dense(100, 16 * 128)
            + conv(16, 128, 64)
            + conv(49, 64, 32)
            + conv(196, 32, 1),
            conv(196, 1, 32)
            + conv(49, 32, 64)
            + conv(16, 64, 128)
            + dense(16 * 128, 1),
        ),
        pair=partial(dcgan_pair, 32, base=4),
        twins=partial(dcgan_twins, 32, base=4),
        data=mnist,
    ),
    "mlp": Model(
        "MLP GAN, 28x28",
        batch=64,
        latent_dim=100,
        bar=1.2,
        flops=step_flops(64, dense(100, 256, 512, 1024, 784), dense(784, 512, 256, 1)),
        pair=mlp_pair,
        twins=mlp_twins,
        data=mnist,
    ),
    "ring": Model(
        "MLP GAN, 2-D ring",
        batch=256,
        latent_dim=2,
        bar=2.0,
        flops=step_flops(256, dense(2, 128, 128, 2), dense(2, 128, 128, 1)),
        pair=ring_pair,
        twins=ring_twins,
        data=ring,
    ),
}

MODELS["pix2pix"] = Model(
    "pix2pix, 64x64, width 64", batch=1, bar=1.2, data=pairs, translator="pix2pix"
)
MODELS["cyclegan"] = Model(
    "CycleGAN, 64x64, 6 blocks", batch=1, bar=1.2, data=pairs, translator="cyclegan"
)

PENALIZED = ("plain", "r1", "wgan_gp")
for _name in PENALIZED:  # FLOPs without the penalty's
    MODELS[_name] = MODELS["digits"]._replace(
        title=f"D without norm, {_name}",
        pair=partial(dcgan_pair, 32, base=4, norm=False),
        twins=partial(dcgan_twins, 32, base=4, norm=False),
        penalty=None if _name == "plain" else _name,
    )


# --- the two processes


class Side(NamedTuple):
    """A framework, as its process knows it."""

    start: Callable
    """`(model, data, weights or None) -> (weights, run)`, a new GAN with those weights
    or, when None, with new ones; `run(steps) -> (seconds, D's, G's mean loss)`."""
    matmul: Callable
    """`() -> GFLOP/s` of a 2048³ float32 matrix product, the best of some."""


def jaxgan_side() -> Side:
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    import jax.numpy as jnp
    import optax
    from jax import random

    from jaxgan import models, recipes, regularizers, tasks
    from jaxgan.run import train

    penalties = {
        None: None,
        "r1": regularizers.r1(10.0),
        "wgan_gp": regularizers.wgan_gp(10.0),
    }

    tx = optax.adam(LEARNING_RATE, b1=BETA1)

    def net(name, module):
        return models.flax_net(name, module)

    def gan_of(model):
        G, D = model.pair()
        return recipes.gan(
            net("G", G),
            net("D", D),
            latent_dim=model.latent_dim,
            g_tx=tx,
            d_tx=tx,
            penalty=penalties[model.penalty],
        )

    def translator_of(model):
        D = models.pix2pix.PatchGAN()
        if model.translator == "pix2pix":
            G = net("G", models.pix2pix.UNet())
            task = tasks.paired()
            return recipes.pix2pix(G, net("D", D), task, g_tx=tx, d_tx=tx)
        R = models.cyclegan.ResNetGenerator(blocks=6)
        nets = net("G", R), net("F", R), net("D_a", D), net("D_b", D)
        return recipes.cyclegan(*nets, shape=(64, 64, 3), g_tx=tx, d_tx=tx)

    def start(model, data, weights):
        gan = translator_of(model) if model.translator else gan_of(model)

        def batch(arrays, step, key):
            real = arrays[random.randint(key, (model.batch,), 0, len(arrays))]
            if real.dtype == jnp.uint8:
                real = real.astype(jnp.float32) / 127.5 - 1
            if model.translator:
                return {"input": real[..., :3], "image": real[..., 3:]}
            return {"image": real}

        key, data = random.key(0), jax.device_put(data)
        first = batch(data, 0, key)
        state = gan.init(key, first)
        metrics = jax.eval_shape(gan.step, state, first, key)[1]
        loop = train.looped(gan.step, batch, key, random.key(1))
        program = jax.jit(loop, donate_argnums=(0, 1))
        weights = jax.device_get(state.params)

        def run(steps):
            nonlocal state
            totals = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), metrics)
            began = time.perf_counter()
            state, totals = jax.block_until_ready(program(state, totals, data, steps))
            seconds = time.perf_counter() - began
            return seconds, totals["d_loss"].value(), totals["g_loss"].value()

        return weights, run

    def matmul():
        product = jax.jit(lambda a: a @ a)
        a = random.normal(random.key(0), (2048, 2048))
        return best_gflops(lambda: product(a).block_until_ready())

    return Side(start, matmul)


def torch_side() -> Side:
    import torch
    import torch_translators as twins
    import torch_twin

    torch.set_num_threads(cores())

    def adam(parameters):
        return torch.optim.Adam(parameters, LEARNING_RATE, betas=(BETA1, 0.999))

    def gan_of(model, weights):
        g, d = model.twins()
        g.load_state_dict(torch_twin.from_flax(weights["G"], g), strict=False)
        d.load_state_dict(torch_twin.from_flax(weights["D"], d), strict=False)
        g_opt, d_opt = adam(g.parameters()), adam(d.parameters())

        def step(real):
            z = torch.randn(model.batch, model.latent_dim)
            return torch_twin.step(g, d, g_opt, d_opt, real, z, model.penalty)

        return step

    def translator_of(model, weights):
        nets = {name: twins.weights(tree) for name, tree in weights.items()}
        of = {name: twins.leaves(tree) for name, tree in nets.items()}
        if model.translator == "pix2pix":
            opts = {name: adam(parameters) for name, parameters in of.items()}
            return lambda x: twins.pix2pix_step(nets, opts, x[:, :3], x[:, 3:])
        opts = {"G": adam(of["G"] + of["F"]), "D": adam(of["D_a"] + of["D_b"])}
        pools = {"a": twins.Pool(), "b": twins.Pool()}
        return lambda x: twins.cyclegan_step(nets, opts, pools, x[:, :3], x[:, 3:])

    def start(model, data, weights):
        step = (translator_of if model.translator else gan_of)(model, weights)
        data = torch.from_numpy(data)
        if data.ndim == 4:
            data = data.permute(0, 3, 1, 2).contiguous()

        def run(steps):
            totals = torch.zeros(2)
            began = time.perf_counter()
            for _ in range(steps):
                real = data[torch.randint(len(data), (model.batch,))]
                if real.dtype == torch.uint8:
                    real = real.float() / 127.5 - 1
                totals += torch.stack(step(real))
            seconds = time.perf_counter() - began
            return seconds, *(totals / steps).tolist()

        return weights, run

    def matmul():
        a = torch.randn(2048, 2048)
        return best_gflops(lambda: a @ a)

    return Side(start, matmul)


def best_gflops(product):
    def seconds():
        began = time.perf_counter()
        product()
        return time.perf_counter() - began

    product()
    return 2 * 2048**3 / min(seconds() for _ in range(8)) / 1e9


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def serve(make, connection):
    """The life of a side's process: it answers until its parent hangs up."""
    side, runs = make(), {}
    try:
        while True:
            verb, *args = connection.recv()
            if verb == "start":
                name, data, weights = args
                answer, runs[name] = side.start(MODELS[name], data, weights)
            elif verb == "run":
                name, steps = args
                answer = runs[name](steps)
            else:
                answer, runs = side.matmul(), {}
            connection.send(answer)
    except (EOFError, KeyboardInterrupt):
        pass


def launch(make):
    """A process with that side in it: `ask(verb, *args) -> answer`."""
    context = multiprocessing.get_context("spawn")  # a fork would share libraries
    here, there = context.Pipe()
    context.Process(target=serve, args=(make, there), daemon=True).start()
    there.close()

    def ask(*message):
        try:
            here.send(message)
            return here.recv()
        except (EOFError, OSError):
            sys.exit(f"{make.__name__} died; its last words are above.")

    return ask


# --- the race


def race(names, sides, rounds, steps):
    """Lets models and sides take turns.

    Args:
        names: of the models.
        sides: `ask` by name; the first makes the weights that all start from.
        rounds: how many turns each takes.
        steps: of a turn; None for as many as the slowest does in half a second.

    Returns:
        By model's name, milliseconds a step, a list over rounds, by side; and the
        losses of D and G, means over the last round, by side.
    """
    pace = 0
    for name in names:
        data, weights = MODELS[name].data(), None
        for ask in sides.values():
            weights = ask("start", name, data, weights)
            ask("run", name, 2)
            pace = max(pace, ask("run", name, 3)[0] / 3)
    steps = steps or max(3, int(TURN_SECONDS / pace))
    turns = [(name, side) for name in names for side in sides]
    found = {name: ({side: [] for side in sides}, {}) for name in names}
    for i in range(rounds):
        for name, side in turns[:: -1 if i % 2 else 1]:
            ms, losses = found[name]
            sides[side]("run", name, max(1, steps // 8))  # wakes caches and threads
            seconds, *losses[side] = sides[side]("run", name, steps)
            ms[side].append(1e3 * seconds / steps)
    return found


def prices(raced) -> dict:
    """How many times as long a step takes with a penalty as without, by side."""
    plain = raced["plain"][0]
    return {
        name: {
            side: statistics.median(
                a / b for a, b in zip(ms[side], plain[side], strict=True)
            )
            for side in ms
        }
        for name, (ms, _) in raced.items()
        if name in PENALIZED[1:]
    }


def summary(model, ms, losses, peak):
    """All there is to say about a model's race, as plain values."""

    def of(side):
        median = statistics.median(ms[side])
        gflops = model.flops and model.flops / median / 1e6
        return {
            "ms": median,
            "ms_of_rounds": ms[side],
            "gflops": gflops,
            "share_of_peak": gflops and gflops / peak,
            "last_losses": losses[side],
        }

    ratios = [b / a for a, b in zip(ms["jaxgan"], ms["torch"], strict=True)]
    return {
        "title": model.title,
        "batch": model.batch,
        "gflop_of_step": model.flops and model.flops / 1e9,
        "jaxgan": of("jaxgan"),
        "torch": of("torch"),
        "ratio": statistics.median(ratios),
        "ratio_of_rounds": ratios,
        "bar": model.bar,
    }


def table(results) -> str:
    """The results for people."""
    versions = ", ".join(f"{n} {v}" for n, v in results["versions"].items())
    lines = [
        f"{versions}; {results['cores']} CPU cores, matmul peak "
        f"{results['peak_gflops']:.0f} GFLOP/s",
        f"{'':28}{'':9}{'ms/step':>9}{'GFLOP/s':>9}{'of peak':>9}{'  jaxgan is':>24}",
    ]
    for r in results["models"].values():
        low, high = min(r["ratio_of_rounds"]), max(r["ratio_of_rounds"])
        verdict = f"{r['ratio']:.2f}x ({low:.2f}-{high:.2f}), bar {r['bar']}x"
        for side, title, end in (
            ("jaxgan", r["title"], verdict),
            ("torch", f"  batch {r['batch']}", ""),
        ):
            t = r[side]
            counted = f"{'':18}"
            if t["gflops"]:
                counted = f"{t['gflops']:9.1f}{t['share_of_peak']:9.1%}"
            lines.append(f"{title:28}{side:9}{t['ms']:9.3f}{counted}  {end}".rstrip())
    for name, price in results["prices"].items():
        each = ", ".join(f"{side} {times:.2f}x" for side, times in price.items())
        lines.append(f"A step with {name} takes as long as without: {each}")
    return "\n".join(lines)


def benchmark(options: Options) -> dict:
    """Runs the races.

    Returns:
        Plain values: versions, cores, the peak, and `summary` by model's name.

    Raises:
        UsageError: PyTorch is missing, or an option is out of range.
    """
    from jaxgan.types import UsageError

    if importlib.util.find_spec("torch") is None:
        raise UsageError("PyTorch is not installed: pip install 'jaxgan[torch]'.")
    for name in ("rounds", "steps"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name} {value} must be 1 or more.")
    if os.getloadavg()[0] > cores() / 2:
        busy = (
            "Other programs are busy: times are too long, PyTorch's more than jaxgan's."
        )
        print(busy, file=sys.stderr)
    sides = {"jaxgan": launch(jaxgan_side), "torch": launch(torch_side)}
    peaks, raced = [], {}
    alone = [(name,) for name in options.models if name not in PENALIZED]
    penalized = tuple(name for name in options.models if name in PENALIZED)
    for names in [*alone, penalized] if penalized else alone:
        print(", ".join(MODELS[n].title for n in names), "...", file=sys.stderr)
        peaks += [ask("matmul") for ask in sides.values()]
        raced |= race(names, sides, options.rounds, options.steps)
    peaks += [ask("matmul") for ask in sides.values()]
    return {
        "versions": {n: importlib.metadata.version(n) for n in ("jax", "torch")},
        "cores": cores(),
        "peak_gflops": max(peaks),
        "models": {n: summary(MODELS[n], *r, max(peaks)) for n, r in raced.items()},
        "prices": prices(raced) if "plain" in raced else {},
    }


def main():
    import tyro

    from jaxgan.types import UsageError

    options = tyro.cli(Options)
    try:
        results = benchmark(options)
    except UsageError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    if options.json == "-":
        print(json.dumps(results, indent=2))
        return
    print(table(results))
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
