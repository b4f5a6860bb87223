// The figures of the report, one function each, and what draws them all.

const NOISE_AXIS = "label noise in pre-training (%)";
const noiseText = ratio => ratio < 0 ? 'unknown' : percent(asPercent(ratio));

// ---- Accuracy with interval bands, against noise or training fraction

// lines: [{name, look, points: [[x, mean, half, seeds, complete]]}]; the band of an interval is two bare lines.
function bandDatasets(lines) {
  return lines.flatMap(({name, look: {colour, dash, marker}, points}) => {
    const bound = sign => points.map(([x, mean, half]) => ({x, y: mean + sign * (half ?? 0)}));
    const bare = {band: true, borderWidth: 0, pointRadius: 0, pointHitRadius: 0};
    return [
      {label: name, data: points.map(([x, y, half, seeds, complete]) => ({x, y, half, seeds, complete})),
       borderColor: colour, backgroundColor: colour, borderDash: dash, borderWidth: 2,
       pointStyle: marker, pointRadius: 4, pointBorderWidth: 1.5,
       pointBackgroundColor: points.map(([, , , , complete]) => complete ? colour : "transparent")},
      {...bare, data: bound(1), fill: "+1", backgroundColor: withAlpha(colour, 0.11)},
      {...bare, data: bound(-1)}];
  });
}

// Holds all means, and as much of the intervals as leaves the means apart: few seeds give intervals far wider than that.
function range(lines) {
  const points = lines.flatMap(line => line.points), means = points.map(point => point[1]);
  const low = Math.min(...means), high = Math.max(...means), room = 0.4 * Math.max(high - low, 5);
  const bottom = Math.min(...points.map(([, mean, half]) => Math.max(mean - (half ?? 0), low - room)));
  const top = Math.max(...points.map(([, mean, half]) => Math.min(mean + (half ?? 0), high + room)));
  const margin = Math.max(0.5, 0.05 * (top - bottom));
  return {min: Math.max(0, bottom - margin), max: Math.min(100, top + margin)};
}

function accuracyChart(container, title, xTitle, lines, height) {
  const label = ({dataset, raw}) => `${dataset.label}: ${plusMinus(raw.y, raw.half)} % (${seedsText(raw.seeds)}` +
    `${raw.complete ? "" : ", incomplete"})`;
  const x = axis(xTitle, {type: "linear", ...ticksAt(lines.flatMap(line => line.points.map(([at]) => at)))});
  figure(container, title, height, {
    type: "line", data: {datasets: bandDatasets(lines)},
    options: options({scales: {x, y: axis("accuracy (%)", range(lines))},
                      plugins: tooltip(label, {filter: item => !item.dataset.band})}),
  }, () => ({
    head: ["tuner", xTitle, "accuracy (%)", "± 95 %", "seeds"],
    rows: lines.flatMap(line => line.points.map(([at, mean, half, n]) => [line.name, at, mean, half ?? "-", n])),
  }));
}

// In-domain beside out-of-domain, each on a scale of its own.
function accuracyPair(container, heading, xTitle, lines, height, x = value => value) {
  if (heading) container.append(element("h3", {}, heading));
  const row = grid(container);
  for (const kind of KINDS) {
    const ofKind = lines.filter(line => line.kind === kind).map(({series, points}) => (
      {name: seriesName(series), look: look(series), points: points.map(([at, ...rest]) => [x(at), ...rest])}));
    if (ofKind.length > 0) accuracyChart(row, KIND[kind], xTitle, ofKind, height);
  }
}

function drawNoise(container) {
  const lines = ofPanel(figures.noise);
  seriesLegend(container, seriesOf(lines));
  accuracyPair(container, "", NOISE_AXIS, shown(lines), 320, asPercent);
}

function drawTasks(container) {
  const lines = ofPanel(figures.tasks);
  seriesLegend(container, seriesOf(lines));
  for (const task of distinct(lines.map(line => line.task))) {
    accuracyPair(container, task, NOISE_AXIS, shown(lines.filter(line => line.task === task)), 200, asPercent);
  }
}

function drawFractions(container) {
  const lines = ofPanel(figures.fractions.lines);
  seriesLegend(container, seriesOf(lines));
  for (const ratio of distinct(lines.map(line => line.noise_ratio))) {
    accuracyPair(container, `${noiseText(ratio)} noise`, "training data used (%)",
                 shown(lines.filter(line => line.noise_ratio === ratio)), 240);
  }
}

// ---- Paired differences

function drawDifferences(container) {
  const rows = ofPanel(named(figures.differences.rows, "panel", "series", "ratio", "kind", "mean", "half", "seeds", "p"));
  seriesLegend(container, seriesOf(rows));
  const row = grid(container);
  for (const kind of KINDS) {
    const ofKind = shown(rows.filter(each => each.kind === kind));
    ofKind.sort((a, b) => a.series - b.series || a.ratio - b.ratio);
    if (ofKind.length > 0) forest(row, KIND[kind], ofKind);
  }
}

function forest(container, title, rows) {
  const room = document.documentElement.clientWidth < 640 ? 16 : 30;
  const colours = rows.map(row => look(row.series).colour);
  const atZero = (yes, no) => ({tick}) => tick && tick.value === 0 ? yes : no;
  const zeroLine = {color: atZero(SOFT[mode()], RULE[mode()]), lineWidth: atZero(2, 1), drawBorder: false};
  const pText = p => p === null ? "" : `, p ${p < 0.001 ? "< 0.001" : `= ${p}`}`;
  const label = ({dataIndex: i}) =>
    `${plusMinus(rows[i].mean, rows[i].half, 2)} points (${seedsText(rows[i].seeds)}${pText(rows[i].p)})`;
  figure(container, title, 80 + 22 * rows.length, {
    data: {
      labels: rows.map(row => `${shorten(seriesName(row.series), room)}, ${noiseText(row.ratio)}`),
      datasets: [
        {type: "line", data: rows.map(row => row.mean), showLine: false, pointRadius: 5,
         pointStyle: rows.map(row => look(row.series).marker), pointBackgroundColor: colours, pointBorderColor: colours},
        {type: "bar", barThickness: 3, backgroundColor: colours,
         data: rows.map(row => row.half === null ? null : [row.mean - row.half, row.mean + row.half])}],
    },
    options: options({
      indexAxis: "y", interaction: {mode: "index", intersect: false, axis: "y"},
      scales: {x: axis(`difference to ${figures.differences.baseline} (points)`, {grid: zeroLine, grace: "5%"}),
               y: axis("", {title: {display: false}, grid: {display: false}, ticks: {autoSkip: false}})},
      plugins: {tooltip: {filter: item => item.datasetIndex === 0, callbacks: {label}}}}),
  }, () => ({
    head: ["tuner", "noise", "difference", "± 95 %", "seeds", "p (Holm)"],
    rows: rows.map(({series, ratio, mean, half, seeds, p}) =>
      [seriesName(series), noiseText(ratio), mean, half ?? "-", seeds, p ?? "-"]),
  }));
}

// ---- Features: singular value entropy and largest singular value ratio against accuracy

const METRIC = {sve: "singular value entropy, SVE (nats)", lsvr: "largest singular value ratio, LSVR (nats)"};

function drawFeatures(container) {
  const lines = ofPanel(figures.features);
  seriesLegend(container, seriesOf(lines));
  for (const metric of Object.keys(METRIC)) {
    const row = grid(container);
    for (const kind of KINDS) {
      const wanted = shown(lines.filter(line => line.metric === metric && line.kind === kind));
      if (wanted.length > 0) featureChart(row, `${metric.toUpperCase()}, ${KIND[kind]}`, METRIC[metric], wanted);
    }
  }
}

function featureChart(container, title, xTitle, lines) {
  const dataset = ({series, points}) => {
    const {colour, dash, marker} = look(series);
    return {label: seriesName(series), data: points.map(([ratio, x, y]) => ({ratio, x, y})),
            borderColor: withAlpha(colour, 0.7), backgroundColor: colour, borderDash: dash, borderWidth: 1.5,
            pointStyle: marker, pointBorderColor: colour,
            pointRadius: points.map((_, i) => 3.5 + 5 * i / Math.max(1, points.length - 1))};
  };
  const label = ({dataset: {label: name}, raw: {ratio, x, y}}) =>
    `${name}, ${noiseText(ratio)} noise: ${y.toFixed(1)} % at ${x}`;
  figure(container, title, 280, {
    type: "line", data: {datasets: lines.map(dataset)},
    options: options({interaction: {mode: "nearest", intersect: true},
                      scales: {x: axis(xTitle, {type: "linear", grace: "5%"}), y: axis("accuracy (%)", {grace: "5%"})},
                      plugins: tooltip(label)}),
  }, () => ({
    head: ["tuner", "noise", xTitle, "accuracy (%)"],
    rows: lines.flatMap(line => line.points.map(([ratio, x, y]) => [seriesName(line.series), noiseText(ratio), x, y])),
  }));
}

// ---- Spectra

function drawSpectra(container) {
  const curves = ofPanel(named(figures.spectra.rows, "panel", "series", "task", "kind", "ratio", "index", "values"));
  const controls = container.appendChild(element("div", {class: "controls"}));
  const task = choose(controls, "spectrum-task", "Task", distinct(curves.map(curve => curve.task)));
  const ofTask = curves.filter(curve => curve.task === task);
  const kinds = KINDS.filter(kind => ofTask.some(curve => curve.kind === kind));
  const kind = choose(controls, "spectrum-kind", "Test sets", kinds, value => KIND[value]);
  const wanted = ofTask.filter(curve => curve.kind === kind);
  const ratios = distinct(curves.map(curve => curve.ratio));
  const style = ratio => ratioLook(ratios.indexOf(ratio), ratios.length);
  plainLegend(container, ratios.map(ratio => [`${noiseText(ratio)} noise`, style(ratio)]));
  const row = grid(container, "small");
  const raw = wanted.filter(curve => curve.series === null), tuned = shown(wanted);
  if (raw.length > 0) spectrumChart(row, "encoder's own features", raw, style);
  for (const series of seriesOf(tuned)) {
    spectrumChart(row, `tuned by ${seriesName(series)}`, tuned.filter(curve => curve.series === series), style);
  }
}

function spectrumChart(container, title, curves, style) {
  const name = curve => `${noiseText(curve.ratio)} noise`;
  const points = curve => figures.spectra.indices[curve.index].map((x, i) => ({x, y: curve.values[i] || null}));
  const dataset = curve => {
    const {colour, dash} = style(curve.ratio);
    return {label: name(curve), data: points(curve), borderColor: colour, backgroundColor: colour, borderDash: dash,
            borderWidth: 2, pointRadius: 0, pointHitRadius: 8};
  };
  const label = ({dataset: {label: text}, raw}) => `${text}: ${raw.y.toPrecision(3)} at ${raw.x}`;
  figure(container, title, 260, {
    type: "line", data: {datasets: curves.map(dataset)},
    options: options({scales: {x: axis("index of the singular value", {type: "logarithmic", ticks: decades}),
                               y: axis("singular value / sum", {type: "logarithmic", ticks: decades})},
                      plugins: tooltip(label)}),
  }, () => ({
    head: ["noise", "index", "singular value / sum"],
    rows: curves.flatMap(curve => points(curve).map(({x, y}) => [name(curve), x, y ?? 0])),
  }));
}

// ---- Cost

function drawCost(container) {
  const {encoder} = figures.panels[state.panel] ?? {};
  const rows = named(figures.cost.rows, "encoder", "device", "kind", "series", "seconds", "accuracy", "half", "front")
    .filter(row => row.encoder === encoder);
  seriesLegend(container, seriesOf(rows));
  for (const device of distinct(rows.map(row => row.device))) {
    const pair = grid(container);
    for (const kind of KINDS) {
      const here = rows.filter(row => row.device === device && row.kind === kind);
      if (shown(here).length > 0) costChart(pair, `${KIND[kind]}, on ${device}`, here);
    }
  }
}

// The front is that of all tuners, hidden ones too.
function costChart(container, title, rows) {
  const point = ({series, seconds, accuracy, half}) => {
    const {colour, marker} = look(series);
    return {type: "scatter", label: seriesName(series), data: [{x: seconds, y: accuracy, half}], pointStyle: marker,
            pointRadius: 6, pointBorderWidth: 1.5, borderColor: colour, backgroundColor: colour};
  };
  const front = rows.filter(row => row.front).sort((a, b) => a.seconds - b.seconds);
  const frontLine = {type: "line", front: true, data: front.map(row => ({x: row.seconds, y: row.accuracy})), stepped: true,
                     borderColor: SOFT[mode()], borderDash: [4, 4], borderWidth: 1.5, pointRadius: 0, pointHitRadius: 0};
  const label = ({dataset, raw}) => `${dataset.label}: ${plusMinus(raw.y, raw.half)} %, ${raw.x} s`;
  figure(container, title, 280, {
    type: "scatter", data: {datasets: [...shown(rows).map(point), frontLine]},
    options: options({interaction: {mode: "nearest", intersect: true},
                      scales: {x: axis("time of a cell (s)", {type: "logarithmic", ticks: {maxTicksLimit: 8}}),
                               y: axis("accuracy (%)", {grace: "10%"})},
                      plugins: tooltip(label, {filter: item => !item.dataset.front})}),
  }, () => ({
    head: ["tuner", "time of a cell (s)", "accuracy (%)", "± 95 %", "on the front"],
    rows: rows.map(row => [seriesName(row.series), row.seconds, row.accuracy, row.half ?? "-", row.front ? "yes" : "no"]),
  }));
}

// ---- Transition matrices

function drawTransitions(container) {
  const {dataset, noise} = figures.panels[state.panel] ?? {};
  const maps = figures.transitions.filter(map => map.dataset === dataset && map.noise === noise);
  if (maps.length === 0) {
    container.append(element("p", {class: "soft"}, "No label was changed for these features."));
    return;
  }
  const stops = RAMP[mode()], ramp = element("i");
  ramp.style.background = `linear-gradient(90deg, ${[0, 25, 50, 75, 100].map(v => `${between(stops, v / 100)} ${v}%`)})`;
  container.append(element("span", {class: "ramp"}, "share 0", ramp, "1, by its square root"));
  const row = grid(container, "small");
  for (const map of maps) heatMap(row, map, stops);
}

function heatMap(container, map, stops) {
  const size = map.rows.length, step = Math.max(1, Math.ceil(size / 8));
  const cells = map.rows.flatMap((row, y) => row.map((v, x) => ({x, y, v})));
  const what = map.block > 1 ? `class, in blocks of ${map.block}` : "class";
  const marks = [...Array(size).keys()].filter(i => i % step === 0);
  const scale = (text, more) => axis(text, {
    type: "linear", min: -0.5, max: size - 0.5, offset: false, grid: {display: false, drawBorder: false},
    afterBuildTicks: built => { built.ticks = marks.map(value => ({value})); }, ...more});
  const side = edge => ({chart}) => (chart.chartArea ? chart.chartArea[edge] : 0) / size;
  figure(container, `${map.noise} ${noiseText(map.noise_ratio)}: ${noiseText(map.realised)} realised`, 320, {
    type: "matrix",
    data: {datasets: [{data: cells, backgroundColor: cells.map(({v}) => between(stops, Math.sqrt(v))), borderWidth: 0,
                       width: side("width"), height: side("height")}]},
    options: options({interaction: {mode: "nearest", intersect: true},
                      scales: {x: scale(`noisy ${what}`), y: scale(`true ${what}`, {reverse: true})},
                      plugins: tooltip(({raw}) => `${raw.y} → ${raw.x}: ${raw.v}`)}),
  }, () => ({head: ["", ...map.rows.keys()], rows: map.rows.map((row, i) => [i, ...row])}));
}

// ---- All of them

const FIGURES = {noise: drawNoise, tasks: drawTasks, differences: drawDifferences, features: drawFeatures,
                 spectra: drawSpectra, fractions: drawFractions, cost: drawCost, transitions: drawTransitions};

function draw() {
  for (const chart of charts) chart.destroy();
  charts = [];
  Chart.defaults.font.family = "system-ui, sans-serif";
  Chart.defaults.color = INK[mode()];
  for (const container of document.querySelectorAll("[data-chart]")) {
    container.style.minHeight = `${container.offsetHeight}px`;  // the page must not jump while it is empty
    container.replaceChildren();
    FIGURES[container.dataset.chart](container);
    container.style.minHeight = "";
    if (!container.querySelector("figure, .legend button, p")) {
      container.replaceChildren(element("p", {class: "soft"}, "Nothing was measured on these features."));
    }
  }
}

// Charts show one source of features at a time; at first the one with the most points.
function offerPanels() {
  const select = document.getElementById("panel");
  select.append(...figures.panels.map((panel, i) => element("option", {value: i}, panel.label)));
  select.addEventListener("change", () => { state.panel = +select.value; draw(); });
  document.getElementById("toolbar").hidden = figures.panels.length < 2;
  const points = figures.panels.map(() => 0);
  for (const line of figures.noise) points[line.panel] += line.points.length;
  state.panel = Math.max(0, points.indexOf(Math.max(...points)));
  select.value = state.panel;
}

offerPanels();
draw();
darkScheme.addEventListener("change", draw);
addEventListener("beforeprint", () => { printing = true; draw(); });
addEventListener("afterprint", () => { printing = false; draw(); });
