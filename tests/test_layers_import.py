"""The picture of the layers: imports point down, and heavy libraries stay inside.

Read from the sources with `ast`, so that nothing need be installed or imported, but in
one test.
"""

import ast
import graphlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = (
    ("text", "types", "axis", "window"),
    (
        "losses",
        "schedules",
        "regularizers",
        "augment",
        "tasks",
        "pool",
        "ops",
        "models",
    ),
    ("phases", "games"),
    ("recipes", "parallel", "distributed", "data", "metrics", "explore", "visual"),
    ("run",),
    ("experiments",),
)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
LAYER = {name: i for i, names in enumerate(LAYERS) for name in names}
HEAVY = {
    "torch",
    "torchvision",
    "tensorflow",
    "tensorflow_datasets",
    "tensorboardX",
    "wandb",
    "matplotlib",
}
ABOUT_TORCH = {
    f"experiments.benchmarks.torch_{name}"
    for name in (
        *("cases", "feed", "games", "heads", "side", "sngan", "spade", "spectral"),
        *("r3gan", "srgan", "stylegan2", "translators", "twin"),
    )
}


def _sources():
    """Every module's dotted name and file."""
    files = [*ROOT.glob("jaxgan/**/*.py"), *ROOT.glob("experiments/**/*.py")]
    for file in sorted(files):
        parts = file.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


MODULES = dict(_sources())
each_module = pytest.mark.parametrize("module", MODULES)


def _imports(module, node=None, top_only=False):
    """Dotted names that a module imports: of a name in a package, the module if it is
    one. Not what only type checkers see."""
    node = node or ast.parse(MODULES[module].read_text())
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            package = child.module or ""
            if child.level:
                inside = MODULES[module].name == "__init__.py"
                base = module.split(".")[: (1 if inside else 0) - child.level or None]
                package = ".".join([*base, *filter(None, [child.module])])
            for alias in child.names:
                full = f"{package}.{alias.name}"
                yield full if full in MODULES else package
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        elif not (top_only and isinstance(child, FUNCTIONS)):
            yield from _imports(module, child, top_only)


def _ours(module):
    """What a module imports of this project."""
    return {m for m in _imports(module) if m.split(".")[0] in ("jaxgan", "experiments")}


def _part(module):
    """`models` of `jaxgan.models.dcgan`; `experiments`; None of `jaxgan` itself."""
    head, *rest = module.split(".")
    return head if head == "experiments" else rest[0] if rest else None


def test_the_sources_are_found():
    assert {"jaxgan.types", "jaxgan.models.net", "jaxgan.recipes"} <= set(MODULES)


def test_every_module_has_a_layer():
    strangers = {_part(m) for m in MODULES} - set(LAYER) - {None}
    assert not strangers, f"draw {sorted(strangers)} into LAYERS above"


@each_module
def test_imports_point_down_or_sideways(module):
    if (part := _part(module)) is None:  # jaxgan/__init__.py: everything is below it
        return
    for other in _ours(module):
        if (below := _part(other)) is not None:
            assert LAYER[below] <= LAYER[part], f"{module} imports {other}"


@each_module
def test_models_know_no_recipe_and_recipes_no_model(module):
    for other in _ours(module):
        if _part(module) == "models":
            assert _part(other) != "recipes"
        if _part(module) == "recipes" and _part(other) == "models":
            assert other == "jaxgan.models.net", f"{module} imports {other}"


@each_module
def test_heavy_libraries_are_imported_inside_functions(module):
    top = {m.split(".")[0] for m in _imports(module, top_only=True)}
    assert module in ABOUT_TORCH or not top & HEAVY


EVERYWHERE = {
    *("flax", "jax", "numpy", "optax", "orbax", "PIL", "scipy", "tqdm", "tyro"),
    "google",  # protobuf, which orbax needs
}


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("jaxgan")])
def test_others_than_the_closest_libraries_are_imported_inside_functions(module):
    """So that jaxgan runs from its checkout where they alone are installed."""
    top = {m.split(".")[0] for m in _imports(module, top_only=True)}
    assert top <= EVERYWHERE | {"jaxgan"} | sys.stdlib_module_names


def test_there_are_no_circles():
    graph = {m: _ours(m) & set(MODULES) - {m} for m in MODULES}
    graphlib.TopologicalSorter(graph).prepare()


def test_no_import_makes_jax_look_for_its_devices():
    """How many they are could not be decided after it, nor other processes joined."""
    ours = [m.removeprefix("experiments.") for m in MODULES if m not in ABOUT_TORCH]
    code = f"""
import importlib, jax
for k, name in enumerate({[m for m in ours if m != "experiments"]}):
    importlib.import_module(name)
    jax.config.update("jax_num_cpu_devices", 2 + k)  # refused once JAX has looked
"""
    path = os.pathsep.join([str(ROOT), str(ROOT / "experiments")])
    env = os.environ | {"PYTHONPATH": path, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, env=env, capture_output=True, text=True)
    assert not done.returncode, done.stderr


# --- this test can see


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import torch", {"torch"}),
        ("def f():\n    import torch", set()),
        ("class A:\n    import torch.nn as nn", {"torch.nn"}),
        ("try:\n    from torch import nn\nexcept ImportError:\n    pass", {"torch"}),
        ("async def f():\n    import torch", set()),
        ("if TYPE_CHECKING:\n    import torch", set()),
        ("from jaxgan.models import dcgan", {"jaxgan.models.dcgan"}),
        ("from jaxgan.models import Net", {"jaxgan.models"}),
        ("from jaxgan import types, nothing", {"jaxgan.types", "jaxgan"}),
        ("from . import net", {"jaxgan.models.net"}),
        ("from ..types import Batch", {"jaxgan.types"}),
        ("from .. import phases", {"jaxgan.phases"}),
    ],
)
def test_imports_are_read_as_python_reads_them(source, found):
    tree = ast.parse(source)
    assert set(_imports("jaxgan.models.dcgan", tree, top_only=True)) == found
