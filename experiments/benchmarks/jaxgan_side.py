"""jaxgan's side: its GANs as its users train them, many steps in a dispatch."""

import time

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import random

from benchmarks import flops, machine
from jaxgan import (
    augment,
    data,
    losses,
    models,
    parallel,
    recipes,
    regularizers,
    tasks,
)
from jaxgan.data import feed
from jaxgan.models import spectral
from jaxgan.run import program
from jaxgan.run.members import Member

TX = optax.adam(2e-4, b1=0.5)
PENALTIES = {
    None: None,
    "r1": regularizers.r1(10.0),
    "wgan_gp": regularizers.wgan_gp(10.0),
}


class Side:
    """Builds models of the cases; their layers compute in `dtype`."""

    def __init__(self, dtype: str):
        self.dtype = jnp.dtype(dtype)

    def dcgan(self, size, channels, width, base, norm=True, penalty=None):
        shape, norms = (size, size, channels), (True, norm)
        G, D = models.dcgan.networks(
            shape, width, dtype=self.dtype, base=base, norm=norms
        )
        return self._gan(G, D, latent_dim=100, penalty=PENALTIES[penalty])

    def mlp(self):
        G = models.mlp.Generator(dtype=self.dtype)
        return self._gan(G, models.mlp.Discriminator(dtype=self.dtype), latent_dim=100)

    def ring(self):
        return self._gan(*self._of_ring(), latent_dim=2)

    def _of_ring(self):
        sizes = {"hidden": (128, 128), "act": nn.relu, "dtype": self.dtype}
        G = models.mlp.Generator(shape=(2,), output=lambda x: x, **sizes)
        return G, models.mlp.Discriminator(**sizes)

    def consensus(self):
        """With `mixture_2d.py`'s weight."""
        G, D = self._of_ring()
        options = {"latent_dim": 2, "weight": 0.1, "g_tx": TX, "d_tx": TX}
        return recipes.consensus(*self._nets(G=G, D=D), **options)

    def unrolled(self):
        """Of five steps ahead."""
        G, D = self._of_ring()
        d_tx = optax.adam(2e-4, b1=0.5, eps_root=1e-8)
        options = {"latent_dim": 2, "g_tx": TX, "d_tx": d_tx}
        return recipes.unrolled(*self._nets(G=G, D=D), **options)

    def _gan(self, G, D, **options):
        return recipes.gan(*self._nets(G=G, D=D), g_tx=TX, d_tx=TX, **options)

    def pix2pix(self):
        G = models.pix2pix.UNet(dtype=self.dtype)
        D = models.pix2pix.PatchGAN(dtype=self.dtype)
        nets = self._nets(G=G, D=D)
        return recipes.pix2pix(*nets, tasks.paired(), g_tx=TX, d_tx=TX)

    def cyclegan(self):
        G = models.cyclegan.ResNetGenerator(blocks=6, dtype=self.dtype)
        D = models.pix2pix.PatchGAN(dtype=self.dtype)
        nets = self._nets(G=G, F=G, D_a=D, D_b=D)
        return recipes.cyclegan(*nets, shape=(64, 64, 3), g_tx=TX, d_tx=TX)

    def srgan(self):
        """In its second stage, after pre-training."""
        G = models.srgan.SRResNet(3, 32, 4, 4, self.dtype)
        D = models.srgan.Discriminator(16, 256, dtype=self.dtype)
        nets, task = self._nets(G=G, D=D), tasks.super_resolution(4)
        return recipes.srgan(*nets, task, g_tx=TX, d_tx=TX, pretrain=0)

    def sngan(self):
        G, D = models.resnet.networks((32, 32, 3), 64, 32, dtype=self.dtype)
        G, D = self._nets(G=G, D=D)
        options = {"latent_dim": 128, "loss": losses.hinge, "g_tx": TX, "d_tx": TX}
        return recipes.gan(G, spectral.normalized(D), **options)

    def r3gan(self, size, width, most):
        """A block a stage."""
        of = width, most, 1, 16, 0, self.dtype
        G, D = models.r3gan.networks((size, size, 3), *of)
        penalty = regularizers.total(regularizers.r1(1.0), regularizers.r2(1.0))
        options = {"loss": losses.relativistic_logistic, "penalty": penalty}
        return self._gan(G, D, latent_dim=64, **options)

    def stylegan2(self, size, width, r1_every=None, path_every=None):
        """Without the regularizers that have no period."""
        nets = models.stylegan2.networks((size, size, 3), width, dtype=self.dtype)
        nets = self._nets(**dict(zip(("mapping", "synthesis", "D"), nets, strict=True)))
        without = {} if r1_every else {"r1": None}
        without |= {} if path_every else {"path_weight": None}
        periods = {"r1_every": r1_every or 16, "path_every": path_every or 4}
        options = {"latent_dim": 512, "g_tx": TX, "d_tx": TX}
        return recipes.stylegan2(*nets, **periods, **without, **options)

    def acgan(self):
        """`acgan_mnist.py`'s."""
        shape, options = (28, 28, 1), {"dtype": self.dtype}
        G, _ = models.dcgan.networks(shape, 32, 10, **options)
        _, D = models.dcgan.networks(shape, 32, **options)
        nets = self._nets(G=G, D=D.clone(outputs=10))
        of = {"latent_dim": 100, "num_classes": 10}
        return recipes.acgan(*nets, **of, g_tx=TX, d_tx=TX)

    def infogan(self):
        """`infogan_mnist.py`'s."""
        G, D = models.dcgan.networks((28, 28, 1), 32, dtype=self.dtype)
        D = D.clone(hidden=1024, outputs=12)
        nets = self._nets(G=G.clone(hidden=1024), D=D)
        seen = augment.diff_augment(augment.affine)
        return recipes.infogan(*nets, g_tx=TX, d_tx=TX, augment=seen)

    def spade(self):
        """`spade.py`'s."""
        G = models.spade.Generator(3, 16, 16, dtype=self.dtype)
        D = models.pix2pix.MultiScale(2, 32, 16, dtype=self.dtype)
        E = models.spade.Encoder(64, 16, dtype=self.dtype)
        G, D, E = self._nets(G=G, D=D, E=E)
        nets = spectral.normalized(G), spectral.normalized(D), tasks.of_maps(11)
        options = {"latent_dim": 64, "encoder": E, "feature_matching": 2.0}
        return recipes.spade(*nets, **options, g_tx=TX, d_tx=TX)

    def _nets(self, **modules):
        return [models.flax_net(name, module) for name, module in modules.items()]

    def start(self, case, rows, weights):
        """Begins a case anew.

        Args:
            case: a `cases.Case`.
            rows: what its `data` returned.
            weights: None; jaxgan's side makes the weights.

        Returns:
            A `Run`.
        """
        return Run(case.build(self), case, rows)

    def matmul(self) -> float:
        """GFLOP/s of a product of matrices in `dtype`."""
        product, n = jax.jit(lambda a: a @ a), machine.side(jax.default_backend())
        a = random.normal(random.key(0), (n, n), self.dtype)
        return machine.gflops(lambda: product(a).block_until_ready(), n)

    def forget(self) -> None:
        """Programs that this process has compiled; files of them stay."""
        jax.clear_caches()


class Run:
    """A case that is being trained, by the programs that jaxgan's command line runs."""

    def __init__(self, model, case, rows):
        self.feeds, mesh = feeds(rows, case), one_device()
        run, shape = (Member(0, {}),), rows["image"].shape[1:]
        self.state = program.start(lambda _: model, run, shape, mesh).init()
        self.programs = {
            name: program.program(lambda _: model, run, source, self.state, mesh)
            for name, source in self.feeds.items()
        }
        self.weights = jax.device_get(self.state.params)
        source, key = self.feeds["resident"], random.key(0)
        batch = jax.eval_shape(source.batch, source.at(0)[0], 0, key, 0)
        self.flops = flops.counted(model.step, self.state, batch, key)
        self.taken = 0

    def run(self, steps, dispatch=None, fed="resident"):
        """Trains on.

        Args:
            steps: how many.
            dispatch: steps in a dispatch, at most; None for as many as there are data.
            fed: how data come: "resident", all on the device, or "streamed" to it.

        Returns:
            Seconds, and the means of D's and of G's loss.
        """
        program = self.programs[fed]
        totals = program.begun()
        began, left = time.perf_counter(), steps
        while left:
            arrays, end = self.feeds[fed].at(self.taken)
            n = min(left, dispatch or left, (end or self.taken + left) - self.taken)
            self.state, totals = program.run(self.state, totals, arrays, n)
            self.taken, left = self.taken + n, left - n
        jax.block_until_ready((self.state, totals))
        seconds = time.perf_counter() - began
        return seconds, totals["d_loss"].value(), totals["g_loss"].value()

    def memory(self) -> int:
        """Bytes: of the GPU, the most that was in use; of a CPU, of this process."""
        return (jax.devices()[0].memory_stats() or {}).get(
            "peak_bytes_in_use", machine.peak_memory()
        )

    def close(self):
        for source in self.feeds.values():
            source.close()


def one_device():
    return parallel.mesh(jax.devices()[:1])


def feeds(rows, case):
    """Ways of bringing data to the device, by name; points are all there."""
    batch = case.batch
    if case.points:
        points = jnp.asarray(rows["image"])

        def some(arrays, step, key, seed):
            return {"image": arrays[random.randint(key, (batch,), 0, len(arrays))]}

        return {"resident": feed.Feed(lambda step: (points, None), some, lambda: None)}
    named = {{"label": "labels"}.get(k, k): v for k, v in rows.items() if k != "image"}
    dataset, mesh = data.from_arrays(rows["image"], **named), one_device()
    return {
        "resident": feed.resident(dataset, batch, feed.Change(), mesh),
        "streamed": feed.streamed(dataset, (0,), batch, feed.Change(), mesh),
    }
