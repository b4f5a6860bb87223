// What all charts share: what is shown, legends, axes, the frame of a figure.

const figures = JSON.parse(document.getElementById("figures").textContent);
const KIND = {id: "in-domain", ood: "out-of-domain"};
const KINDS = Object.keys(KIND);
const MOST_SERIES = 8;  // shown at first; the legend adds the others

// ---- State. Every change draws all charts again.

// The best settings of each tuner first, then the best of the rest.
function firstShown() {
  const best = new Map();  // series -> the highest mean accuracy that a curve of it has
  for (const line of figures.noise) {
    const top = Math.max(...line.points.map(point => point[1]));
    best.set(line.series, Math.max(top, best.get(line.series) ?? -Infinity));
  }
  const ranked = figures.series.map((_, i) => i).sort((a, b) => (best.get(b) ?? -1) - (best.get(a) ?? -1));
  const tuners = new Set(), leaders = [], others = [];
  for (const i of ranked) {
    (tuners.has(figures.series[i].tuner) ? others : leaders).push(i);
    tuners.add(figures.series[i].tuner);
  }
  return new Set([...leaders, ...others].slice(0, MOST_SERIES));
}

const state = {panel: 0, shown: firstShown(), choice: {}};
let charts = [];  // on the page

const seriesName = i => figures.series[i].label;
const ofPanel = rows => rows.filter(row => row.panel === state.panel);
const shown = rows => rows.filter(row => state.shown.has(row.series));
const seriesOf = rows => distinct(rows.map(row => row.series));
// Rows that came as arrays, to save space, with their names.
const named = (rows, ...names) => rows.map(row => Object.fromEntries(names.map((name, i) => [name, row[i]])));

// ---- Controls and legends

// A select that remembers its value over redraws.
function choose(container, name, label, values, text = value => value) {
  if (!values.includes(state.choice[name])) state.choice[name] = values[0];
  if (values.length > 1) {
    const option = (value, i) => element("option", {value: i, selected: value === state.choice[name]}, text(value));
    const select = element("select", {name}, ...values.map(option));
    select.addEventListener("change", () => { state.choice[name] = values[select.value]; draw(); });
    container.append(element("label", {}, label + " ", select));
  }
  return state.choice[name];
}

// A click hides a series in every chart, or shows it again.
function seriesLegend(container, series) {
  const legend = container.appendChild(element("div", {class: "legend"}));
  for (const i of series) {
    const button = element("button", {type: "button"}, swatch(look(i)), seriesName(i));
    button.setAttribute("aria-pressed", state.shown.has(i));
    button.addEventListener("click", () => {
      if (!state.shown.delete(i)) state.shown.add(i);
      draw();
    });
    legend.append(button);
  }
}

function plainLegend(container, entries) {
  container.append(element("div", {class: "legend"},
                           ...entries.map(([text, style]) => element("span", {}, swatch(style), " " + text))));
}

// ---- Figures

// {head: [...], rows: [[...], ...]}
function numberTable({head, rows}) {
  const row = (tag, texts) => element("tr", {}, ...texts.map(text => element(tag, {}, String(text))));
  return element("div", {class: "scroll"},
                 element("table", {}, element("thead", {}, row("th", head)),
                         element("tbody", {}, ...rows.map(texts => row("td", texts)))));
}

// One chart with its title and, folded away, its numbers: a function that gives what numberTable() takes.
function figure(container, title, height, config, numbers) {
  const canvas = element("canvas", {role: "img"});
  canvas.setAttribute("aria-label", title);
  const plot = element("div", {class: "plot"}, canvas);
  plot.style.height = `${height}px`;
  const details = element("details", {}, element("summary", {}, "Numbers"));
  details.addEventListener("toggle", () => {
    if (!details.querySelector("table")) details.append(numberTable(numbers()));
  });
  container.append(element("figure", {}, element("figcaption", {title}, title), plot, details));
  charts.push(new Chart(canvas, config));
}

const grid = (container, size = "") => container.appendChild(element("div", {class: `row ${size}`}));

function axis(title, more = {}) {
  return {title: {display: true, text: title, color: SOFT[mode()]}, grid: {color: RULE[mode()], drawBorder: false},
          ...more, ticks: {color: SOFT[mode()], maxRotation: 0, includeBounds: false, ...more.ticks}};
}

function options(more) {
  return {animation: false, responsive: true, maintainAspectRatio: false,
          interaction: {mode: "nearest", intersect: false}, ...more,
          plugins: {legend: {display: false}, ...more.plugins}};
}

const tooltip = (label, more = {}) => ({tooltip: {callbacks: {label, title: () => ""}, ...more}});

// Ticks at the values that were measured, when they are few.
function ticksAt(values) {
  const marks = distinct(values);
  return marks.length > 8 ? {} : {afterBuildTicks: scale => { scale.ticks = marks.map(value => ({value})); }};
}

// Labels at powers of ten only.
const decades = {
  callback: value => Number.isInteger(Math.log10(value)) ? value.toLocaleString("en", {maximumSignificantDigits: 1}) : "",
};
