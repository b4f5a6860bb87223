// What all charts share: what is shown, legends, axes, the frame of a figure.

const figures = JSON.parse(document.getElementById("figures").textContent);
const TUNERS = [...new Set(figures.series.map(series => series.tuner))];  // the best of the leaderboard first
const KIND = {id: "in-domain", ood: "out-of-domain"};
const KINDS = Object.keys(KIND);

// ---- State. Every change draws all charts again.

const state = {panel: 0, shown: new Set(figures.series.keys()), choice: {}, unfolded: false};
let charts = [];   // on the page
let waiting = [];  // figures whose charts are yet to be made, once everything has its place and width

const seriesName = i => figures.series[i].label;
// "lr=0.1" of "nmtune (lr=0.1)"; the tuner where it has one setting.
const settingText = i => figures.series[i].of < 2 ? seriesName(i) : seriesName(i).slice(tunerOf(i).length + 2, -1);
const tunerOf = i => figures.series[i].tuner;
const ofPanel = rows => rows.filter(row => row.panel === state.panel);
const shown = rows => rows.filter(row => state.shown.has(row.series));
const seriesOf = rows => distinct(rows.map(row => row.series));
const tunersOf = rows => TUNERS.filter(tuner => rows.some(row => tunerOf(row.series) === tuner));
const ofTuner = (rows, tuner) => rows.filter(row => tunerOf(row.series) === tuner);
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

// A click hides these series in every chart, or shows them again.
function toggle(series, ...content) {
  const button = element("button", {type: "button"}, ...content), on = series.some(i => state.shown.has(i));
  button.setAttribute("aria-pressed", on);
  button.addEventListener("click", () => {
    for (const i of series) on ? state.shown.delete(i) : state.shown.add(i);
    draw();
  });
  return button;
}

// An entry for each tuner; its settings unfold.
function seriesLegend(container, series) {
  const legend = container.appendChild(element("div", {class: "legend"})), several = [];
  for (const tuner of TUNERS) {
    const own = series.filter(i => tunerOf(i) === tuner);
    own.sort((a, b) => figures.series[a].rank - figures.series[b].rank);
    if (own.length === 0) continue;
    if (own.length > 1) several.push(...own);
    const text = own.length === 1 ? seriesName(own[0]) : tuner;
    const more = own.length === 1 ? [] : [shadeRamp(own), element("span", {class: "soft"}, `${own.length} settings`)];
    legend.append(toggle(own, swatch(own.length === 1 ? look(own[0]) : tunerLook(tuner)), text, ...more));
  }
  if (several.length === 0) return;
  const details = element("details", {class: "settings", open: state.unfolded}, element("summary", {}, "Choose settings"));
  details.append(element("div", {class: "legend"}, ...several.map(i => toggle([i], swatch(look(i)), seriesName(i)))));
  details.addEventListener("toggle", () => { state.unfolded = details.open; });
  container.append(details);
}

function shadeRamp(series) {
  const ramp = element("i", {class: "shades"});
  ramp.style.background = `linear-gradient(90deg, ${series.map(i => look(i).colour).join(", ")})`;
  return ramp;
}

function plainLegend(container, entries) {
  container.append(element("div", {class: "legend"},
                           ...entries.map(([text, style]) => element("span", {}, swatch(style), " " + text))));
}

const note = (container, text) => container.append(element("p", {class: "soft"}, text));

// ---- Figures

// {head: [...], rows: [[...], ...]}
function numberTable({head, rows}) {
  const row = (tag, texts) => element("tr", {}, ...texts.map(text => element(tag, {}, String(text ?? "-"))));
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
  waiting.push(() => charts.push(new Chart(canvas, config)));
}

const grid = (container, size = "") => container.appendChild(element("div", {class: `row ${size}`}));

function axis(title, more = {}) {
  return {title: {display: true, text: title, color: SOFT[mode()]}, grid: {color: RULE[mode()], drawBorder: false},
          ...more, ticks: {color: SOFT[mode()], maxRotation: 0, includeBounds: false, ...more.ticks}};
}

function options(more) {
  return {animation: false, responsive: true, devicePixelRatio: printing ? 3 : devicePixelRatio, maintainAspectRatio: false,
          interaction: {mode: "nearest", intersect: false}, ...more,
          plugins: {legend: {display: false}, ...more.plugins}};
}

const tooltip = (label, more = {}) => ({tooltip: {callbacks: {label, title: () => ""}, ...more}});

// Ticks at the values that were measured, when they are few.
function ticksAt(values) {
  const marks = distinct(values);
  return marks.length > 8 ? {} : {afterBuildTicks: scale => { scale.ticks = marks.map(value => ({value})); }};
}

// A tick for each of these texts, at 0, 1, ...
const textTicks = texts => ({
  afterBuildTicks: scale => { scale.ticks = texts.map((_, value) => ({value})); },
  ticks: {autoSkip: false, callback: value => texts[value]}});

// Labels at 1, 2 and 5 times powers of ten: for axes of a decade or two.
const roundTicks = {
  autoSkip: false,
  callback: value => [1, 2, 5].includes(Number(value.toExponential()[0])) && value.toExponential().startsWith("e", 1)
    ? String(+value.toPrecision(1)) : "",
};

// Labels at powers of ten only.
const decades = {
  callback: value => Number.isInteger(Math.log10(value)) ? value.toLocaleString("en", {maximumSignificantDigits: 1}) : "",
};

// Of positive values, from the smallest to the largest rather than to the next power of ten.
function logAxis(title, values) {
  const low = Math.min(...values), high = Math.max(...values);
  return axis(title, {type: "logarithmic", min: low / 1.15, max: high * 1.15, ticks: high > 200 * low ? decades : roundTicks});
}

// From the lowest to the highest of [mean, half width or null], with as much of the intervals as leaves the means
// apart: few seeds give intervals far wider than that.
function range(points) {
  const means = points.map(([mean]) => mean), low = Math.min(...means), high = Math.max(...means);
  const room = 0.4 * Math.max(high - low, 5);
  const bottom = Math.min(...points.map(([mean, half]) => Math.max(mean - (half ?? 0), low - room)));
  const top = Math.max(...points.map(([mean, half]) => Math.min(mean + (half ?? 0), high + room)));
  const margin = Math.max(0.5, 0.05 * (top - bottom));
  return {min: Math.max(0, bottom - margin), max: Math.min(100, top + margin)};
}
