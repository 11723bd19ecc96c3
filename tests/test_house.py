"""The house's rules, read from the sources: borders, sizes, public names."""

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {
    str(file.relative_to(ROOT)): ast.parse(file.read_text())
    for top in ("jaxgan", "experiments")
    for file in sorted((ROOT / top).rglob("*.py"))
}
LIBRARY = [f for f in SOURCES if f.startswith("jaxgan/") and "/run/" not in f]
OPENS_FILES = ("jaxgan/data/", "jaxgan/metrics/weights.py", "jaxgan/metrics/mnist.py")
OF_A_CACHE = "jaxgan/metrics/outputs.py"
"""Keeps features in the folder that it is given."""
FLAG = re.compile(r"(?<![\w-])--[a-z]")
OF_TFDS = re.compile(r"--(file_format|data_dir|dataset_version_dir|out_file_format)=")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
library = pytest.mark.parametrize("file", LIBRARY)
each = pytest.mark.parametrize("file", SOURCES)


def strings(tree):
    """All text in a module: messages, docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def names(tree):
    """Dotted names of what a module reads, and of what it imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@library
def test_the_library_knows_no_flag(file):
    said = (OF_TFDS.sub("", text) for text in strings(SOURCES[file]))
    assert not [text for text in said if FLAG.search(text)]


@library
def test_the_library_knows_no_environment_and_no_terminal(file):
    found = set(names(SOURCES[file]))
    here = {"os.environ", "os.getenv", "print", "sys.stderr", "sys.stdout"}
    assert not found & here
    assert not [name for name in found if name.split(".")[0] in ("tqdm", "argparse")]
    assert not [name for name in found if name.startswith("jaxgan.run")]


@library
def test_only_sources_and_readers_of_weights_open_files(file):
    ways = {"open", "read_text", "write_text", "read_bytes", "write_bytes", "savez"}
    calls = (n.func for n in ast.walk(SOURCES[file]) if isinstance(n, ast.Call))
    found = {f.attr if isinstance(f, ast.Attribute) else ast.unparse(f) for f in calls}
    allowed = (*OPENS_FILES, OF_A_CACHE)
    assert not found & ways or file.startswith(allowed)


@each
def test_a_file_has_300_lines_at_most(file):
    assert len((ROOT / file).read_text().splitlines()) <= 300


@each
def test_a_function_has_50_lines_at_most_and_a_recipe_80(file):
    most = 80 if file.startswith("jaxgan/recipes/") else 50
    for node in ast.walk(SOURCES[file]):
        if isinstance(node, FUNCTIONS):
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node):
                text = node.body[0]
                lines -= text.end_lineno - text.lineno + 1
            assert lines <= most, f"{node.name} has {lines}"


@pytest.mark.parametrize("file", [f for f in SOURCES if f.startswith("jaxgan/")])
def test_every_module_says_what_is_public(file):
    if file == "jaxgan/__init__.py":
        return
    module = importlib.import_module(
        file[:-3].replace("/", ".").removesuffix(".__init__")
    )
    assert all(hasattr(module, name) for name in module.__all__)


def test_experiments_import_none_of_one_another():
    modules = {Path(f).stem for f in SOURCES if f.startswith("experiments/")}
    for file, tree in SOURCES.items():
        if file.startswith("experiments/") and "/benchmarks/" not in file:
            imported = {
                alias.name
                for node in ast.walk(tree)
                if isinstance(node, ast.Import)
                for alias in node.names
            }
            assert not imported & (modules - {"benchmarks"}), file


def test_readme_imports_what_is_public():
    examples = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S
    )
    found = 0
    for node in (n for code in examples for n in ast.walk(ast.parse(code))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("jaxgan."):
            public = importlib.import_module(node.module).__all__
            assert {alias.name for alias in node.names} <= set(public)
        plain = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if plain and node.attr != "items":  # of a step's metrics
            module = f"jaxgan.{node.value.id}"
            if (ROOT / "jaxgan" / node.value.id).exists():
                found += 1
                assert node.attr in importlib.import_module(module).__all__
    assert found > 10
