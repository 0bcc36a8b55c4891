"use strict";
// Draws the figures described in #report-data (see figures.py for the format) as SVG, and makes tables sortable.
// No dependency, no network: the page works from disk.

const NS = "http://www.w3.org/2000/svg";
const COLOURS = ["#4477aa", "#cc3311", "#228833", "#aa3377", "#ee7733", "#009988", "#997700", "#66ccee", "#555555", "#bb5566"];
const tip = document.getElementById("tip");

function node(name, attributes, parent, text) {
  const element = document.createElementNS(NS, name);
  for (const key in attributes) element.setAttribute(key, attributes[key]);
  if (text !== undefined) element.textContent = text;
  if (parent) parent.appendChild(element);
  return element;
}

function html(name, attributes, parent, text) {
  const element = document.createElement(name);
  for (const key in attributes) element.setAttribute(key, attributes[key]);
  if (text !== undefined) element.textContent = text;
  if (parent) parent.appendChild(element);
  return element;
}

function hover(element, text) {
  element.addEventListener("mousemove", event => {
    tip.textContent = text;
    tip.style.display = "block";
    const right = event.clientX + 16 + tip.offsetWidth > window.innerWidth;
    tip.style.left = (right ? event.clientX - tip.offsetWidth - 12 : event.clientX + 14) + "px";
    tip.style.top = Math.min(event.clientY + 14, window.innerHeight - tip.offsetHeight - 6) + "px";
  });
  element.addEventListener("mouseleave", () => { tip.style.display = "none"; });
}

const cut = (text, length) => text.length <= length ? text : text.slice(0, length - 1) + "…";
const number = value => value === null ? "–" : String(Number(value.toPrecision(4))).replace("-", "−");
const colour = index => COLOURS[index % COLOURS.length];

function ticks(low, high, count) {
  const rough = (high - low) / count, power = Math.pow(10, Math.floor(Math.log10(rough)));
  const step = [1, 2, 5, 10].map(f => f * power).find(s => s >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

function extent(values, pad) {
  const known = values.filter(v => v !== null && isFinite(v));
  let low = known.reduce((a, b) => Math.min(a, b), Infinity);
  let high = known.reduce((a, b) => Math.max(a, b), -Infinity);
  if (!known.length) { low = 0; high = 1; }
  if (low === high) { const d = Math.abs(low) * 0.05 || 0.5; low -= d; high += d; }
  const margin = (high - low) * pad;
  return [low - margin, high + margin];
}

// A plotting area with ticks; returns its SVG group and the two scales.
function area(parent, panel, xs, ys, options) {
  const o = Object.assign({ width: 452, height: 320, left: 58, right: 12, top: 8, bottom: 44, yTicks: true }, options);
  const svg = node("svg", { viewBox: `0 0 ${o.width} ${o.height}`, width: o.width, height: o.height, role: "img",
    "aria-label": panel.title }, parent);
  const inner = [o.left, o.width - o.right, o.height - o.bottom, o.top];
  const x = v => inner[0] + (v - xs[0]) / (xs[1] - xs[0]) * (inner[1] - inner[0]);
  const y = v => inner[2] + (v - ys[0]) / (ys[1] - ys[0]) * (inner[3] - inner[2]);
  for (const t of ticks(xs[0], xs[1], 6)) {
    node("line", { x1: x(t), x2: x(t), y1: inner[2], y2: inner[3], class: "grid" }, svg);
    node("text", { x: x(t), y: inner[2] + 16, "text-anchor": "middle", class: "tick" }, svg, axisNumber(t));
  }
  if (o.yTicks) for (const t of ticks(ys[0], ys[1], 6)) {
    node("line", { x1: inner[0], x2: inner[1], y1: y(t), y2: y(t), class: "grid" }, svg);
    node("text", { x: inner[0] - 7, y: y(t) + 4, "text-anchor": "end", class: "tick" }, svg, axisNumber(t));
  }
  node("line", { x1: inner[0], x2: inner[1], y1: inner[2], y2: inner[2], class: "axis" }, svg);
  node("text", { x: (inner[0] + inner[1]) / 2, y: o.height - 8, "text-anchor": "middle" }, svg, panel.x || "");
  if (panel.y) node("text", { x: 0, y: 0, transform: `translate(13 ${(inner[2] + inner[3]) / 2}) rotate(-90)`,
    "text-anchor": "middle" }, svg, panel.y);
  return { svg, x, y, inner };
}

function axisNumber(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return number(value / 1e6) + " M";
  if (size >= 1e4) return number(value / 1e3) + " k";
  return number(Math.abs(value) < 1e-12 ? 0 : value);
}

function legend(parent, names, groups) {
  const box = html("div", { class: "legend" }, parent);
  names.forEach((name, i) => {
    const button = html("button", { type: "button", "aria-pressed": "true" }, box);
    const swatch = html("i", {}, button);
    swatch.style.background = groups[i].colour;
    button.appendChild(document.createTextNode(name));
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") === "true";
      button.setAttribute("aria-pressed", String(!shown));
      groups[i].elements.forEach(element => { element.style.display = shown ? "none" : ""; });
    });
  });
}

function quantile(sorted, q) {
  const position = (sorted.length - 1) * q, below = Math.floor(position);
  return sorted[below] + (sorted[Math.min(below + 1, sorted.length - 1)] - sorted[below]) * (position - below);
}

function strip(parent, panel) {
  const rows = panel.rows, height = 21;
  const values = rows.flatMap(r => r.values).concat(panel.lines.map(l => l.value), panel.bands.flatMap(b => [b.low, b.high]));
  const longest = Math.max(...rows.map(r => cut(rowName(r), 36).length));
  const left = Math.min(260, 24 + longest * 6.4);
  const plot = area(parent, panel, extent(values, 0.05), [rows.length - 0.4, -0.6],
    { left, width: left + 400, height: rows.length * height + 62, yTicks: false });
  const { svg, x, y, inner } = plot;
  for (const band of panel.bands) {
    const mark = node("rect", { x: x(band.low), width: x(band.high) - x(band.low), y: inner[3], height: inner[2] - inner[3],
      fill: "#e8c468", opacity: 0.35 }, svg);
    hover(mark, `${band.label}: ${number(band.low)} to ${number(band.high)}`);
  }
  panel.lines.forEach((line, i) => {
    const mark = node("line", { x1: x(line.value), x2: x(line.value), y1: inner[3], y2: inner[2], stroke: "#8a6d1f",
      "stroke-width": 1.5, "stroke-dasharray": i ? "5 4" : "none" }, svg);
    hover(mark, line.label);
  });
  const groups = [...new Set(rows.map(r => r.group))];
  rows.forEach((row, i) => {
    const tone = colour(groups.indexOf(row.group)), sorted = [...row.values].sort((a, b) => a - b);
    const label = node("text", { x: inner[0] - 8, y: y(i) + 4, "text-anchor": "end" }, svg, cut(rowName(row), 36));
    hover(label, rowName(row));
    if (i && row.group !== rows[i - 1].group)
      node("line", { x1: 0, x2: inner[1], y1: y(i - 0.5), y2: y(i - 0.5), class: "grid" }, svg);
    if (sorted.length >= 5) {
      const [a, b] = [quantile(sorted, 0.25), quantile(sorted, 0.75)];
      node("line", { x1: x(sorted[0]), x2: x(sorted[sorted.length - 1]), y1: y(i), y2: y(i), stroke: tone }, svg);
      node("rect", { x: x(a), width: Math.max(1, x(b) - x(a)), y: y(i) - 6, height: 12, fill: "#fff", stroke: tone,
        "fill-opacity": 0.7 }, svg);
    }
    const middle = x(quantile(sorted, 0.5));
    node("line", { x1: middle, x2: middle, y1: y(i) - 7, y2: y(i) + 7, stroke: "#1d2430", "stroke-width": 2 }, svg);
    row.values.forEach((value, j) => {
      const point = node("circle", { cx: x(value), cy: y(i), r: 3.6, fill: tone, "fill-opacity": 0.8, class: "point" }, svg);
      hover(point, `${rowName(row)}\n${row.names[j]}: tau ${value.toFixed(3)}`);
    });
  });
  const notes = panel.bands.map(b => b.label).concat(panel.lines.map((l, i) => (i ? "dashed: " : "line: ") + l.label));
  if (notes.length) html("div", { class: "note" }, parent, "Band: " + notes.join("; ") + ".");
}

const rowName = row => row.group === "reference" ? row.label : `${row.group}: ${row.label}`;

// Dashed levels across the plot, such as the parameter count's tau, with their names beneath.
function levels(parent, panel, plot) {
  const given = panel.levels || [];
  for (const level of given) {
    const mark = node("line", { x1: plot.inner[0], x2: plot.inner[1], y1: plot.y(level.value), y2: plot.y(level.value),
      stroke: "#8a6d1f", "stroke-width": 1.5, "stroke-dasharray": "5 4", class: "level" }, plot.svg);
    hover(mark, level.label);
  }
  if (given.length) html("div", { class: "note" }, parent, "Dashed: " + given.map(level => level.label).join("; ") + ".");
}

const levelValues = panel => (panel.levels || []).map(level => level.value);

function scatter(parent, panel) {
  const density = panel.density;
  const xs = panel.series.flatMap(s => s.x).concat(density ? [density.x[0], density.x[density.x.length - 1]] : []);
  const ys = panel.series.flatMap(s => s.y).concat(density ? [density.y[0], density.y[density.y.length - 1]] : []);
  const plot = area(parent, panel, extent(xs, 0.04), extent(ys.concat(levelValues(panel)), 0.04), { height: 370 });
  const { svg, x, y } = plot;
  if (density) {
    const most = Math.log(1 + Math.max(...density.counts.map(column => Math.max(...column))));
    density.counts.forEach((column, i) => column.forEach((count, j) => {
      if (!count) return;
      const [a, b, c, d] = [x(density.x[i]), x(density.x[i + 1]), y(density.y[j + 1]), y(density.y[j])];
      const cell = node("rect", { x: a, width: b - a + 0.3, y: c, height: d - c + 0.3, fill: "#24588c",
        "fill-opacity": (0.12 + 0.88 * Math.log(1 + count) / most).toFixed(3), class: "cell" }, svg);
      hover(cell, count > 1 ? `${count} architectures, one of them:\n${density.names[i][j]}` : density.names[i][j]);
    }));
  }
  const groups = panel.series.map((series, s) => {
    const tone = colour(s + (density ? 1 : 0));
    const elements = series.x.map((value, i) => {
      const point = node("circle", { cx: x(value).toFixed(1), cy: y(series.y[i]).toFixed(1), r: 3.7, fill: tone,
        "fill-opacity": 0.65, class: "point" }, svg);
      hover(point, `${series.names[i]}\n${panel.x}: ${number(value)}\n${panel.y}: ${number(series.y[i])}`);
      return point;
    });
    return { colour: tone, elements };
  });
  legend(parent, panel.series.map(s => s.label), groups);
  levels(parent, panel, plot);
}

function lines(parent, panel) {
  const xs = panel.series.flatMap(s => s.x), ys = panel.series.flatMap(s => s.low.concat(s.high));
  const plot = area(parent, panel, extent(xs, 0.02), extent(ys.concat(levelValues(panel)), 0.05), {});
  const { svg, x, y } = plot;
  const path = (px, py, step) => px.map((v, i) => !i ? `M${x(v)},${y(py[i])}` :
    step ? `H${x(v)}V${y(py[i])}` : `L${x(v)},${y(py[i])}`).join("");
  const few = panel.series.length <= 6;
  const groups = panel.series.map((series, s) => {
    const tone = colour(s), elements = [];
    if (few) {
      // The band runs along the upper curve and back along the lower one; steps back go down before they go left.
      const back = series.x.map((v, i) => i).reverse();
      const lower = back.map((i, k) => !k ? `L${x(series.x[i])},${y(series.low[i])}` :
        panel.step ? `V${y(series.low[i])}H${x(series.x[i])}` : `L${x(series.x[i])},${y(series.low[i])}`).join("");
      elements.push(node("path", { d: path(series.x, series.high, panel.step) + lower + "Z", fill: tone,
        "fill-opacity": 0.14 }, svg));
    }
    const curve = node("path", { d: path(series.x, series.y, panel.step), fill: "none", stroke: tone, "stroke-width": 1.9,
      class: "curve" }, svg);
    hover(curve, series.label);
    elements.push(curve);
    if (series.x.length <= 60 && !panel.step) series.x.forEach((v, i) => {
      const point = node("circle", { cx: x(v), cy: y(series.y[i]), r: 3, fill: tone, class: "point" }, svg);
      hover(point, `${series.label}\n${panel.x} ${number(v)}: ${number(series.y[i])} (${number(series.low[i])} to ${number(series.high[i])})`);
      elements.push(point);
    });
    return { colour: tone, elements };
  });
  legend(parent, panel.series.map(s => s.label), groups);
  levels(parent, panel, plot);
}

function warmth(value) {
  if (value === null) return "#999999";
  const cold = [59, 76, 192], middle = [205, 205, 205], warm = [180, 4, 38];
  const [from, to, t] = value < 0.5 ? [cold, middle, value * 2] : [middle, warm, value * 2 - 1];
  return `rgb(${from.map((c, i) => Math.round(c + (to[i] - c) * t)).join(",")})`;
}

function parallel(parent, panel) {
  const step = Math.max(96, Math.min(190, 1180 / panel.axes.length)), height = 330;
  const width = step * (panel.axes.length - 1) + 190;
  const box = html("div", { class: "scroll" }, parent);
  const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": panel.title }, box);
  svg.style.maxWidth = "none";
  const x = i => 50 + i * step, y = v => 290 - v * 240;
  for (const line of panel.lines) {
    let d = "", pen = "M";
    line.values.forEach((v, i) => { if (v === null) pen = "M"; else { d += `${pen}${x(i)},${y(v)}`; pen = "L"; } });
    const mark = node("path", { d, fill: "none", stroke: warmth(line.colour), "stroke-width": 1.6, opacity: 0.6,
      class: "curve" }, svg);
    hover(mark, line.name);
    mark.addEventListener("mouseenter", () => { mark.setAttribute("stroke-width", 4); mark.setAttribute("opacity", 1); });
    mark.addEventListener("mouseleave", () => { mark.setAttribute("stroke-width", 1.6); mark.setAttribute("opacity", 0.6); });
  }
  panel.axes.forEach((axis, i) => {
    node("line", { x1: x(i), x2: x(i), y1: y(0), y2: y(1), class: "axis" }, svg);
    const title = node("text", { x: x(i), y: 22 + (i % 2) * 15, "text-anchor": "middle", "font-weight": 600 }, svg, axis.label);
    hover(title, axis.label);
    const names = axis.categories || axis.range.map(v => v.toFixed(axis.digits).replace("-", "−"));
    names.forEach((name, j) => {
      const text = node("text", { x: x(i) + 5, y: y(j / Math.max(1, names.length - 1)) + 4, class: "tick halo" }, svg, cut(name, 18));
      hover(text, name);
    });
  });
}

// Rank errors by group: a bar for the middle half of the architectures, a mark with its interval for their mean.
function errors(parent, panel) {
  const rows = panel.rows, height = 19, left = 268;
  const xs = extent(rows.flatMap(r => [r.low, r.high, r.q25, r.q75]).concat(0), 0.04);
  const { svg, x, y, inner } = area(parent, panel, xs, [rows.length - 0.4, -0.6],
    { left, width: left + 420, height: rows.length * height + 58, yTicks: false });
  node("line", { x1: x(0), x2: x(0), y1: inner[3], y2: inner[2], stroke: "#555555" }, svg);
  const groups = [...new Set(rows.map(r => r.group))];
  rows.forEach((row, i) => {
    const tone = colour(groups.indexOf(row.group)), name = row.group + (row.label.startsWith("×") ? " " : ": ") + row.label;
    const text = `${name}\n${row.n} architectures, mean ${number(row.mean)} (${number(row.low)} to ${number(row.high)})` +
      `\nmiddle half ${number(row.q25)} to ${number(row.q75)}\n${row.group} explains ${(100 * row.share).toFixed(1)} %`;
    const label = node("text", { x: inner[0] - 8, y: y(i) + 4, "text-anchor": "end" }, svg, cut(name, 42));
    hover(label, text);
    if (i && row.group !== rows[i - 1].group)
      node("line", { x1: 0, x2: inner[1], y1: y(i - 0.5), y2: y(i - 0.5), class: "grid" }, svg);
    const bar = node("rect", { x: x(row.q25), width: Math.max(1, x(row.q75) - x(row.q25)), y: y(i) - 6, height: 12,
      fill: tone, "fill-opacity": 0.22 }, svg);
    hover(bar, text);
    node("line", { x1: x(row.low), x2: x(row.high), y1: y(i), y2: y(i), stroke: tone, "stroke-width": 2.4 }, svg);
    const point = node("circle", { cx: x(row.mean), cy: y(i), r: 4, fill: tone, class: "point" }, svg);
    hover(point, text);
  });
  html("div", { class: "note" }, parent, panel.note);
}

const DRAW = { strip, scatter, lines, parallel, errors };

function drawFigure(figure) {
  const place = document.getElementById("figure-" + figure.id);
  const draw = (target, panel) => {
    html("h3", {}, target, panel.title);
    DRAW[figure.kind](target, panel);
  };
  const panels = html("div", { class: "panels" }, place);
  if (figure.choose) {
    for (const group of new Set(figure.panels.map(panel => panel.group))) {
      const choices = figure.panels.filter(panel => panel.group === group);
      const box = html("div", { class: "panel" }, panels);
      html("h3", {}, box, group);
      const label = html("label", { class: "tools" }, box, "Run");
      const select = html("select", {}, label);
      choices.forEach((panel, i) => html("option", { value: i }, select, panel.choice));
      const target = html("div", {}, box);
      const show = () => { target.replaceChildren(); draw(target, choices[Number(select.value)]); };
      select.addEventListener("change", show);
      show();
    }
    return;
  }
  figure.panels.forEach(panel => draw(html("div", { class: "panel" }, panels), panel));
}

// Cells sort by data-value where they have one (missing values last, in both directions), else by their text.
function sortable(table) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const original = [...body.rows];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const now = head.getAttribute("aria-sort");
    const next = now === "descending" ? "ascending" : now === "ascending" ? "none" : "descending";
    heads.forEach(other => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", next);
    const sign = next === "ascending" ? 1 : -1;
    const rows = [...original];
    if (next !== "none") rows.sort((a, b) => {
      const [u, v] = [a.cells[column].dataset.value, b.cells[column].dataset.value];
      if (u === undefined) return sign * a.cells[column].textContent.localeCompare(b.cells[column].textContent, "en", { numeric: true });
      if (u === "" || v === "") return (u === "") - (v === "");
      return sign * (Number(u) - Number(v));
    });
    rows.forEach(row => body.appendChild(row));
  }));
}

function filterable(input) {
  const rows = [...document.getElementById(input.dataset.table).tBodies[0].rows];
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach(row => { row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word)); });
  });
}

JSON.parse(document.getElementById("report-data").textContent).figures.forEach(drawFigure);
document.querySelectorAll("table.sortable").forEach(sortable);
document.querySelectorAll("input[data-table]").forEach(filterable);
