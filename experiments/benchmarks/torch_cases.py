"""The cases as a PyTorch user builds them, for `torch_side`."""

import functools
import itertools

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks import (
    torch_games,
    torch_heads,
    torch_r3gan,
    torch_sngan,
    torch_spade,
    torch_spectral,
    torch_srgan,
    torch_stylegan2,
    torch_translators,
    torch_twin,
)
from benchmarks.torch_translators import Net


class Cases:
    """Each makes `weights -> step(batch)`, of weights by network, as jaxgan has them.

    A mode decides the layout of images, the kernel of Adam, and what is compiled.
    """

    mode: str
    device: str

    def dcgan(self, size, channels, width, base, norm=True, penalty=None):
        nets = torch_twin.dcgan(size, channels, width, 100, base, norm)
        return self._gan(*nets, latent_dim=100, penalty=penalty)

    def mlp(self):
        return self._gan(*torch_twin.mlp(), latent_dim=100)

    def ring(self):
        return self._gan(*self._of_ring(), latent_dim=2)

    def _of_ring(self):
        sizes = {"g_hidden": (128, 128), "d_hidden": (128, 128), "latent_dim": 2}
        return torch_twin.mlp((2,), **sizes, act=nn.ReLU, output=nn.Identity)

    def consensus(self):
        field = self._whole(torch_games.field)

        def step(nets, opts, batch):
            real = batch["image"]
            z = torch.randn(len(real), 2, device=self.device)
            return torch_games.consensus_step(nets, opts, real, z, field=field)

        return self._modules(*self._of_ring(), step, compiled=())

    def unrolled(self):
        g, d = self._of_ring()

        def build(weights):
            self._load(weights, G=g, D=d)
            nets, opt = {"G": g, "D": d}, self._adam(g.parameters())
            update = self._whole(torch_games.d_update)
            objective = self._whole(torch_games.g_objective)
            D = torch_games.learner(d)

            def step(batch):
                nonlocal D
                real = batch["image"]
                zs = torch.randn(5 + 2, len(real), 2, device=self.device)
                of = nets, D, opt, real, zs, update, objective
                *losses, D = torch_games.unrolled_step(*of)
                return losses

            return step

        return build

    def _gan(self, g, d, latent_dim, penalty=None):
        def step(nets, opts, batch):
            real = batch["image"]
            z = torch.randn(len(real), latent_dim, device=self.device)
            of = nets["G"], nets["D"], opts["G"], opts["D"]
            return torch_twin.step(*of, real, z, penalty)

        # torch.compile cannot differentiate d twice.
        compiled = ("G",) if penalty else ("G", "D")
        return self._modules(g, d, step, compiled=compiled)

    def _modules(self, g, d, step, d_weights=lambda x: x, compiled=("G", "D")):
        """A GAN of two modules; `step` as `_of` has it.

        Args:
            g: the generator.
            d: the discriminator.
            step: `(nets, opts, batch) -> losses`.
            d_weights: what d takes of jaxgan's weights.
            compiled: what is compiled, if the mode compiles.
        """

        def build(weights):
            self._load(weights | {"D": d_weights(weights["D"])}, G=g, D=d)
            opts = {"G": self._adam(g.parameters()), "D": self._adam(d.parameters())}
            nets = {"G": g, "D": d}
            nets |= {name: self._network(nets[name]) for name in compiled}
            return functools.partial(step, nets, opts)

        return build

    def _load(self, weights, **modules):
        for name, module in modules.items():
            tensors = torch_twin.from_flax(weights[name], module)
            module.load_state_dict(tensors, strict=False)
            module.to(self.device, memory_format=self._layout)

    def acgan(self):
        def step(nets, opts, batch):
            real, label = batch["image"], batch["label"].long()
            z = torch.randn(len(real), 100, device=self.device)
            return torch_heads.acgan_step(nets, opts, real, label, z)

        return self._modules(*torch_heads.dcgan(110, 10), step, torch_heads.joined)

    def infogan(self):
        def step(nets, opts, batch):
            n = len(batch["image"])
            z = torch_heads.codes(n, self.device)
            by = torch.rand(2, 2, n, 3, device=self.device) * 2 - 1
            return torch_heads.infogan_step(nets, opts, batch["image"], z, by)

        of = torch_heads.dcgan(74, 12, hidden=1024)
        return self._modules(*of, step, torch_heads.joined)

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

        return self._of(of, step, spectral=("D",))

    def r3gan(self, size, width, most):
        of = {"G": torch_r3gan.generator, "D": torch_r3gan.discriminator}

        def step(nets, opts, batch):
            real = batch["image"]
            z = torch.randn(len(real), 64, device=self.device)
            return torch_r3gan.r3gan_step(nets, opts, real, z)

        # torch.compile cannot differentiate D twice.
        return self._of(of, step, eager=("D",))

    def stylegan2(self, size, width, r1_every=None, path_every=None):
        layers = 2 * (size.bit_length() - 2)
        of = {
            "mapping": functools.partial(torch_stylegan2.mapping, layers=layers),
            "synthesis": torch_stylegan2.synthesis,
            "D": torch_stylegan2.discriminator,
        }
        draw, memory = torch_stylegan2.Randomness(self.device), {}
        steps = itertools.count()

        def step(nets, opts, batch):
            t = next(steps)
            # Lazily, a regularizer weighs as much more as it comes more rarely.
            r1 = 10.0 * r1_every if r1_every and t % r1_every == 0 else None
            path = 2.0 * path_every if path_every and t % path_every == 0 else None
            of = nets, opts, batch["image"], draw, memory, r1, path
            return torch_stylegan2.stylegan2_step(*of)

        eager = [*(("D",) if r1_every else ()), *(("synthesis",) if path_every else ())]
        owners = {"G": ("mapping", "synthesis"), "D": ("D",)}
        return self._of(of, step, owners, eager=eager)

    def spade(self):
        of = {"G": torch_spade.generator, "D": torch_spade.multiscale}
        of |= {"E": torch_spade.encoder}

        def step(nets, opts, batch):
            label_map = F.one_hot(batch["map"].long(), 11).movedim(-1, 1).float()
            z = torch.randn(len(label_map), 64, device=self.device)
            of = batch["image"], self._put(label_map), z
            return torch_spade.spade_step(nets, opts, *of)

        owners = {"G": ("G", "E"), "D": ("D",)}
        return self._of(of, step, owners, spectral=("G", "D"))

    def _of(self, functions, step, owners=None, spectral=(), eager=()):
        """A GAN of networks that are functions of their weights.

        Args:
            functions: the networks, by name.
            step: `(nets, opts, batch) -> losses`.
            owners: by an optimizer's name, the networks that it trains; by default
                each has its own.
            spectral: the names of networks with spectral normalization.
            eager: the names of networks that no mode compiles.
        """

        def build(weights):
            nets = self._nets(weights, functions, eager)
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

    def _whole(self, function):
        """Compiled with the gradients that the function takes itself."""
        if self.mode != "compiled":
            return function
        torch._dynamo.config.trace_autograd_ops = True
        return torch.compile(function, fullgraph=True)

    def _nets(self, weights, functions, eager=()):
        """Networks that are functions of their weights, by name."""
        made = {f: self._network(f) for f in functions.values()}
        made |= {functions[name]: functions[name] for name in eager}
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
