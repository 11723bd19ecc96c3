"""Of every test: virtual CPU devices, quick compilations, strict promotion.

Warnings are errors (pyproject.toml).
"""
# ruff: noqa: E402

import gc
import os
import tempfile

os.environ["JAX_PLATFORMS"] = "cpu"
# Most of the time goes into compilation, and LLVM's optimizations are half of that.
# What the caller sets comes last, and wins.
FLAGS = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
os.environ["XLA_FLAGS"] = f"{FLAGS} {os.environ.get('XLA_FLAGS', '')}"

# One cache of compiled programs for a run: its workers inherit the name.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    compiled = tempfile.TemporaryDirectory(
        prefix="jaxgan-tests-", ignore_cleanup_errors=True
    )
    os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

import jax
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="module", autouse=True)
def programs_of_one_module():
    """A worker would otherwise keep every program it has run, in gigabytes."""
    yield
    jax.clear_caches()
    gc.collect()
