"""A wheel of this checkout, in an environment of its own, runs README's examples."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

from jaxgan import data

ROOT = Path(__file__).parents[1]
EXAMPLES = re.findall(
    r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S
)
SHORTER = {"in range(100)": "in range(2)", "reference_num=5000": "reference_num=500"}
"""Here they only have to run: test_readme has them whole, and looks at what they do."""
pytestmark = pytest.mark.slow


def call(*command, **options):
    """Runs a command that sees nothing of the checkout; what it printed."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [str(word) for word in command]
    done = subprocess.run(command, env=env, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built without network, from a copy: a build leaves files behind."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "jaxgan", source / "jaxgan", ignore=without)
    alone = ["--no-deps", "--no-build-isolation", "--no-index"]
    call(sys.executable, "-m", "pip", "wheel", *alone, "-w", out, source)
    (file,) = out.glob("jaxgan-*.whl")
    return file


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """The interpreter of an environment with the wheel, and this one's libraries."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, symlinks=os.name != "nt")
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    alone = ["--no-deps", "--no-index"]
    call(sys.executable, "-m", "pip", "--python", python, "install", *alone, wheel)
    paths = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(call(python, "-c", paths).strip())
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "libraries.pth").write_text("\n".join(sorted(libraries)) + "\n")
    return python


def test_the_wheel_has_every_module_and_its_data(wheel):
    files = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(f.relative_to(ROOT)) for f in (ROOT / "jaxgan").glob("**/*.py")}
    data = "mnist.npz", "MNIST.md", "emoji.json", "EMOJI.md"
    sheets = "emoji_noto.webp", "emoji_twemoji.webp"
    others = {f"jaxgan/data/{name}" for name in (*data, *sheets)}
    others |= {"jaxgan/py.typed", "jaxgan/metrics/mnist_classifier.npz"}
    others.add("jaxgan/models/NAMES.md")
    others |= {f"jaxgan/run/report/page.{kind}" for kind in ("css", "js")}
    assert {f for f in files if f.startswith("jaxgan/")} == modules | others
    for licence in ("LICENSE", "jaxgan/data/MNIST.md", "jaxgan/data/EMOJI.md"):
        assert any(f.endswith(f"licenses/{licence}") for f in files), licence


def test_readme_s_examples_run_with_the_wheel(python, tmp_path):
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    test = data.load("mnist", split="test").fetch(np.arange(500))
    np.savez(tmp_path / "samples.npz", images=test["image"])
    where = "import jaxgan; print(jaxgan.__file__)"
    found = Path(call(python, "-c", where, cwd=tmp_path).strip())
    assert found.is_relative_to(python.parents[1])
    trained = "experiments/dcgan_mnist.py"
    call(python, trained, "--steps", 1, "--width", 2, cwd=tmp_path)
    call(python, trained, "export", "--out", "runs/digits.jaxexport", cwd=tmp_path)
    assert len(EXAMPLES) >= 4
    assert all(any(long in code for code in EXAMPLES) for long in SHORTER)
    for code in EXAMPLES:
        for long, short in SHORTER.items():
            code = code.replace(long, short)
        call(python, "-c", code, cwd=tmp_path)
