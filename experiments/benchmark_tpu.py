"""What steps of GANs of published sizes would be on TPUs, compiled for real.

    python experiments/benchmark_tpu.py
    python experiments/benchmark_tpu.py --models dcgan --devices 8 1 --json -

Needs no TPU, only XLA's compiler for them: pip install 'jaxgan[tpu]'. Each step is
compiled for eight TPU v5e, or for one of them, and never run; FLOPs, memory and what
devices tell one another are read from the program. All figures are of one device.

The roofline is the least that a step can take: FLOPs at the bfloat16 peak, or bytes at
the memory's bandwidth, whichever takes longer. It knows nothing of the network between
devices, and XLA counts bytes that stay on the chip too: it is no promise of a speed.

Compiling takes minutes each, and cannot be cached: JAX reads compiled programs back
only where there is a device.
"""

import dataclasses
import importlib.metadata
import sys
from typing import Literal

from benchmarks import machine, shell, tpu

TITLES = {
    "dcgan": "DCGAN, 64x64, bfloat16",
    "pix2pix": "pix2pix, 256x256",
    "cyclegan": "CycleGAN, 256x256",
    "spade": "SPADE, 256x256",
    "sngan": "SNGAN ResNet, 32x32",
    "r3gan": "R3GAN, 64x64, bfloat16",
    "stylegan2": "StyleGAN2, 256x256, bfloat16",
}
"""Cheapest to compile first."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Compile steps for TPU v5e, without one."""

    models: tuple[Literal[*TITLES], ...] = tuple(TITLES)
    """Of the papers' widths and batches, the batch on each device;
    `benchmarks/tpu_networks.py` has them."""
    devices: tuple[Literal[1, 8], ...] = (8,)
    """How many devices to compile for."""
    json: str | None = None
    """Also write all numbers to this file; "-" for standard output."""


def benchmark(options: Options) -> dict:
    """Compiles the steps, one after another.

    Returns:
        Plain values: versions, cores, and `rows`, of `tpu.Figures.plain` with the
        model's name, `devices` and `batch`, or with `error` where it was refused.

    Raises:
        UsageError: libtpu is not installed.
    """
    tpu.check()
    rows = []
    for name in options.models:
        for devices in options.devices:
            print(f"{TITLES[name]}, v5e-{devices} ...", file=sys.stderr)
            rows.append(row(name, devices))
            print(line(rows[-1]), file=sys.stderr)
    packages = ("jax", "jaxlib", "libtpu")
    versions = {package: importlib.metadata.version(package) for package in packages}
    return {"versions": versions, "cores": machine.cores(), "rows": rows}


def row(name: str, devices: int) -> dict:
    """Of a model, by name, on so many devices; an error of XLA's is a row's too."""
    import jax
    from benchmarks import tpu_networks

    made, batch = getattr(tpu_networks, name)(devices)
    state = jax.eval_shape(made.init, jax.random.key(0), batch)
    size = len(jax.tree.leaves(batch)[0])
    found = {"model": name, "devices": devices, "batch": size}
    try:
        figures = tpu.compiled(made.step, state, batch, tpu.mesh(devices))
    except jax.errors.JaxRuntimeError as error:  # such as more memory than there is
        return found | {"error": str(error).splitlines()[0]}
    return found | figures.plain()


def table(results: dict) -> str:
    """The results of `benchmark` as lines of text."""
    versions = ", ".join(f"{n} {v}" for n, v in results["versions"].items())
    head = (
        f"{'':24}{'devices':>8}{'batch':>7}{'TFLOP':>8}{'GB':>8}{'peak GiB':>10}"
        f"{'temp GiB':>10}{'fits':>6}{'roofline':>12}{'compiled in':>13}  collectives"
    )
    return "\n".join(
        [f"{versions}; of one TPU v5e, compiled, not run", head]
        + [line(row) for row in results["rows"]]
    )


def line(row: dict) -> str:
    """A row of the table."""
    start = f"{TITLES[row['model']]:24}{row['devices']:8}{row['batch']:7}"
    if "error" in row:
        return f"{start}  {row['error']}"
    told = ", ".join(f"{n} {kind}" for kind, n in row["collectives"].items()) or "none"
    return (
        f"{start}{row['flops'] / 1e12:8.3f}{row['bytes_accessed'] / 1e9:8.1f}"
        f"{row['peak'] / 2**30:10.2f}{row['temporary'] / 2**30:10.2f}"
        f"{'yes' if row['fits'] else 'no':>6}{row['roofline_seconds'] * 1e3:9.1f} ms"
        f"{row['seconds']:11.0f} s  {told}"
    )


if __name__ == "__main__":
    tpu.set_environment()
    shell.main(Options, benchmark, table)
