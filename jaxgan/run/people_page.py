"""The page on which people judge images: one file, without a network."""

import html
import json

__all__ = ["page"]

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1b1b1b; --soft: #777;
  --edge: #ccc; --accent: #1f6fb4; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #161616; --ink: #eee; --soft: #999; --edge: #444; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 17px/1.4 system-ui, sans-serif; }
main { max-width: 720px; margin: 0 auto; padding: 16px; text-align: center; }
progress { width: 100%; height: 10px; accent-color: var(--accent); }
h1 { font-size: 22px; margin: 12px 0; }
p { color: var(--soft); margin: 8px 0; }
.images:empty { display: none; }
.images { display: flex; gap: 12px; justify-content: center; margin: 12px 0; }
.images img { width: min(320px, 44vw); image-rendering: pixelated;
  border: 1px solid var(--edge); }
.images.one img { width: min(384px, 90vw); }
button, a.button { font: inherit; color: var(--ink); background: none; cursor: pointer;
  border: 1px solid var(--edge); border-radius: 8px; padding: 12px 20px; margin: 4px;
  min-width: 130px; text-decoration: none; display: inline-block; }
button:hover, a.button:hover { border-color: var(--accent); }
button.small { min-width: 0; padding: 6px 12px; color: var(--soft); }
kbd { color: var(--soft); font: inherit; margin-left: 6px; }
b { color: var(--ink); }
"""

SCRIPT = """
const D = JSON.parse(document.getElementById("data").textContent);
const $ = name => document.getElementById(name);
const n = D.items.length, answers = [], times = [];
let since = Date.now();
const judge = Array.from({length: 4}, () =>
  Math.floor(Math.random() * 2 ** 32).toString(16).padStart(8, "0")).join("");

function image(data) {
  const shown = document.createElement("img");
  shown.src = "data:image/png;base64," + data;
  shown.alt = "";
  return shown;
}

function show() {
  const i = answers.length, over = i === n;
  $("bar").value = i;
  $("count").textContent = over ? "" : `${i + 1} of ${n}`;
  $("undo").disabled = i === 0;
  $("judging").hidden = over;
  $("end").hidden = !over;
  if (over) { finish(); return; }
  const item = D.items[i];
  $("given").replaceChildren(...(item.given ? [image(item.given)] : []));
  $("shown").replaceChildren(...item.images.map(image));
  since = Date.now();
}

function say(answer) {
  if (answers.length === n) return;
  answers.push(answer);
  times.push(Date.now() - since);
  show();
}

function undo() {
  if (answers.length === 0 || answers.length === n) return;
  answers.pop();
  times.pop();
  show();
}

function turned(i) {
  let h = 0x811c9dc5;
  for (const c of `${D.page}:${i}`)
    h = Math.imul(h ^ c.charCodeAt(0), 0x01000193) >>> 0;
  h ^= h >>> 16;
  return (h ^ (h >>> 8) ^ (h >>> 4)) & 1;
}

function interval(wrong) {
  const rates = [];
  for (let k = 0; k < 4000; k++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += wrong[Math.floor(Math.random() * n)];
    rates.push(sum / n);
  }
  rates.sort((a, b) => a - b);
  return [rates[100], rates[3899]];
}

function finish() {
  const wrong = answers.map((a, i) => a ^ Number(D.veil[i]) ^ turned(i));
  const rate = wrong.reduce((a, b) => a + b, 0) / n, [low, high] = interval(wrong);
  const percent = x => (100 * x).toFixed(1) + " %";
  $("result").innerHTML = `You were wrong about <b>${percent(rate)}</b> of ${n} ` +
    `(95 % interval ${percent(low)} to ${percent(high)}); by guessing it is 50 %.`;
  const kept = {format: "jaxgan people 1", page: D.page, judge, answers, times,
    error_rate: rate, interval: [low, high]};
  const blob = new Blob([JSON.stringify(kept, null, 1)], {type: "application/json"});
  $("download").href = URL.createObjectURL(blob);
  $("download").download = `answers-${D.page.slice(0, 8)}-${judge.slice(0, 4)}.json`;
}

$("first").onclick = () => say(0);
$("second").onclick = () => say(1);
$("undo").onclick = undo;
document.addEventListener("keydown", event => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = {ArrowLeft: () => say(0), r: () => say(0), ArrowRight: () => say(1),
    d: () => say(1), Backspace: undo}[event.key];
  if (act) { event.preventDefault(); act(); }
});
show();
"""

BODY = """
<main>
<progress id="bar" max="{count}" value="0" aria-label="answered"></progress>
<p id="count"></p>
<div id="judging">
<h1>{question}</h1>
<div id="given" class="images one"></div>
<div id="shown" class="images {kind}"></div>
<div>
<button id="first">{first}<kbd>&larr;</kbd></button>
<button id="second">{second}<kbd>&rarr;</kbd></button>
</div>
<button id="undo" class="small">Undo<kbd>&#9003;</kbd></button>
<p>{hint}</p>
</div>
<div id="end" hidden>
<h1>Thank you</h1>
<p id="result"></p>
<a id="download" class="button">Download the answers</a>
<p>Then: <code>evaluate --people</code> and the file.</p>
</div>
</main>
"""

TEXTS = {
    "one": {
        "question": "Real or drawn?",
        "first": "Real",
        "second": "Drawn",
        "hint": "Half of the images are real, half were drawn by a network. "
        "Take your time.",
    },
    "two": {
        "question": "Which of the two is the true one?",
        "first": "Left",
        "second": "Right",
        "hint": "Above is what a network was given; of the two below it drew one. "
        "Take your time.",
    },
}


def page(name: str, kind: str, items: list[dict], veil: str) -> str:
    """HTML.

    Args:
        name: of the page, in hexadecimal.
        kind: "one", an image at a time, real or drawn; or "two", of which one is drawn.
        items: "images", PNG files in base64, and of "two" "given", one more.
        veil: the truths, of `metrics.people.veil`.
    """
    data = {"page": name, "kind": kind, "items": items, "veil": veil}
    body = BODY.format(count=len(items), kind=kind, **TEXTS[kind])
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(TEXTS[kind]['question'])}</title>",
            f"<style>{STYLE}</style>\n</head>\n<body>{body}",
            f'<script type="application/json" id="data">{json.dumps(data)}</script>',
            f"<script>{SCRIPT}</script>\n</body>\n</html>\n",
        )
    )
