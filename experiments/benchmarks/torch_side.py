"""PyTorch's side: the same GANs from the same weights, step after step.

In one of three modes:

- "eager": as most write it.
- "channels_last": with that layout of images, and Adam's update as one kernel.
- "compiled": the same, with networks through `torch.compile`. It cannot differentiate
  twice (pytorch#91469), so that a D with a penalty stays as it is; where a recipe is
  all about gradients, losses are compiled with the gradients in them (`torch_games`).
"""

import contextlib
import time

import torch

from benchmarks import machine, torch_cases

MODES = ("eager", "channels_last", "compiled")


class Side(torch_cases.Cases):
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
            name: self._put(x.float() / 127.5 - 1) if x.ndim == 4 else x
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
