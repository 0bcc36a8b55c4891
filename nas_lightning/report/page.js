"use strict";
// Draws the figures of #report-data with the bundled Vega-Lite, each when it comes into view, and makes tables sort
// and filter. No network: the page works from disk.

const data = JSON.parse(document.getElementById("report-data").textContent);

function html(name, attributes, parent, text) {
  const element = document.createElement(name);
  for (const key in attributes) element.setAttribute(key, attributes[key]);
  if (text !== undefined) element.textContent = text;
  if (parent) parent.appendChild(element);
  return element;
}

// Columns of zeros and ones are texts; a panel names its own texts by their numbers.
data.columns = data.columns.map(column => typeof column === "string" ? Array.from(column, Number) : column);
for (const figure of data.figures)
  for (const panel of figure.panels)
    for (const key of ["title", "group", "choice", "note"]) panel[key] = data.texts[panel[key]];

// Tables lie by columns; long ones are numbers of shared columns.
function rows(table) {
  const names = Object.keys(table);
  const columns = names.map(name => Array.isArray(table[name]) ? table[name] : data.columns[table[name]]);
  return (columns[0] || []).map((_, i) => Object.fromEntries(names.map((name, k) => [name, columns[k][i]])));
}

async function draw(box, panel) {
  const datasets = {};
  for (const name in panel.data) datasets[name] = rows(panel.data[name]);
  const spec = Object.assign({ config: data.config, datasets }, structuredClone(data.specs[panel.spec]));
  const options = { actions: false, renderer: "svg" };
  let drawn = await vegaEmbed(box, spec, options);
  // On a narrow screen the plot gives way first, then the names of its rows.
  for (let pass = 0; pass < 3 && typeof spec.width === "number"; pass++) {
    const over = Math.ceil(drawnWidth(box) - box.clientWidth);
    if (over <= 0) break;
    const width = Math.max(150, spec.width - over - 2);
    if (width > spec.width - over) {
      const axis = Object.assign({}, spec.config.axis, { labelLimit: Math.max(80, box.clientWidth - width - 50 - 40 * pass) });
      spec.config = Object.assign({}, spec.config, { axis });
    }
    spec.width = width;
    drawn.finalize();
    drawn = await vegaEmbed(box, spec, options);
  }
  box.dataset.drawn = "yes";
}

function drawnWidth(box) {
  const svg = box.querySelector("svg");
  return svg ? svg.getBoundingClientRect().width : 0;
}

const waiting = new Map();
const watcher = new IntersectionObserver(entries => entries.forEach(entry => {
  if (entry.isIntersecting) start(entry.target);
}), { rootMargin: "400px" });

function start(box) {
  const panel = waiting.get(box);
  if (!panel) return Promise.resolve();
  waiting.delete(box);
  watcher.unobserve(box);
  return draw(box, panel);
}

// All that has not come into view yet: for printing, and for tests.
const drawAll = () => Promise.all([...waiting.keys()].map(start));
window.addEventListener("beforeprint", drawAll);

function place(parent, panel) {
  html("h3", {}, parent, panel.title);
  const box = html("div", { class: "chart" }, parent);
  if (panel.note) html("p", { class: "note" }, parent, panel.note);
  waiting.set(box, panel);
  watcher.observe(box);
}

function drawFigure(figure) {
  const parent = html("div", { class: "panels" }, document.getElementById("figure-" + figure.id));
  if (figure.choose) {
    for (const group of new Set(figure.panels.map(panel => panel.group))) {
      const choices = figure.panels.filter(panel => panel.group === group);
      const box = html("div", { class: "panel" }, parent);
      html("h3", { class: "group" }, box, group);
      const label = html("label", { class: "tools" }, box, "Run");
      const select = html("select", {}, label);
      choices.forEach((panel, i) => html("option", { value: i }, select, panel.choice));
      const target = html("div", {}, box);
      const show = () => { target.replaceChildren(); place(target, choices[Number(select.value)]); };
      select.addEventListener("change", show);
      show();
    }
    return;
  }
  let group = "";
  figure.panels.forEach(panel => {
    if (panel.group && panel.group !== group) html("h3", { class: "group wide" }, parent, panel.group);
    group = panel.group;
    place(html("div", { class: "panel" }, parent), panel);
  });
}

// Rows sort within each body, beneath its heading, by data-value where cells have one (missing values last, in both
// directions), else by their text.
function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const bodies = [...table.tBodies].map(body => [body, [...body.rows].filter(row => row.className !== "group")]);
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const now = head.getAttribute("aria-sort");
    const next = now === "descending" ? "ascending" : now === "ascending" ? "none" : "descending";
    heads.forEach(other => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", next);
    const sign = next === "ascending" ? 1 : -1;
    for (const [body, original] of bodies) {
      const sorted = [...original];
      if (next !== "none") sorted.sort((a, b) => {
        const [u, v] = [a.cells[column].dataset.value, b.cells[column].dataset.value];
        if (u === undefined || v === undefined)
          return sign * a.cells[column].textContent.localeCompare(b.cells[column].textContent, "en", { numeric: true });
        if (u === "" || v === "") return (u === "") - (v === "");
        return sign * (Number(u) - Number(v));
      });
      sorted.forEach(row => body.appendChild(row));
    }
  }));
}

// A heading's own words count for its rows; a body without a row that fits is hidden whole.
function filterable(input) {
  const bodies = [...document.getElementById(input.dataset.table).tBodies];
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const body of bodies) {
      const head = body.querySelector("tr.group"), above = head ? head.textContent.toLowerCase() + " " : "";
      const inside = [...body.rows].filter(row => row !== head);
      inside.forEach(row => { row.hidden = !words.every(word => (above + row.textContent.toLowerCase()).includes(word)); });
      if (head) head.hidden = inside.every(row => row.hidden);
    }
  });
}

data.figures.forEach(drawFigure);
document.querySelectorAll("table.sortable").forEach(sortable);
document.querySelectorAll("input[data-table]").forEach(filterable);
