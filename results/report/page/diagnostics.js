// What is inside: training, features and their spectra.

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
  const many = lines.length > MOST_BANDS;
  const dataset = ({series, points}) => {
    const {colour, dash, marker} = look(series);
    return {label: seriesName(series), data: points.map(([rate, x, y, half]) => ({rate, x, y, half})),
            borderColor: withAlpha(colour, 0.7), backgroundColor: colour, borderDash: many ? [] : dash, borderWidth: many ? 0.75 : 1.5,
            pointStyle: marker, pointBorderColor: colour,
            pointRadius: points.map((_, i) => 3.5 + 5 * i / Math.max(1, points.length - 1))};
  };
  const label = ({dataset: {label: name}, raw: {rate, x, y, half}}) =>
    `${name}${atNoise(rate)}: ${plusMinus(y, half)} % at ${x}`;
  figure(container, title, 280, {
    type: "line", data: {datasets: lines.map(dataset)},
    options: options({interaction: {mode: "nearest", intersect: true},
                      scales: {x: axis(xTitle, {type: "linear", grace: "5%"}), y: axis("accuracy (%)", {grace: "5%"})},
                      plugins: tooltip(label)}),
  }, () => ({
    head: ["tuner", "noise", xTitle, "accuracy (%)", "± 95 %"],
    rows: lines.flatMap(line => line.points.map(([rate, x, y, half]) => [seriesName(line.series), noiseText(rate), x, y, half])),
  }));
}

// ---- Spectra

const MOST_CHARTS = 8;

function drawSpectra(container) {
  const curves = ofPanel(named(figures.spectra.rows, "panel", "series", "task", "kind", "rate", "index", "values", "count"));
  const controls = container.appendChild(element("div", {class: "controls"}));
  const task = choose(controls, "spectrum-task", "Task", distinct(curves.map(curve => curve.task)));
  const ofTask = curves.filter(curve => curve.task === task);
  const kinds = KINDS.filter(kind => ofTask.some(curve => curve.kind === kind));
  const kind = choose(controls, "spectrum-kind", "Test sets", kinds, value => KIND[value]);
  const wanted = ofTask.filter(curve => curve.kind === kind);
  const rates = distinct(curves.map(curve => curve.rate));
  const style = rate => ratioLook(rates.indexOf(rate), rates.length);
  if (rates.length > 1 || rates[0] >= 0) plainLegend(container, rates.map(rate => [`${noiseText(rate)} noise`, style(rate)]));
  // More charts than a page has room for: one tuner at a time.
  const tuners = tunersOf(shown(wanted)), many = seriesOf(shown(wanted)).length > MOST_CHARTS;
  const tuner = many ? choose(controls, "spectrum-tuner", "Tuner", tuners) : null;
  const row = grid(container, "small");
  const raw = wanted.filter(curve => curve.series === null), tuned = shown(wanted).filter(({series}) => !many || tunerOf(series) === tuner);
  const scale = [...raw, ...tuned].flatMap(curve => curve.values).filter(Boolean);
  if (raw.length > 0) spectrumChart(row, "encoder's own features", raw, style, scale);
  const byRank = (a, b) => figures.series[a].rank - figures.series[b].rank;
  for (const series of many ? seriesOf(tuned).sort(byRank) : seriesOf(tuned)) {
    const title = many ? settingText(series) : `tuned by ${seriesName(series)}`;
    spectrumChart(row, title, tuned.filter(curve => curve.series === series), style, scale);
  }
}

// scale: values that the axis has room for, the same in all charts.
function spectrumChart(container, title, curves, style, scale) {
  const name = curve => `${noiseText(curve.rate)} noise`;
  const points = curve => figures.spectra.indices[curve.index].map((x, i) => ({x, y: curve.values[i]}));
  const dataset = curve => {
    const {colour, dash} = style(curve.rate);
    return {label: name(curve), data: points(curve), borderColor: colour, backgroundColor: colour, borderDash: dash,
            borderWidth: 2, pointRadius: 0, pointHitRadius: 8};
  };
  const label = ({dataset: {label: text}, raw}) => `${text}: ${raw.y.toPrecision(3)} at ${raw.x}`;
  figure(container, title, 260, {
    type: "line", data: {datasets: curves.map(dataset)},
    options: options({scales: {x: axis("index of the singular value", {type: "logarithmic", ticks: decades}),
                               y: logAxis("singular value / sum", scale)},
                      plugins: tooltip(label)}),
  }, () => ({
    head: ["noise", "index", "singular value / sum", "spectra averaged"],
    rows: curves.flatMap(curve => points(curve).map(({x, y}) => [name(curve), x, y, curve.count])),
  }));
}

// ---- Learning curves

function drawLearning(container) {
  const all = ofPanel(named(figures.learning.rows, "panel", "series", "task", "rate", "seeds", "index", "losses"));
  seriesLegend(container, seriesOf(all));
  const controls = container.appendChild(element("div", {class: "controls"}));
  const task = choose(controls, "learning-task", "Task", distinct(all.map(curve => curve.task)));
  const rates = distinct(all.filter(curve => curve.task === task).map(curve => curve.rate));
  const rate = choose(controls, "learning-noise", "Noise", rates, noiseText);
  const wanted = shown(all.filter(curve => curve.task === task && curve.rate === rate)), tuners = tunersOf(wanted);
  const drawn = tuners.length > MOST_CHARTS ? [choose(controls, "learning-tuner", "Tuner", tuners)] : tuners;
  const row = grid(container, "small");
  for (const tuner of drawn) {
    const own = ofTuner(wanted, tuner), seeds = distinct(own.map(curve => curve.seeds));
    lossChart(row, `${tuner}, ${seeds.join(" or ")} seed${seeds.at(-1) === 1 ? "" : "s"}`, own);
  }
}

function lossChart(container, title, curves) {
  const dataset = ({series, seeds, index, losses}) => {
    const {colour, dash} = look(series);
    return {label: seriesName(series), data: figures.learning.epochs[index].map((x, i) => ({x, y: losses[i], seeds})),
            borderColor: colour, backgroundColor: colour, borderDash: curves.length > MOST_LINES ? [] : dash,
            borderWidth: curves.length > MOST_LINES ? 1 : 2, pointRadius: 0, pointHitRadius: 8};
  };
  const losses = curves.flatMap(curve => curve.losses).filter(loss => loss !== null);
  const decaying = Math.min(...losses) > 0 && Math.max(...losses) > 20 * Math.min(...losses);
  const loss = decaying ? logAxis("training loss", losses) : axis("training loss", {type: "linear", grace: "5%"});
  const label = ({dataset: {label: name}, raw}) => `${name}: ${raw.y} after epoch ${raw.x} (${seedsText(raw.seeds)})`;
  figure(container, title, 240, {
    type: "line", data: {datasets: curves.map(dataset)},
    options: options({scales: {x: axis("epoch", {type: "linear"}), y: loss},
                      plugins: tooltip(label)}),
  }, () => ({
    head: ["tuner", "epoch", "training loss", "seeds"],
    rows: curves.flatMap(({series, index, losses: own, seeds}) =>
      figures.learning.epochs[index].map((epoch, i) => [seriesName(series), epoch, own[i], seeds])),
  }));
}
