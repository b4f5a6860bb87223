// Accuracy against noise or training fraction.

const NOISE_AXIS = "label noise in pre-training (%)";
const noiseText = rate => rate < 0 ? "unknown" : percent(asPercent(rate));
const atNoise = rate => rate < 0 ? "" : `, ${noiseText(rate)} noise`;  // to go on with; nothing to say where nobody knows
const MOST_LINES = 3;  // settings of a tuner with a line and a band each; more share an envelope
const MOST_BANDS = 8;  // in one chart

// ---- Lines with bands, and envelopes

// The lowest and the highest at each x of lines with points [x, mean, ...].
function envelope(lines) {
  const bounds = new Map();
  for (const [x, mean] of lines.flatMap(line => line.points)) {
    const {low, high} = bounds.get(x) ?? {low: Infinity, high: -Infinity};
    bounds.set(x, {x, low: Math.min(low, mean), high: Math.max(high, mean)});
  }
  return [...bounds.values()].sort((a, b) => a.x - b.x);
}

const bareLine = {band: true, borderWidth: 0, pointRadius: 0, pointHitRadius: 0};

// The band of an interval is two bare lines.
function bandDatasets({look: {colour}, points}) {
  const bound = sign => points.map(([x, mean, half]) => ({x, y: mean + sign * (half ?? 0)}));
  return [{...bareLine, data: bound(1), fill: "+1", backgroundColor: withAlpha(colour, 0.11)},
          {...bareLine, data: bound(-1)}];
}

function lineDataset({name, look: {colour, dash, marker}, points}, thin) {
  return {label: name, data: points.map(([x, y, half, seeds, complete]) => ({x, y, half, seeds, complete})),
          borderColor: colour, backgroundColor: colour, borderDash: thin ? [] : dash, borderWidth: thin ? 1 : 2,
          pointStyle: marker, pointRadius: thin ? 2 : 4, pointBorderWidth: thin ? 1 : 1.5,
          pointBackgroundColor: points.map(([, , , , complete]) => complete ? colour : "transparent")};
}

function envelopeDatasets(tuner, lines) {
  const {colour, dash} = tunerLook(tuner), bounds = envelope(lines);
  return [{...bareLine, envelope: tuner, data: bounds.map(({x, high}) => ({x, y: high})), borderColor: colour, borderWidth: 3,
           borderDash: dash, fill: "+1", backgroundColor: withAlpha(colour, 0.1)},
          {...bareLine, data: bounds.map(({x, low}) => ({x, y: low}))}];
}

const hasEnvelope = lines => lines.length > MOST_LINES;

// lines: [{series, name, look, points: [[x, mean, half, seeds, complete]]}]
function accuracyDatasets(lines) {
  const of = tuner => ofTuner(lines, tuner), tuners = tunersOf(lines);
  const plain = tuners.filter(tuner => !hasEnvelope(of(tuner))).flatMap(of);
  const bands = plain.length > MOST_BANDS ? [] : plain;
  const enveloped = tuners.filter(tuner => hasEnvelope(of(tuner)));
  return {banded: bands, datasets: [
    ...plain.map(line => lineDataset(line, plain.length > MOST_BANDS)), ...bands.flatMap(bandDatasets),
    ...enveloped.flatMap(tuner => envelopeDatasets(tuner, of(tuner))),
    ...enveloped.flatMap(of).map(line => lineDataset(line, true))]};
}

function accuracyChart(container, title, xTitle, lines, height) {
  const label = ({dataset, raw}) => `${dataset.label}: ${plusMinus(raw.y, raw.half)} % (${seedsText(raw.seeds)}` +
    `${raw.complete ? "" : ", incomplete"})`;
  const {banded, datasets} = accuracyDatasets(lines);
  const points = lines.flatMap(line => line.points.map(([, mean, half]) => [mean, banded.includes(line) ? half : null]));
  const x = axis(xTitle, {type: "linear", ...ticksAt(lines.flatMap(line => line.points.map(([at]) => at)))});
  figure(container, title, height, {
    type: "line", data: {datasets},
    options: options({scales: {x, y: axis("accuracy (%)", range(points))},
                      plugins: tooltip(label, {filter: item => !item.dataset.band})}),
  }, () => ({
    head: ["tuner", xTitle, "accuracy (%)", "± 95 %", "seeds"],
    rows: lines.flatMap(line => line.points.map(([at, mean, half, n]) => [line.name, at, mean, half, n])),
  }));
}

// In-domain beside out-of-domain, each on a scale of its own.
function accuracyPair(container, heading, xTitle, lines, height, x = value => value) {
  if (heading) container.append(element("h3", {}, heading));
  const row = grid(container);
  for (const kind of KINDS) {
    const ofKind = lines.filter(line => line.kind === kind).map(({series, points}) => (
      {series, name: seriesName(series), look: look(series), points: points.map(([at, ...rest]) => [x(at), ...rest])}));
    if (ofKind.length > 0) accuracyChart(row, KIND[kind], xTitle, ofKind, height);
  }
}

function envelopeNote(container, lines) {
  if (!tunersOf(lines).some(tuner => hasEnvelope(seriesOf(ofTuner(lines, tuner))))) return;
  note(container, "Of a tuner with more than three settings: a thin line for each, "
    + `${mode() === "dark" ? "brighter" : "darker"} the larger its parameters; the area between the lowest and the highest; `
    + "in bold the highest at each place, which is chosen on the test sets and which no one setting need reach.");
}

// ---- The three figures

const withOneLevel = lines => lines.every(line => line.points.length === 1)
  && distinct(lines.map(line => line.points[0][0])).length === 1;
// A place on the axis needs a rate that is known.
const withKnownNoise = lines => lines.map(line => ({...line, points: line.points.filter(([rate]) => rate >= 0)}))
  .filter(line => line.points.length > 0);

function drawNoise(container) {
  const all = ofPanel(figures.noise), lines = shown(all);
  seriesLegend(container, seriesOf(all));
  if (withOneLevel(all)) {
    settingDots(container, lines);
    return;
  }
  envelopeNote(container, lines);
  accuracyPair(container, "", NOISE_AXIS, withKnownNoise(lines), 320, asPercent);
}

function drawTasks(container) {
  const all = ofPanel(figures.tasks), lines = shown(all);
  seriesLegend(container, seriesOf(all));
  if (withOneLevel(all)) {
    taskDots(container, lines);
    return;
  }
  for (const task of distinct(lines.map(line => line.task))) {
    accuracyPair(container, task, NOISE_AXIS, withKnownNoise(lines.filter(line => line.task === task)), 200, asPercent);
  }
}

function drawFractions(container) {
  const lines = ofPanel(figures.fractions.lines);
  seriesLegend(container, seriesOf(lines));
  note(container, `Tasks: ${figures.fractions.tasks.join(", ")}.`);
  for (const rate of distinct(lines.map(line => line.noise_rate))) {
    accuracyPair(container, rate < 0 ? "" : `${noiseText(rate)} noise`, "training data used (%)",
                 shown(lines.filter(line => line.noise_rate === rate)), 240);
  }
}
