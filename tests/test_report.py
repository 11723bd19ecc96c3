"""report.html: one whole page of a run that needs nothing else, whatever is in it."""

import base64
import hashlib
import io
import json
import math
import os
import signal
import subprocess
import sys
import tarfile
import time
from html.parser import HTMLParser
from pathlib import Path

import command_line
import numpy as np
import pytest
from PIL import Image
from tiny_runs import build, build_diverging, go, options, rows  # noqa: F401  # fixture

from jaxgan.run import guard, record, report, settings
from jaxgan.run.images import save_png
from jaxgan.run.loop import Now
from jaxgan.run.report import chart, contents, curves, html, pictures, writing

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))
import cgan_mnist
import mlp_gan_mnist

VOID = {"meta", "img", "input", "br"}
MOST = 5_000_000


class Page(HTMLParser):
    """What a browser would make of a page; refuses one that is cut off."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.open = [], {}, []
        self.feed(text)
        self.close()
        assert text.startswith("<!doctype html>") and text.endswith("</html>\n")
        assert not self.open
        self.size = len(text.encode())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in {*self.open}:
            self.texts.setdefault(tag, []).append(data)

    def all(self, tag, **attributes):
        wanted = attributes.items()
        return [a for t, a in self.elements if t == tag and wanted <= a.items()]

    def curves(self):
        return [a["data-name"] for a in self.all("path") if "data-name" in a]

    def steps(self):
        return [int(a["data-step"]) for a in self.all("div") if "data-step" in a]

    def said(self):
        return " ".join(t for tag in self.texts for t in self.texts[tag])

    def assert_needs_nothing(self):
        """It loads nothing, runs its own script alone, and has no other."""
        (script,) = self.texts["script"]
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        (rule,) = (a["content"] for a in self.all("meta") if "http-equiv" in a)
        assert "default-src 'none'" in rule and f"script-src 'sha256-{digest}'" in rule
        for tag, attributes in self.elements:
            assert tag not in ("link", "iframe", "object", "base", "form")
            for name, value in attributes.items():
                assert not name.startswith("on") and "url(" not in (value or "")
                if name in ("src", "href", "action", "data", "srcset"):
                    assert value.startswith(("data:image/webp;base64,", "#"))
        assert "url(" not in self.texts["style"][0] and "@import" not in script


def page_of(workdir, file=report.NAME):
    page = Page((Path(workdir) / file).read_text("utf-8"))
    page.assert_needs_nothing()
    assert page.size < MOST
    return page


def decoded(uri):
    data = base64.b64decode(uri.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"))


def test_a_run_leaves_a_page_with_all_that_there_is_to_see(options):  # noqa: F811
    cfg = options("run")
    go(cfg)
    page = page_of(cfg.workdir)
    assert sorted(page.curves()) == sorted(
        {*rows(cfg)[0]} - {"step", "kimg"} | {"Images a second", "Memory at most, GiB"}
    )
    assert page.steps() == [0, 4, 7]
    for step, image in zip(page.steps(), page.all("img"), strict=True):
        sheet = Image.open(Path(cfg.workdir) / "samples" / f"{step:06d}.png")
        difference = decoded(image["src"]).astype(int) - np.asarray(sheet)[::2, ::2]
        assert np.abs(difference).mean() < 8 < np.asarray(sheet).std()
    names = page.texts["dt"]
    assert {*settings.to_dict(cfg)} <= {*names} and "python" in names
    assert "Few images" in page.texts["li"][0]
    assert "7 of 7" in page.texts["b"] and "Done." in page.texts["pre"][0]
    assert page.all("progress") == [
        {"value": "7", "max": "7", "aria-label": "7 of 7 steps"}
    ]


def test_members_are_side_by_side_and_have_a_colour_each(options):  # noqa: F811
    cfg = options("run", seeds=3, seed=5)
    go(cfg)
    page = page_of(cfg.workdir)
    names = ["seed 5", "seed 6", "seed 7"]
    shown = [a["alt"] for a in page.all("img")]
    assert shown[-3:] == [f"Samples of step 7, {name}" for name in names]
    assert len(shown) == 9 and page.steps() == [0, 4, 7]
    figures = len({*rows(cfg)[0]} - {"step", "kimg"})
    found = page.curves()
    assert [found.count(name) for name in names] == [figures] * 3
    losses = [a for a in page.all("path") if a.get("data-name") == "seed 6"]
    assert {a["style"] for a in losses} == {"--c:var(--c1)"}


def test_without_the_option_there_is_none(options):  # noqa: F811
    cfg = options("run", report=False, steps=1)
    go(cfg)
    assert not (Path(cfg.workdir) / report.NAME).exists()


def test_a_run_that_ends_badly_leaves_a_page(options):  # noqa: F811
    cfg = options("run", max_bad_steps=1)
    with pytest.raises(guard.Diverged):
        go(cfg, build_diverging)
    page = page_of(cfg.workdir)
    assert page.steps() == [0, 4] and "not finite" in page.texts["pre"][0]


KILLED = """
import sys
from tiny_runs import build
from jaxgan.run import Config, train
from jaxgan.run.report import writing
writing.SECONDS = writing.RARELY = 0
often = {"log_every": 1, "sample_every": 1, "checkpoint_every": 10**6}
train(Config(data=sys.argv[1], workdir=sys.argv[2], steps=10**6, **often), build)
"""


@pytest.mark.slow
def test_a_run_that_is_killed_leaves_a_whole_page(options):  # noqa: F811
    cfg = options("run")
    here = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    command = [sys.executable, "-c", KILLED, cfg.data, cfg.workdir]
    env = os.environ | {"PYTHONPATH": here}
    process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
    try:
        file, deadline = Path(cfg.workdir) / report.NAME, time.monotonic() + 60
        while len(rows(cfg) if (file.exists()) else []) < 20:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    page = page_of(cfg.workdir)
    assert page.steps() and "Done." not in page.texts["pre"][0]


def test_it_is_written_now_and_then_and_at_the_end(tmp_path, monkeypatch):
    clock, written = [0.0], []
    monkeypatch.setattr(writing.time, "monotonic", lambda: clock[0])

    def write(path, **_):
        written.append(clock[0])
        clock[0] += 1.0

    monkeypatch.setattr(writing, "write", write)
    with writing.writer(tmp_path, (), 10, print) as hook:
        for _ in range(120):
            hook.run(Now(0, None, {}, 0.0))
            while any(t.name == "report" for t in writing.threading.enumerate()):
                time.sleep(0.001)
            clock[0] += 1.0
    assert hook.every == 10
    assert written == [0.0, 51.0, 102.0, 123.0]  # 50 times what it takes, and the last


def test_where_it_cannot_be_written_the_log_says_so_once(tmp_path):
    (tmp_path / report.NAME).mkdir()
    said = []
    with writing.writer(tmp_path, (), 1, said.append) as hook:
        hook.run(Now(0, None, {}, 0.0))
    assert said == [f"{tmp_path / report.NAME} cannot be written: Is a directory."]


HOSTILE = "</script><script>alert(1)</script><img src=x onerror='alert(2)'>\"'\0\ud800"


@pytest.fixture
def workdir(tmp_path):
    """A workdir as text, all of whose names and values are hostile."""
    path = tmp_path / "run"
    config = {"steps": 9, "batch_size": 4, HOSTILE: HOSTILE, "data": HOSTILE}
    made_by = {"device": HOSTILE, "devices": 1, "jaxgan": HOSTILE}
    later = {"step": 4, "config": {HOSTILE: 1}, "made_by": made_by | {"cores": HOSTILE}}
    known = {"experiment": HOSTILE, "config": config, "made_by": made_by}
    row = {"value": 1.5, "error": 0.25, "floor": 0.5, HOSTILE: HOSTILE}
    measured = {
        "metrics": {HOSTILE: row, "fd": row},
        "extractor": {"name": HOSTILE},
        "reference": HOSTILE,
        "counts": {HOSTILE: 3},
        "notes": [HOSTILE],
        "step": 4,
    }
    save_png(path / "samples/000004.png", np.zeros((6, 6, 1), np.uint8), 2)
    lines = [{"step": s, HOSTILE: s / 3, "d_loss": math.nan, "kimg": 1} for s in (2, 4)]
    files = {
        "config.json": known | {"continued": [later], "shape": [6, 6, 1]},
        "evaluation.json": measured,
        "best.json": {"step": 4, "figure": HOSTILE, "value": 2.5},
    }
    for name, values in files.items():
        (path / name).write_text(json.dumps(values))
    (path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    (path / "timings.jsonl").write_text('{"step": 4, "images_per_s": 8}\n')
    log = f"Warning: {HOSTILE}\nall is well\n".encode("utf-8", "surrogatepass")
    (path / "log.txt").write_bytes(log)
    return path


def test_what_files_say_is_text(workdir):
    report.write(workdir, names=(HOSTILE,))
    text = (workdir / report.NAME).read_text("utf-8")
    assert "<script>alert" not in text and "<img src=x" not in text
    page = page_of(workdir)
    shown = "alert(1)</script><img src=x onerror='alert(2)'>\"'"
    for tag in ("dt", "dd", "td", "th", "li", "pre", "title", "p"):
        assert any(shown in t for t in page.texts[tag]), tag
    (name,) = {n for n in page.curves() if "alert" in n}
    assert shown in name
    assert len(page.all("script")) == len(page.all("img")) == 1


def test_figures_have_their_errors_and_bounds(workdir):
    report.write(workdir)
    page = page_of(workdir)
    at = page.texts["td"].index("fd")
    assert page.texts["td"][at : at + 4] == ["fd", "1.5", " ± 0.25", "0.5"]
    assert "2.5" in page.texts["b"]  # of best.json


def test_figures_of_members_have_theirs(workdir):
    own = [{"metrics": {"fd": {"value": v, "error": 0.5, "floor": 3}}} for v in (1, 2)]
    joined = {
        "metrics": {"fd": {"mean": 1.5, "deviation": 0.7, "values": [1, 2]}},
        "members": {"seed 0": own[0], "seed 1": own[1]},
    }
    (workdir / "evaluation.json").write_text(json.dumps(joined))
    report.write(workdir)
    page = page_of(workdir)
    assert page.texts["th"] == ["mean", "deviation", "seed 0", "seed 1", "floor"]
    found = ["fd", "1.5", "0.7", "1", " ± 0.5", "2", " ± 0.5", "3"]
    assert page.texts["td"] == found


def test_figures_of_several_averages_have_a_column_each(workdir):
    own = {
        str(s): {"metrics": {"fd": {"value": v, "error": 0.5}}, "step": 4}
        for s, v in ((0.05, 1), (0.1, 2))
    }
    swept = {"metrics": {"fd": {"values": [1, 2]}}, "reports": own}
    (workdir / "evaluation.json").write_text(json.dumps(swept))
    report.write(workdir)
    page = page_of(workdir)
    assert page.texts["th"] == ["σ_rel 0.05", "σ_rel 0.1"]
    assert page.texts["td"] == ["fd", "1", " ± 0.5", "2", " ± 0.5"]


def test_averages_that_were_rebuilt_are_said(workdir):
    one = {"metrics": {"fd": {"value": 1}}, "step": 4, "sigma_rel": 0.08}
    one |= {"weights": "averaged", "checkpoint": "newest"}
    (workdir / "evaluation.json").write_text(json.dumps(one))
    report.write(workdir)
    words = " ".join(page_of(workdir).texts["small"])
    assert "averaged weights of σ_rel 0.08 of step 4" in words


WRONG = b'{"step": "x", "config": 7, "metrics": [3], "members": 3, "notes": 1}\n'
GARBAGE = [b"", b"\xff\x00{", b"[1, 2]", WRONG]
FILES = [
    *("config.json", "metrics.jsonl", "timings.jsonl", "evaluation.json"),
    *("log.txt", "best.json", "samples/000004.png"),
]


@pytest.mark.parametrize("name", FILES)
def test_what_is_missing_or_damaged_is_left_out(workdir, name):
    (workdir / name).unlink()
    report.write(workdir)
    rest = page_of(workdir)
    assert rest.steps() == ([] if "png" in name else [4])
    if "best" not in name:
        assert Path(name).stem.split("/")[-1] in rest.said() or "samples" in rest.said()
    for garbage in GARBAGE:
        (workdir / name).write_bytes(garbage)
        report.write(workdir)
        page_of(workdir)


def test_damaged_lines_are_counted_but_for_one_that_is_being_written(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1, "x": 2}\n[]\n{"step": "3"}\n{"step": 4}\n{"ste')
    assert record.read(file) == ([{"step": 1, "x": 2}, {"step": 4}], 2)
    file.write_text('{"step": 1}\n{"step": -2}\nnonsense\n')
    assert record.read(file) == ([{"step": 1}, {"step": -2}], 1)
    assert contents.read(tmp_path).metrics == [{"step": 1}]
    report.write(tmp_path)
    assert "metrics.jsonl: 2 damaged lines left out." in page_of(tmp_path).said()


@pytest.mark.parametrize("value", [[1e99, -1e308, 5e-324], [0, 0], [7, 7.000000001]])
def test_figures_of_any_size_are_drawn(workdir, value):
    odd = [*value, True, "1", None, 10**400]
    lines = [{"step": s, "x": v} for s, v in enumerate(odd)]
    last = {"step": 10, "images_per_s": 10**400}
    (workdir / "timings.jsonl").write_text(json.dumps(last))
    (workdir / "best.json").write_text(json.dumps({"value": 10**400}))
    config = {"steps": 10**400, "batch_size": 10**400}
    (workdir / "config.json").write_text(json.dumps({"config": config}))
    lines.append({"step": 10**400, "x": 1})
    (workdir / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    report.write(workdir)
    page = page_of(workdir)
    assert "x" in page.curves()
    assert "nan" not in page.all("path", **{"data-name": "x"})[0]["d"]


def test_many_samples_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "BYTES", 200_000)
    rng = np.random.default_rng(0)
    for step in range(80):
        image = rng.integers(0, 256, (40, 40, 3), np.uint8)
        save_png(tmp_path / f"samples/{step:06d}.png", image)
    report.write(tmp_path)
    page = page_of(tmp_path)
    shown = page.steps()
    assert shown[0] == 0 and shown[-1] == 79 and 10 < len(shown) < 61
    assert set(np.diff(shown)) <= {79 // len(shown), *range(79 // len(shown) + 3)}
    assert f"{len(shown)} of 80 steps" in page.said()
    assert 150_000 < sum(len(a["src"]) for a in page.all("img")) <= 200_000


def test_what_a_page_has_encoded_it_does_not_encode_again(workdir, monkeypatch):
    encode = pictures.encoder()
    sheet = contents.read(workdir).sheets[0]
    first = encode(sheet)
    monkeypatch.setattr(pictures, "_encoded", None)
    assert encode(sheet) is first


def test_the_command_makes_one_of_a_run_of_before(tmp_path, capsys):
    archive = Path(__file__).parent / "fixtures" / "workdirs_0_1.tar.xz"
    with tarfile.open(archive) as file:
        file.extractall(tmp_path, filter="data")
    (folder,) = (p.parent for p in tmp_path.rglob("cgan/config.json"))
    assert command_line.run(cgan_mnist, "report", "--workdir", folder) == 0
    page = page_of(folder)
    assert {"d_loss", "g_loss"} <= {*page.curves()}
    assert "There are no samples yet." in page.said()
    assert "lines in" in capsys.readouterr().out


def test_the_command_refuses_in_a_sentence(tmp_path, capsys, workdir):
    assert command_line.run(mlp_gan_mnist, "report", "--workdir", tmp_path) == 2
    assert "holds no run: it has no config.json" in capsys.readouterr().err
    out = workdir / "samples"
    args = "report", "--workdir", workdir, "--out", out
    assert command_line.run(mlp_gan_mnist, *args) == 2
    assert f"--out {out} cannot be written: Is a directory." in capsys.readouterr().err


def test_a_curve_is_thinned_to_its_least_and_largest():
    rng = np.random.default_rng(0)
    points = [(i, float(y)) for i, y in enumerate(rng.normal(size=9000))]
    points[4321] = 4321, math.nan
    kept = curves.thinned(points)
    assert len(kept) <= curves.POINTS and kept == sorted(kept)
    values = [y for _, y in points if not math.isnan(y)]
    assert min(values) in (y for _, y in kept) and max(values) in (y for _, y in kept)
    assert curves.thinned(points[:300]) == points[:300]


def test_curves_that_belong_together_share_a_chart():
    known = {"d_loss": 1, "g_loss": 2, "D(real)": 0.5, "x": None}
    lines = [{"step": 1, "kimg": 1} | known, {"step": 2, "fd": 3}]
    evaluated, others = curves.plots(lines, ("seed 0",))
    assert [p.title for p in evaluated] == ["fd"]
    found = {p.title: [c.name for c in p.curves] for p in others}
    assert found == {"Losses": ["d_loss", "g_loss"], "Scores": ["D(real)"]}


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-3, 17), (1e-7, 3e-7), (-5e5, 4e9), (0.1, 0.1)]
)
def test_linear_axes_hold_their_values_between_round_ticks(low, high):
    axis = chart.linear(low, high, 4)
    assert axis.low <= low <= high <= axis.high and 2 <= len(axis.ticks) <= 7
    steps = np.diff(axis.ticks)
    assert np.allclose(steps, steps[0])
    digits = steps[0] / 10 ** np.floor(np.log10(steps[0]) + 1e-9)
    assert np.isclose(digits, [1, 2, 5]).any()
    assert axis.at(axis.low) == 0 and axis.at(axis.high) == 1


def test_logarithmic_axes_are_of_powers_of_ten():
    axis = chart.logarithmic(0.03, 2e5)
    assert (axis.low, axis.high) == (0.01, 1e6)
    assert np.allclose(np.diff(np.log10(axis.ticks)), 2)
    assert axis.at(100) == pytest.approx(0.5)


def test_time_in_steps_is_that_of_their_images():
    timings = [{"step": 10, "images_per_s": 40}, {"step": 30, "images_per_s": 160}]
    assert curves.training_seconds(timings, 8) == pytest.approx(80 / 40 + 160 / 160)
    assert curves.training_seconds([], 8) is None
    assert curves.training_seconds(timings, None) is None


def test_elements_escape_all_that_is_no_markup():
    inner = html.element("b", "<&>")
    assert inner == "<b>&lt;&amp;&gt;</b>"
    made = html.element("p", inner, 3, title='"<', hidden=None, open=True, class_="a")
    assert made == '<p title="&quot;&lt;" open class="a"><b>&lt;&amp;&gt;</b>3</p>'
    assert html.element("br") == "<br>"


def test_numbers_are_short():
    values = 0, 0.25, 7, 1500, 38400, 1234567, 1.5e-5, -2e12, 0.1 + 0.2
    said = ["0", "0.25", "7", "1,500", "38.4k", "1.23M", "1.5e-05", "-2e+12", "0.3"]
    assert [*map(chart.short, values)] == said
