"""jaxgan's side: its GANs as its users train them, many steps in a dispatch."""

import time

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import random

from benchmarks import flops, machine
from jaxgan import data, models, parallel, recipes, regularizers, tasks
from jaxgan.data import feed
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
        sizes = {"hidden": (128, 128), "act": nn.relu, "dtype": self.dtype}
        G = models.mlp.Generator(shape=(2,), output=lambda x: x, **sizes)
        return self._gan(G, models.mlp.Discriminator(**sizes), latent_dim=2)

    def _gan(self, G, D, **options):
        nets = models.flax_net("G", G), models.flax_net("D", D)
        return recipes.gan(*nets, g_tx=TX, d_tx=TX, **options)

    def pix2pix(self):
        G = models.flax_net("G", models.pix2pix.UNet(dtype=self.dtype))
        D = models.flax_net("D", models.pix2pix.PatchGAN(dtype=self.dtype))
        return recipes.pix2pix(G, D, tasks.paired(), g_tx=TX, d_tx=TX)

    def cyclegan(self):
        G = models.cyclegan.ResNetGenerator(blocks=6, dtype=self.dtype)
        D = models.pix2pix.PatchGAN(dtype=self.dtype)
        nets = [models.flax_net(name, G) for name in ("G", "F")]
        nets += [models.flax_net(name, D) for name in ("D_a", "D_b")]
        return recipes.cyclegan(*nets, shape=(64, 64, 3), g_tx=TX, d_tx=TX)

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
        advance, zeros = self.programs[fed]
        totals = zeros()
        began, left = time.perf_counter(), steps
        while left:
            arrays, end = self.feeds[fed].at(self.taken)
            n = min(left, dispatch or left, (end or self.taken + left) - self.taken)
            self.state, totals = advance(self.state, totals, arrays, n)
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
    dataset, mesh = (
        data.from_arrays(rows["image"], **named),
        one_device(),
    )
    return {
        "resident": feed.resident(dataset, batch, feed.Change(), mesh),
        "streamed": feed.streamed(dataset, (0,), batch, feed.Change(), mesh),
    }
