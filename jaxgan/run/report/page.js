"use strict";
document.documentElement.classList.add("js");

// Samples: one step at a time.
for (const box of document.querySelectorAll(".samples")) {
  const frames = [...box.querySelectorAll(".frame")];
  const range = box.querySelector("input"), said = box.querySelector("output");
  const play = box.querySelector("button");
  let timer = null;
  const show = () => {
    frames.forEach((frame, i) => frame.classList.toggle("on", i === Number(range.value)));
    const on = frames[range.value];
    said.textContent = "Step " + Number(on.dataset.step).toLocaleString("en");
  };
  const stop = () => { clearInterval(timer); timer = null; play.textContent = "Play"; };
  range.addEventListener("input", () => { stop(); show(); });
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (Number(range.value) === frames.length - 1) range.value = 0;
    show();
    play.textContent = "Stop";
    timer = setInterval(() => {
      range.value = Number(range.value) + 1;
      show();
      if (Number(range.value) === frames.length - 1) stop();
    }, 500);
  });
  range.value = frames.length - 1;
  show();
}

// Curves: their values at the step under the pointer.
const numbers = text => text.split(" ").map(Number);
const short = v => Math.abs(v) >= 1e5 || (v && Math.abs(v) < 1e-3)
  ? v.toExponential(2) : String(Number(v.toPrecision(4)));
for (const chart of document.querySelectorAll(".chart")) {
  const area = chart.querySelector(".area"), cursor = chart.querySelector(".cursor");
  const readout = chart.querySelector(".readout"), log = "log" in chart.dataset;
  const [x0, x1] = numbers(chart.dataset.x);
  const [y0, y1] = numbers(chart.dataset.y).map(v => log ? Math.log10(v) : v);
  const value = y => { const v = y0 + (1 - y / 1000) * (y1 - y0); return log ? 10 ** v : v; };
  const curves = [...chart.querySelectorAll(".curve")].map(path => ({
    name: path.dataset.name, colour: path.getAttribute("style"),
    points: path.getAttribute("d").split(/[ML]/).slice(1).map(numbers),
  }));
  area.addEventListener("pointermove", event => {
    const box = area.getBoundingClientRect();
    const at = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * 1000;
    const near = curves.map(c => c.points.reduce(
      (a, b) => Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a));
    const x = near.reduce((a, b) => Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a)[0];
    const title = document.createElement("b");
    title.textContent = "Step " + Math.round(x0 + x / 1000 * (x1 - x0)).toLocaleString("en");
    const lines = curves.slice(0, 12).map((c, i) => {
      const line = document.createElement("div"), swatch = document.createElement("i");
      swatch.className = "swatch";
      swatch.setAttribute("style", c.colour);
      line.append(swatch, c.name + " " + short(value(near[i][1])));
      return line;
    });
    readout.replaceChildren(title, ...lines);
    readout.style.display = cursor.style.display = "block";
    readout.style.right = at > 500 ? "auto" : "8px";
    readout.style.left = at > 500 ? "8px" : "auto";
    cursor.style.left = x / 10 + "%";
  });
  area.addEventListener("pointerleave", () => {
    readout.style.display = cursor.style.display = "none";
  });
}
