"""What people say of images: the page, its answers, and their error rate."""

import base64
import io
import json
import re
import shutil
import subprocess

import command_line
import numpy as np
import optax
import pytest
from PIL import Image
from test_exploring import CONDITIONAL, Experiment, call, runs  # noqa: F401  # fixtures

from jaxgan import models, recipes, run, tasks
from jaxgan.metrics import people
from jaxgan.run.loading import load
from jaxgan.run.people import added, judged


def test_the_error_rate_is_the_share_of_wrong_answers():
    truth = np.arange(200) % 2 == 0
    answers = truth.copy()
    answers[:60] = ~answers[:60]
    answers[100:102] = True  # one real image more is called drawn
    found = people.verdict([truth], [answers])
    assert found.error_rate == 61 / 200
    assert (found.on_real, found.on_drawn) == (31 / 100, 30 / 100)
    assert (found.judgements, found.people) == (200, 1)
    deviation = (0.305 * 0.695 / 200) ** 0.5
    assert found.deviation == pytest.approx(deviation, rel=0.03)
    for end, side in zip(found.interval, (-1, 1), strict=True):
        assert end == pytest.approx(0.305 + side * 1.96 * deviation, abs=0.011)


def test_people_who_differ_widen_the_interval():
    truth, rng = np.zeros(100, bool), np.random.default_rng(0)
    alike = [rng.random(100) < 0.4 for _ in range(6)]
    apart = [rng.random(100) < rate for rate in (0.1, 0.2, 0.3, 0.5, 0.6, 0.7)]
    widths = []
    for answers in (alike, apart):
        found = people.verdict([truth] * 6, answers)
        assert found.people == 6 and found.judgements == 600
        assert found.error_rate == pytest.approx(np.mean(answers))
        widths.append(found.interval[1] - found.interval[0])
    assert widths[1] > 2 * widths[0] > 0.1
    with pytest.raises(ValueError, match="a truth and an answer"):
        people.verdict([], [])


def test_how_many_judgements_an_interval_takes():
    """At so many, a simulated judge's interval is as wide as was asked for."""
    assert people.needed(0.5) == 385 and people.needed(0.3, 0.1) == 81
    assert people.needed(0.0) == people.needed(0.05) == 73
    n, rng = people.needed(0.3), np.random.default_rng(0)
    found = people.verdict([np.zeros(n, bool)], [rng.permutation(n) < 0.3 * n])
    low, high = found.interval
    assert (high - low) / 2 == pytest.approx(0.05, abs=0.004)


def test_a_veil_shows_nothing_and_can_be_lifted():
    truth = np.random.default_rng(0).integers(0, 2, 4000)
    text = people.veil("0123abcd", truth)
    assert people.unveiled("0123abcd", text) == truth.tolist()
    shown = np.array([int(c) for c in text])
    assert abs((shown == truth).mean() - 0.5) < 0.03
    even = np.array([int(c) for c in people.veil("0123abcd", [0] * 4000)])
    assert abs(even.mean() - 0.5) < 0.03
    assert abs((even[1:] == even[:-1]).mean() - 0.5) < 0.03
    assert people.veil("other", truth) != text


def data_of(page):
    pattern = r'<script type="application/json" id="data">(.*?)</script>'
    return json.loads(re.search(pattern, page, re.S)[1])


def pixels_of(text):
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        assert not image.info  # nothing says where it comes from
        return np.asarray(image)


@pytest.fixture
def page(call, tmp_path):  # noqa: F811
    asked = "--by-people", "page.html", "--judgements", 20, "--seed", 5
    code, said, _ = call("evaluate", *asked)
    assert code == 0 and "20 images, half of them real, to judge in page.html" in said
    return (tmp_path / "page.html").read_text()


def answered(text, wrong, path, **changes):
    """The file that the page gives, of a judge who errs at these places."""
    data = data_of(text)
    truth = people.unveiled(data["page"], data["veil"])
    answers = [int(t) ^ (i in wrong) for i, t in enumerate(truth)]
    said = {"format": "jaxgan people 1", "page": data["page"], "answers": answers}
    path.write_text(json.dumps(said | changes))
    return str(path)


DOM = """
const made = () => ({replaceChildren() {}, set innerHTML(x) { this.html = x; }});
const parts = {data: {textContent: DATA}}, keys = [];
const document = {createElement: made, getElementById: n => parts[n] ??= made(),
  addEventListener: (kind, act) => keys.push(act)};
class Blob { constructor(all) { this.text = all.join(""); } }
const URL = {createObjectURL: blob => blob.text};
"""
"""What of a browser the page's script uses."""


@pytest.mark.skipif(not shutil.which("node"), reason="needs node")
def test_the_page_gives_the_answers_that_were_pressed(page, runs, tmp_path):  # noqa: F811
    """Its own script, driven by keys and buttons: 3 of 20 are wrong."""
    data = data_of(page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.S)
    truth = people.unveiled(data["page"], data["veil"])
    press = [t ^ (i in {2, 7, 11}) for i, t in enumerate(truth)]
    drive = """
    const press = key => keys[0]({key, preventDefault() {}});
    ANSWERS.forEach((answer, i) => {
      if (i === 4) { press("ArrowLeft"); press("Backspace"); }
      if (i % 2) press(answer ? "ArrowRight" : "ArrowLeft");
      else parts[answer ? "second" : "first"].onclick();
    });
    press("ArrowLeft");
    console.log(JSON.stringify([parts.download.href, parts.result.html]));
    """
    code = DOM.replace("DATA", json.dumps(json.dumps(data)))
    code += script + drive.replace("ANSWERS", json.dumps(press))
    done = subprocess.run(["node", "-e", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said, shown = json.loads(done.stdout)
    assert "wrong about <b>15.0 %</b> of 20" in shown
    assert json.loads(said)["answers"] == press
    file = tmp_path / "answers.json"
    file.write_text(said)
    (loaded,) = load(runs / "by_class", run.Config, CONDITIONAL.build)
    assert judged((str(file),), loaded, "sample")["error_rate"] == 3 / 20


def test_a_page_is_whole_and_tells_no_truth(page, runs, tmp_path, call):  # noqa: F811
    assert not re.search(r"https?://|src=|@import|url\(", page)
    data = data_of(page)
    assert data["kind"] == "one" and len(data["items"]) == 20
    assert [set(item) for item in data["items"]] == [{"images"}] * 20
    (kept,) = (runs / "by_class/people").glob(f"{data['page']}.json")
    truth = json.loads(kept.read_text())["truth"]
    assert people.unveiled(data["page"], data["veil"]) == truth and sum(truth) == 10
    assert truth != sorted(truth) and truth != sorted(truth)[::-1]
    folders = (runs / "data/train").rglob("*.png")
    real = {np.asarray(Image.open(file)).tobytes() for file in folders}
    shown = [pixels_of(item["images"][0]) for item in data["items"]]
    assert [image.tobytes() not in real for image in shown] == [t == 1 for t in truth]
    # Another seed is another page, of other images in another order.
    call("evaluate", "--by-people", "b.html", "--judgements", 20, "--seed", 6)
    other = data_of((tmp_path / "b.html").read_text())
    assert other["page"] != data["page"] and other["veil"] != data["veil"]


def test_answers_are_reported_beside_other_measures(page, runs, tmp_path):  # noqa: F811
    files = (
        answered(page, {0, 3, 4, 7, 11, 19}, tmp_path / "a.json", judge="a"),
        answered(page, {1, 2}, tmp_path / "b.json", judge="b"),
    )
    (loaded,) = load(runs / "by_class", run.Config, CONDITIONAL.build)
    said = judged(files, loaded, "sample")
    assert said["error_rate"] == 8 / 40
    assert (said["judgements"], said["people"]) == (40, 2)
    assert said["needed"] == people.needed(0.2)
    assert said["interval"][0] < 0.2 < said["interval"][1]
    row = {"value": 1.0, "error": 0.1, "floor": 0.5, "ceiling": 9.0}
    result = {"metrics": {"fd": row}, "notes": ["Of before."], "step": 3}
    both = added(result, said)
    assert both["metrics"]["fd"] == row and both["people"] == said
    human = both["metrics"]["human_error_rate"]
    assert human["value"] == 0.2 and human["error"] == said["deviation"]
    assert human["floor"] is human["ceiling"] is None
    assert both["notes"][0] == "Of before." and len(both["notes"]) == 2
    assert "40 judgements by 2 people" in both["notes"][1]
    later = added(result | {"step": 9}, said)
    assert later["notes"][2] == "People judged step 3."


MISTAKES = [
    ({"page": "0" * 32}, "is of page 00000000, and not of this run"),
    ({"answers": [1, 0]}, "has 2 answers to 20 questions."),
    ({"answers": [1, 0.5]}, "is damaged: its answers are not 0 and 1."),
    ({"answers": [True, False]}, "is damaged"),
    ({"page": "../../../../etc/passwd"}, "is damaged"),
    ({"format": "other"}, "holds no answers"),
    ({"judge": ["x"]}, "is damaged: its judge is no text."),
]


@pytest.mark.parametrize(("changes", "words"), MISTAKES)
def test_other_answers_are_refused(page, call, tmp_path, changes, words):  # noqa: F811
    file = answered(page, {1}, tmp_path / "a.json", **changes)
    code, _, err = call("evaluate", "--people", file)
    assert code == 2 and words in err and f"--people {file}" in err
    assert len(err.strip().splitlines()) == 1


def test_answers_count_once_and_those_of_another_run_do_not(page, call, tmp_path):  # noqa: F811
    file = answered(page, {1}, tmp_path / "a.json", judge="x")
    code, _, err = call("evaluate", "--people", file, file)
    assert code == 2 and "again." in err
    code, _, err = call("evaluate", "--people", file, of="plain")
    assert code == 2 and "not of this run" in err
    code, _, err = call("evaluate", "--by-people", "p.html", "--people", file)
    assert code == 2 and "give one of them" in err and not list(tmp_path.glob("p.html"))
    code, _, err = call("evaluate", "--by-people", "p.html", "--judgements", 200)
    assert code == 2 and "--judgements 200 must be in 2 ... 48, of 24 images." in err


def tiny_spade(cfg, shape, num_classes):
    task = tasks.of_maps(3)
    G = models.flax_net("G", models.spade.Generator(1, 2, 4, shape[:2]))
    D = models.flax_net("D", models.pix2pix.MultiScale(1, 2, 16))
    tx = optax.adam(1e-3)
    return recipes.spade(G, D, task, latent_dim=2, g_tx=tx, d_tx=tx)


@pytest.mark.slow
def test_of_a_translator_people_look_for_the_true_target(tmp_path, capsys):
    """And what units of it do is told by class of the label map."""
    rng = np.random.default_rng(0)
    for kind, least in (("images", 256), ("maps", 3)):
        (tmp_path / "d" / kind).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(0, least, (8, 8), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "d" / kind / f"{i:02d}.png")
    experiment = Experiment(tiny_spade)
    where = "--workdir", tmp_path / "run"
    given = "--data", f"maps:{tmp_path / 'd'}"
    assert command_line.run(experiment, *given, *where) == 0
    asked = "--by-people", tmp_path / "p.html", "--judgements", 8
    assert command_line.run(experiment, "evaluate", *where, *asked) == 0
    data = data_of((tmp_path / "p.html").read_text())
    assert data["kind"] == "two" and len(data["items"]) == 8
    truth = people.unveiled(data["page"], data["veil"])
    assert sum(truth) == 4
    files = sorted((tmp_path / "d/images").iterdir())
    real = {np.asarray(Image.open(file)).tobytes() for file in files}
    for item, second in zip(data["items"], truth, strict=True):
        two = [pixels_of(text).tobytes() in real for text in item["images"]]
        assert two == ([True, False] if second else [False, True])
        assert pixels_of(item["given"]).shape[:2] == (8, 8)
    out = tmp_path / "units.png"
    layer = "--layer", "SPADEBlock_0", "--num", 4, "--out", out
    assert command_line.run(experiment, "dissect", *where, *layer) == 0
    units = json.loads(out.with_suffix(".json").read_text())["units"]
    assert len(units) == 4 and all(set(u["by_class"]) <= set("012") for u in units)
    assert units[0]["effect"] > 0
    means = [np.mean([*u["by_class"].values()]) for u in units]
    assert means == pytest.approx([u["effect"] for u in units], rel=0.5)
