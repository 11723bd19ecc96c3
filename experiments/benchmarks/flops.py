"""How many FLOPs a step has: those of its matrix products and convolutions."""

import math
from collections.abc import Callable

import jax
from jax.interpreters import partial_eval


def counted(step: Callable, *args) -> int:
    """The FLOPs of a function, two for each multiplication and addition.

    Convolutions count as if each were computed directly, however it is; nothing else
    counts than they and products of matrices, nor do those whose results are not used.
    Of a conditional's branches the one with the most counts.

    Args:
        step: any function that JAX can trace.
        *args: of it, or `ShapeDtypeStruct`s.
    """
    traced = jax.make_jaxpr(step)(*args).jaxpr
    used, _ = partial_eval.dce_jaxpr(traced, [True] * len(traced.outvars))
    return _of(used)


def _of(jaxpr):
    return sum(_of_equation(equation) for equation in jaxpr.eqns)


def _of_equation(equation):
    ins = [x.aval.shape for x in equation.invars]
    out, params = equation.outvars[0].aval.shape, equation.params
    match equation.primitive.name:
        case "dot_general":
            (contracted, _), _ = params["dimension_numbers"]
            length = math.prod(ins[0][axis] for axis in contracted)
            return 2 * length * math.prod(out)
        case "jaxgan_conv":
            return _convolution(out, ins[1])
        case "jaxgan_conv_x":
            return _convolution(ins[0], ins[1])
        case "jaxgan_conv_w":
            return _convolution(ins[1], out)
        case "cond":
            return max(_of(branch.jaxpr) for branch in params["branches"])
    inner = jax.tree.leaves(list(params.values()), is_leaf=lambda x: hasattr(x, "eqns"))
    times = params["length"] if equation.primitive.name == "scan" else 1
    return times * sum(_of(x) for x in inner if hasattr(x, "eqns"))


def _convolution(small, kernel):
    """Between images and what the kernel, `[..., kh, kw, C_in, C_out]`, makes of them,
    `small [..., H', W', C_out]`; its two gradients have as many."""
    return 2 * math.prod(small[:-1]) * math.prod(kernel[-4:])
