"""PyTorch's side: the same GANs from the same weights, step after step.

In one of three modes:

- "eager": as most write it.
- "channels_last": with that layout of images, and Adam's update as one kernel.
- "compiled": the same, with networks through `torch.compile`. It cannot differentiate
  twice (pytorch#91469), so that a D with a penalty stays as it is.
"""

import contextlib
import functools
import time

import torch
from torch import nn

from benchmarks import (
    machine,
    torch_sngan,
    torch_spectral,
    torch_srgan,
    torch_translators,
    torch_twin,
)
from benchmarks.torch_translators import Net

MODES = ("eager", "channels_last", "compiled")


class Side:
    """Builds `weights -> step(batch)` of the cases.

    Args:
        dtype: what layers compute in; below float32, by PyTorch's autocast.
        mode: one of MODES.
        device: "cpu" or "cuda".
    """

    def __init__(self, dtype: str, mode: str, device: str):
        self.mode, self.device, self.dtype = mode, device, getattr(torch, dtype)
        torch.set_num_threads(machine.cores())
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")  # of a GPU; JAX's default there
        torch.backends.cudnn.allow_tf32 = True

    def dcgan(self, size, channels, width, base, norm=True, penalty=None):
        nets = torch_twin.dcgan(size, channels, width, 100, base, norm)
        return self._gan(*nets, latent_dim=100, penalty=penalty)

    def mlp(self):
        return self._gan(*torch_twin.mlp(), latent_dim=100)

    def ring(self):
        sizes = {"g_hidden": (128, 128), "d_hidden": (128, 128), "latent_dim": 2}
        nets = torch_twin.mlp((2,), **sizes, act=nn.ReLU, output=nn.Identity)
        return self._gan(*nets, latent_dim=2)

    def _gan(self, g, d, latent_dim, penalty=None):
        def build(weights):
            for name, net in (("G", g), ("D", d)):
                tensors = torch_twin.from_flax(weights[name], net)
                net.load_state_dict(tensors, strict=False)
                net.to(self.device, memory_format=self._layout)
            g_opt, d_opt = self._adam(g.parameters()), self._adam(d.parameters())
            G, D = self._network(g), d if penalty else self._network(d)

            def step(batch):
                real = batch["image"]
                z = torch.randn(len(real), latent_dim, device=self.device)
                return torch_twin.step(G, D, g_opt, d_opt, real, z, penalty)

            return step

        return build

    def pix2pix(self):
        of = {"G": torch_translators.unet, "D": torch_translators.patchgan}

        def step(nets, opts, batch):
            given, target = batch["input"], batch["image"]
            return torch_translators.pix2pix_step(nets, opts, given, target)

        return self._of(of, step)

    def cyclegan(self):
        to, D = torch_translators.resnet, torch_translators.patchgan
        of = {"G": to, "F": to, "D_a": D, "D_b": D}
        pools = {"a": torch_translators.Pool(), "b": torch_translators.Pool()}

        def step(nets, opts, batch):
            a, b = batch["input"], batch["image"]
            return torch_translators.cyclegan_step(nets, opts, pools, a, b)

        return self._of(of, step, {"G": ("G", "F"), "D": ("D_a", "D_b")})

    def srgan(self):
        of = {"G": torch_srgan.srresnet, "D": torch_srgan.critic}

        def step(nets, opts, batch):
            return torch_srgan.srgan_step(nets, opts, batch["image"])

        return self._of(of, step)

    def sngan(self):
        of = {"G": torch_sngan.generator, "D": torch_sngan.discriminator}

        def step(nets, opts, batch):
            real = batch["image"]
            z = torch.randn(len(real), 128, device=self.device)
            return torch_sngan.sngan_step(nets, opts, real, z)

        return self._of(of, step, spectral="D")

    def _of(self, functions, step, owners=None, spectral=()):
        """A GAN of networks that are functions of their weights.

        Args:
            functions: the networks, by name.
            step: `(nets, opts, batch) -> losses`.
            owners: by an optimizer's name, the networks that it trains; by default
                each has its own.
            spectral: the names of networks with spectral normalization.
        """

        def build(weights):
            nets = self._nets(weights, functions)
            normalize = self._network(torch_spectral.normalized)
            for name in spectral:
                function, tree = nets[name].function, nets[name].tree
                of = function, tree, torch_spectral.vectors(tree), normalize
                nets[name] = torch_spectral.Normalized(*of)
            opts = {
                name: self._adam([x for n in of for x in nets[n].parameters()])
                for name, of in (owners or {n: (n,) for n in nets}).items()
            }
            return functools.partial(step, nets, opts)

        return build

    @property
    def _layout(self):
        eager = self.mode == "eager"
        return torch.contiguous_format if eager else torch.channels_last

    def _network(self, function):
        return torch.compile(function) if self.mode == "compiled" else function

    def _nets(self, weights, functions):
        """Networks that are functions of their weights, by name."""
        made = {f: self._network(f) for f in functions.values()}
        return {
            name: Net(made[functions[name]], self._placed(torch_translators.weights(x)))
            for name, x in weights.items()
        }

    def _placed(self, tree):
        if isinstance(tree, dict):
            return {name: self._placed(x) for name, x in tree.items()}
        return self._put(tree.detach()).requires_grad_()

    def _put(self, x):
        x = x.to(self.device)
        return x.contiguous(memory_format=self._layout) if x.ndim == 4 else x

    def _adam(self, parameters):
        fused = self.mode != "eager"
        return torch.optim.Adam(parameters, 2e-4, betas=(0.5, 0.999), fused=fused)

    def start(self, case, rows, weights):
        """Begins a case anew.

        Args:
            case: a `cases.Case`.
            rows: what its `data` returned.
            weights: by network, as jaxgan has them.

        Returns:
            A `Run`.
        """
        tensors = {k: torch.from_numpy(v).to(self.device) for k, v in rows.items()}
        images = {
            k: x.movedim(-1, 1).contiguous() for k, x in tensors.items() if x.ndim == 4
        }
        return Run(self, case.build(self)(weights), tensors | images, case.batch)

    def matmul(self) -> float:
        """GFLOP/s of a product of matrices in `dtype`."""
        n = machine.side(self.device)
        a = torch.randn(n, n, device=self.device, dtype=self.dtype)

        def product():
            a @ a
            self.wait()

        return machine.gflops(product, n)

    def forget(self) -> None:
        """Programs that this process has compiled; files of them stay."""
        torch.compiler.reset()

    def wait(self):
        if self.device == "cuda":
            torch.cuda.synchronize()

    def autocast(self):
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device, self.dtype)

    def batch(self, rows, size):
        """Some rows at random; images in [-1, 1]."""
        index = torch.randint(len(rows["image"]), (size,), device=self.device)
        some = {name: x[index] for name, x in rows.items()}
        return {
            name: self._put(x.float() / 127.5 - 1) if x.dtype == torch.uint8 else x
            for name, x in some.items()
        }


class Run:
    """A case that is being trained."""

    def __init__(self, side, step, rows, batch):
        self.side, self.step, self.rows, self.batch = side, step, rows, batch
        self.weights = None
        self.flops = None

    def run(self, steps):
        """Trains on; returns seconds, and the means of D's and of G's loss."""
        totals = torch.zeros(2, device=self.side.device)
        self.side.wait()
        began = time.perf_counter()
        for _ in range(steps):
            batch = self.side.batch(self.rows, self.batch)
            with self.side.autocast():
                totals += torch.stack(self.step(batch))
        self.side.wait()
        seconds = time.perf_counter() - began
        return seconds, *(totals / steps).tolist()

    def memory(self) -> int:
        """Bytes: of the GPU, the most that was in use; of a CPU, of this process."""
        if self.side.device == "cuda":
            return torch.cuda.max_memory_allocated()
        return machine.peak_memory()

    def close(self):
        pass
