"""Many seeds of a GAN, through jaxgan's members."""

import time
from functools import partial

import jax

from benchmarks import jaxgan_side
from jaxgan import distributed, parallel
from jaxgan.run import program
from jaxgan.run.members import Member, divide_cpu


class Sweep:
    """Seeds of a case in training, all as one program and one by one."""

    def __init__(self, case, dtype: str, members: int):
        divide_cpu(members)
        model, rows = case.build(jaxgan_side.Side(dtype)), case.data()
        source = jaxgan_side.feeds(rows, case)["resident"]
        make = partial(_Trained, model, source, rows["image"].shape[1:])
        seeds = [Member(seed, {}) for seed in range(members)]
        self.all = make(tuple(seeds))
        self.first, self.members = make((seeds[0],)), members

    def together(self, steps: int) -> float:
        """Seconds that so many steps of all seeds take."""
        return self.all.run(steps)

    def alone(self, steps: int) -> float:
        """The same, one after another; all by the program of the first seed, so that
        compiling is no part of it."""
        return sum(self.first.run(steps) for _ in range(self.members))


class _Trained:
    def __init__(self, model, source, shape, members):
        # As `run.train` does: a single run on one device here, and members on all.
        mesh = parallel.mesh() if len(members) > 1 else jaxgan_side.one_device()
        self.state = program.start(lambda _: model, members, shape, mesh).init()
        self.program = program.program(
            lambda _: model, members, source, self.state, mesh
        )
        self.arrays = distributed.everywhere(source.at(0)[0], mesh)

    def run(self, steps):
        totals = self.program.begun()
        began = time.perf_counter()
        args = self.state, totals, self.arrays, steps
        self.state, totals = self.program.run(*args)
        jax.block_until_ready((self.state, totals))
        return time.perf_counter() - began
