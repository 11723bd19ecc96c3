"""Of every test: virtual CPU devices, quick compilations, strict promotion.

Warnings are errors (pyproject.toml).
"""

import functools
import gc
import os
import tempfile

os.environ["JAX_PLATFORMS"] = "cpu"

# One cache of compiled programs for a run: its workers inherit the name.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    compiled = tempfile.TemporaryDirectory(
        prefix="jaxgan-tests-", ignore_cleanup_errors=True
    )
    os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

import jax
import pytest
from tiny_runs import options  # noqa: F401  # a fixture

from jaxgan.data import emoji, mnist

# Most of the time goes into compilation, and LLVM's optimizations are half of that.
FLAGS = [
    "--xla_force_host_platform_device_count=8",
    "--xla_backend_optimization_level=0",
]
if jax.__version_info__ < (0, 11):  # which still has emitters of half the code
    FLAGS.append("--xla_cpu_use_fusion_emitters=false")
# Read when the first device is asked for. What the caller sets comes last, and wins.
os.environ["XLA_FLAGS"] = " ".join([*FLAGS, os.environ.get("XLA_FLAGS", "")])

# Unpacked once by a worker, not by every test.
for module in (emoji, mnist):
    module.read = functools.cache(module.read)

# To trace a program makes millions of objects, of which few are garbage.
gc.set_threshold(100_000, 20, 10)

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="module", autouse=True)
def programs_of_one_module():
    """A worker would otherwise keep every program it has run, in gigabytes."""
    yield
    jax.clear_caches()
    gc.collect()
