"""`colab_tpu.ipynb`: kept without outputs, and all of its cells run."""

import base64
import io
import os
import re
import shutil
import subprocess
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "experiments" / "colab_tpu.ipynb"
CELLS = nbformat.read(NOTEBOOK, 4).cells
SECTIONS = (
    *("What JAX sees", "Installation", "Data", "Training"),
    *("Samples, figures, interpolation", "A loss of your own"),
    *("Many seeds at once", "A run that is kept"),
)
PICTURES = dict.fromkeys(
    "folder arrays train sample interpolate own seeds continue load".split(), 1
) | {"embedded": 2}
"""By cell, how many it shows."""
STRICT = """
import warnings
warnings.filterwarnings("error", module=r"jaxgan|dcgan_mnist|__main__")
"""


def source(name):
    (cell,) = [cell for cell in CELLS if cell.id == name]
    return cell.source


def filled(text, **values):
    """A cell with other values in its form."""
    for name, value in values.items():
        text, found = re.subn(
            rf"^{name} = .*(?=  # @param)", f"{name} = {value!r}", text, flags=re.M
        )
        assert found == 1, name
    return text


def test_it_is_valid_and_has_no_outputs():
    notebook = nbformat.read(NOTEBOOK, nbformat.NO_CONVERT)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    nbformat.validate(notebook)
    names = [cell.id for cell in notebook.cells]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z]+(-text)?", name) for name in names)
    for cell in notebook.cells:
        assert not cell.metadata
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None


def test_it_names_no_path_of_a_machine_and_no_host():
    text = "\n".join(cell.source for cell in CELLS).replace("/content/drive", "")
    assert not re.findall(r"(?<![\w.}])[/~]/?[a-z_]\w*/", text)
    host = r"://|\b[\w-]+\.(?:com|org|io|net|dev)\b|\d+\.\d+\.\d+\.\d"
    assert not re.findall(host, text)


def test_its_sections_are_in_order():
    text = "\n".join(cell.source for cell in CELLS if cell.cell_type == "markdown")
    found = re.findall(r"^## (\d)\. (.*)$", text, re.M)
    assert found == [(str(i), title) for i, title in enumerate(SECTIONS, 1)]


def test_it_asks_for_the_jax_that_the_package_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (floor,) = [x for x in project["dependencies"] if x.startswith("jax>=")]
    version = floor.removeprefix("jax>=")
    assert f"({version.replace('.', ', ')})" in source("devices")
    assert f"jaxgan needs {version} or newer" in source("devices")


@pytest.mark.slow
@pytest.mark.parametrize("devices, chosen", [(1, "mnist"), (8, "folder")])
def test_all_cells_run(devices, chosen, tmp_path, monkeypatch):
    from test_data_tfds import _prepare

    prepared = devices == 1
    forms = {"choice": {"DATA": chosen}}
    if prepared:
        _prepare(tmp_path / "tfds", "even", [(32, 40, 3)] * 24)
        forms["tfds"] = {"TFDS_DIR": str(tmp_path / "tfds"), "TFDS_NAME": "even"}
    ran = executed(devices, forms, tmp_path / "work", monkeypatch)

    said = {
        name: "\n".join(x.text for x in outputs if x.output_type == "stream")
        for name, outputs in ran.items()
    }
    assert f" sees {devices} x cpu (cpu)." in said["devices"]
    assert "There is no TPU here" in said["devices"]
    assert "jaxgan is there already: nothing is installed." in said["install"]
    assert f"{16 // devices} on each device" in said["networks"]
    assert f"By {'mnist' if chosen == 'mnist' else 'filters'}," in said["evaluate"]
    assert f"each of {max(2, devices)} seeds" in said["seeds"]
    assert "Continuing from the checkpoint of step 2." in said["continue"]
    assert "step 4 of runs/colab" in said["load"]
    for name, outputs in ran.items():
        errors = "".join(x.text for x in outputs if x.get("name") == "stderr")
        assert not re.search("warn|error|traceback", errors, re.I), (name, errors)
        pictures = [x.data["image/png"] for x in outputs if "data" in x]
        expected = prepared if name == "tfds" else PICTURES.get(name, 0)
        assert len(pictures) == expected, name
        for picture in pictures:
            pixels = np.array(Image.open(io.BytesIO(base64.b64decode(picture))))
            assert min(pixels.shape[:2]) > 56 and pixels.std() > 1, name


def executed(devices, forms, path, monkeypatch):
    """The outputs of each code cell, by name."""
    import nbclient

    path.mkdir()
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(path / "jupyter"))
    flags = [x for x in os.environ["XLA_FLAGS"].split() if "device_count" not in x]
    flags.append(f"--xla_force_host_platform_device_count={devices}")
    own = {"XLA_FLAGS": " ".join(flags), "IPYTHONDIR": str(path / "ipython")}
    notebook = nbformat.read(NOTEBOOK, 4)
    for cell in notebook.cells:
        cell.source = filled(cell.source, **forms.get(cell.id, {}))
    notebook.cells.insert(0, nbformat.v4.new_code_cell(STRICT, id="strict"))
    where = {"metadata": {"path": str(path)}}
    client = nbclient.NotebookClient(notebook, timeout=600, resources=where)
    client.execute(env=os.environ | own | {"JAXGAN_NOTEBOOK_TINY": "1"})
    return {cell.id: cell.outputs for cell in notebook.cells if "outputs" in cell}


def call(*command, **options):
    """Runs a command that sees nothing of the checkout, and no network."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    env |= {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}  # 0: without isolation
    return subprocess.run(
        list(map(str, command)), env=env, capture_output=True, text=True, **options
    )


@pytest.fixture
def python(tmp_path):
    """The interpreter of an environment with this one's libraries, without jaxgan."""
    home = tmp_path / "environment"
    venv.create(home, symlinks=os.name != "nt")
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(call(python, "-c", where).stdout.strip())
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "libraries.pth").write_text("\n".join(sorted(libraries)) + "\n")
    return python


@pytest.fixture
def repository(tmp_path):
    """`(floor of JAX) -> folder` of a repository of the package."""

    def make(floor):
        folder = tmp_path / "repository"
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "jaxgan", folder / "jaxgan", ignore=without)
        for name in ("README.md", "LICENSE"):
            shutil.copy(ROOT / name, folder)
        project = (ROOT / "pyproject.toml").read_text()
        project, found = re.subn(r'"jax>=[\d.]+"', f'"jax>={floor}"', project)
        assert found == 1
        (folder / "pyproject.toml").write_text(project)
        who = "-c", "user.name=test", "-c", "user.email=test"
        for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "all"]):
            subprocess.run(["git", *command], cwd=folder, check=True)
        return str(folder)

    return make


@pytest.mark.slow
def test_the_installation_keeps_jax(python, repository, tmp_path):
    text = filled(source("install"), REPOSITORY=repository("0.7.2"))
    work = tmp_path / "work"
    work.mkdir()
    ends = "import jax, jaxgan; print(jax.__version__, jaxgan.__file__)"
    done = call(python, "-c", f"{text}\n{ends}", cwd=work)
    assert done.returncode == 0, done.stderr
    *said, last = done.stdout.splitlines()
    version, file = last.split(" ", 1)
    assert Path(file).is_relative_to(work / "jaxgan-clone")
    assert f"'jax': '{version}'" in said[-1]
    again = call(python, "-c", text, cwd=work)  # as after a restart of the runtime
    assert "jaxgan is there already" in again.stdout, again.stderr


@pytest.mark.slow
def test_an_installation_that_would_replace_jax_fails(
    python, repository, tmp_path, monkeypatch
):
    newer, info = tmp_path / "jax-99-py3-none-any.whl", "jax-99.dist-info"
    with zipfile.ZipFile(newer, "w") as wheel:
        about = "Metadata-Version: 2.1\nName: jax\nVersion: 99\n"
        wheel.writestr(f"{info}/METADATA", about)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    text = filled(source("install"), REPOSITORY=repository("99"))
    done = call(python, "-c", text, cwd=tmp_path)
    assert done.returncode == 1
    assert "constraint) jax==" in done.stderr, done.stderr
    assert call(python, "-c", "import jaxgan", cwd=tmp_path).returncode == 1


@pytest.mark.slow
def test_an_installation_without_a_repository_says_what_is_missing(python, tmp_path):
    done = call(python, "-c", source("install"), cwd=tmp_path)
    words = "REPOSITORY '' must be the address of a git repository."
    assert done.stderr.endswith(f"ValueError: {words}\n")
