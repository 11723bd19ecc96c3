"""What XLA's compiler for TPUs says of a step, where there is no TPU.

The package libtpu holds the compiler. A step is compiled for the devices of a
topology, such as eight TPU v5e, and never run: figures are read from the program that
they would run. All are of one device.

Nothing here imports JAX before it is called: `set_environment` comes first, since JAX
and libtpu read theirs as they start.
"""

import importlib.util
import math
import os
import re
import time
from typing import NamedTuple

ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",  # what is not compiled for TPUs runs here
    "TPU_SKIP_MDS_QUERY": "1",  # nobody is asked what machine this is
    "TPU_ACCELERATOR_TYPE": "v5litepod-8",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # no TPU here that two could quarrel over
}
MISSING = "libtpu, the compiler for TPUs, is not installed: pip install 'jaxgan[tpu]'."

PEAK_FLOPS = 197e12
"""Of a TPU v5e, FLOP/s in bfloat16."""
BANDWIDTH = 819e9
"""Of its memory, bytes/s."""
MEMORY = 16 * 2**30
"""Its memory, bytes."""

KINDS = (
    *("all-reduce", "all-gather", "all-to-all", "collective-permute"),
    *("reduce-scatter", "collective-broadcast", "ragged-all-to-all"),
)
_COLLECTIVE = re.compile(
    rf"^\s*(?:ROOT )?%?[\w.-]+ = (\(.*?\)|\S+) ({'|'.join(KINDS)})(-start)?\(", re.M
)
_ARRAY = re.compile(r"\b([a-z]+\d*\w*)\[([\d,]*)\]")


class Collective(NamedTuple):
    """What devices tell one another at once."""

    kind: str
    """One of `KINDS`."""
    results: tuple[tuple[str, tuple[int, ...]], ...]
    """dtype as XLA writes it, and shape, of each array that a device has of it."""

    @property
    def elements(self) -> list[int]:
        """How many numbers each array has."""
        return [math.prod(shape) for _, shape in self.results]

    @property
    def bytes(self) -> int:
        """Of all results."""
        sizes = zip(self.results, self.elements, strict=True)
        return sum(-(-_bits(dtype) * n // 8) for (dtype, _), n in sizes)


class Figures(NamedTuple):
    """Of a compiled step, on one device."""

    flops: float
    """As XLA counts them, a loop's body once."""
    bytes_accessed: float
    """Bytes that operations read and write, as XLA counts them: also those that never
    leave the chip, so time by them is an upper bound of what memory takes."""
    argument: int
    """Bytes of state, batch and key."""
    output: int
    """Bytes of state and metrics."""
    temporary: int
    """Bytes of all else in memory; 0 if the chip's own holds it."""
    alias: int
    """Bytes of outputs that take the place of arguments."""
    collectives: tuple[Collective, ...]
    seconds: float
    """To compile, on this machine."""
    text: str
    """The optimized program, as HLO."""

    @property
    def peak(self) -> int:
        """Bytes of memory at once, an estimate from above."""
        return self.argument + self.output + self.temporary - self.alias

    @property
    def fits(self) -> bool:
        """Whether that is less than a TPU v5e has."""
        return self.peak <= MEMORY

    @property
    def counts(self) -> dict[str, int]:
        """How many collectives there are of each kind, for those that there are."""
        kinds = [c.kind for c in self.collectives]
        return {kind: kinds.count(kind) for kind in KINDS if kind in kinds}

    def plain(self) -> dict:
        """As plain values: bytes, seconds, counts."""
        fields = self._asdict()
        del fields["text"], fields["collectives"]
        return fields | {
            "peak": self.peak,
            "fits": self.fits,
            "collectives": self.counts,
            "collective_bytes": sum(c.bytes for c in self.collectives),
            "roofline_seconds": roofline(self.flops, self.bytes_accessed),
        }


def roofline(flops: float, bytes_accessed: float) -> float:
    """Seconds that a TPU v5e takes at least, for so many FLOPs and bytes of memory."""
    return max(flops / PEAK_FLOPS, bytes_accessed / BANDWIDTH)


def set_environment() -> None:
    """Sets what JAX and libtpu read. Call it before JAX is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def check() -> None:
    """Raises: UsageError, when libtpu is not installed."""
    if importlib.util.find_spec("libtpu") is None:
        from jaxgan.types import UsageError

        raise UsageError(None, None, MISSING)


def mesh(devices: int):
    """A mesh over so many TPU v5e, of eight that there are not.

    Raises:
        UsageError: libtpu is not installed.
    """
    check()
    from jax.experimental import topologies

    from jaxgan import parallel

    of = topologies.get_topology_desc(platform="tpu", topology_name="v5e:2x4")
    return parallel.mesh(of.devices[:devices])


def compiled(step, state, batch, mesh) -> Figures:
    """Compiles a step for a mesh, as `parallel.sharded` has it, and reads the program.

    Args:
        step: `(state, batch, key) -> (state, metrics)`.
        state: of shapes, as `jax.eval_shape` returns it, or of arrays.
        batch: likewise, of all devices.
        mesh: from `mesh`.
    """
    import jax

    from jaxgan import parallel

    whole, parts = parallel.replicated(mesh), parallel.divided(mesh)
    run = jax.jit(
        parallel.over(step, mesh),
        in_shardings=(whole, parts, whole),
        out_shardings=(whole, whole),
        donate_argnums=0,
    )
    key = jax.eval_shape(lambda: jax.random.key(0))
    lowered = run.lower(state, batch, key)
    began = time.perf_counter()
    program = lowered.compile()
    seconds = time.perf_counter() - began
    cost, memory = program.cost_analysis(), program.memory_analysis()
    text = program.as_text()
    return Figures(
        cost["flops"],
        cost["bytes accessed"],
        memory.argument_size_in_bytes,
        memory.output_size_in_bytes,
        memory.temp_size_in_bytes,
        memory.alias_size_in_bytes,
        collectives(text),
        seconds,
        text,
    )


def collectives(text: str) -> tuple[Collective, ...]:
    """Those of a program in HLO, in its order; one that starts and is done is one."""
    found = []
    for shape, kind, start in _COLLECTIVE.findall(text):
        results = [
            (dtype, tuple(int(n) for n in dims.split(",") if n))
            for dtype, dims in _ARRAY.findall(shape)
        ]
        if start and kind != "all-reduce":  # operands, results, and maybe contexts
            arrays = [r for r in results if r != ("u32", ())]
            results = arrays[len(arrays) // 2 :]
        found.append(Collective(kind, tuple(results)))
    return tuple(found)


def _bits(dtype):
    """Of a number: f32, bf16, f8e4m3fn, s4, pred."""
    digits = re.search(r"\d+", dtype)
    return int(digits[0]) if digits else 8
