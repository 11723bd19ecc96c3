"""The steps of all members: together, in turn, or on devices of their own."""

import jax
from jax import lax
from jax.sharding import PartitionSpec

from jaxgan import parallel
from jaxgan.run.members import AXES
from jaxgan.types import TrainState

__all__ = ["of_all"]


def of_all(steps, of_data, mesh, sharing):
    """The steps of all members; each device takes those of its own, if there are such.

    A CPU takes one member after another. It is faster at one product than at many small
    ones together, and a member has every bit of its single run.

    Args:
        steps: of one member.
        of_data: the axis of members of its data, or None.
        mesh: the devices.
        sharing: those that share a batch.
    """
    axes = (0, AXES, 0, of_data, None), (AXES, 0)
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    every = _in_turn(steps, of_data) if on_cpu else jax.vmap(steps, *axes)
    if sharing.size == mesh.size:
        return every
    ins, outs = jax.tree.map(
        lambda axis: PartitionSpec(*[] if axis is None else [parallel.AXIS]),
        axes,
        is_leaf=lambda axis: axis is None,
    )
    return jax.shard_map(
        every, mesh=mesh, in_specs=ins, out_specs=outs, check_vma=False
    )


def _in_turn(steps, of_data):
    """What `vmap` of the steps is, by a loop over members."""

    def run(who, state, totals, arrays, n):
        def one(own):
            member, fields, totals, rows = own
            here = arrays if of_data is None else rows
            return steps(member, TrainState(state.step, *fields), totals, here, n)

        rows = None if of_data is None else arrays
        new, totals = lax.map(one, (who, tuple(state[1:]), totals, rows))
        return new._replace(step=new.step[0]), totals

    return run
