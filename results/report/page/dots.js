// Dots with intervals: what there is to see where nothing is an axis.

const wide = () => document.documentElement.clientWidth >= 640;
const MOST_ROWS = 60;  // of one chart

// Of a row for one setting: where there is little room, and colours tell tuners apart, what tells it from the others.
const rowName = i => wide() ? seriesName(i) : settingText(i);

// Draws the intervals of a chart's dots, to the edge where they go on beyond it.
const intervals = {
  id: "intervals",
  beforeDatasetsDraw({ctx, chartArea: {left, right}, scales: {x, y}, data: {datasets: [{data}]}}) {
    const inside = value => Math.min(Math.max(x.getPixelForValue(value), left), right);
    ctx.save();
    ctx.lineWidth = 2;
    for (const dot of data) {
      if (dot.half === null) continue;
      ctx.strokeStyle = withAlpha(look(dot.series).colour, 0.75);
      ctx.beginPath();
      ctx.moveTo(inside(dot.x - dot.half), y.getPixelForValue(dot.y));
      ctx.lineTo(inside(dot.x + dot.half), y.getPixelForValue(dot.y));
      ctx.stroke();
    }
    ctx.restore();
  },
};

// rows: [{label, dots: [{series, mean, half or null, text}]}], from top to bottom.
function dotChart(container, title, x, rows, numbers) {
  const data = rows.flatMap(({dots}, y) => dots.map(dot => ({...dot, x: dot.mean, y})));
  const colours = data.map(dot => look(dot.series).colour), labels = rows.map(row => shortenMiddle(row.label, wide() ? 44 : 20));
  figure(container, title, 80 + 20 * rows.length, {
    type: "scatter",
    data: {datasets: [{data, pointRadius: 5, pointStyle: data.map(dot => look(dot.series).marker), pointBorderWidth: 1.5,
                       pointBackgroundColor: data.map(({hollow}, i) => hollow ? "transparent" : colours[i]),
                       pointBorderColor: colours}]},
    options: options({scales: {x, y: axis("", {title: {display: false}, grid: {color: RULE[mode()], drawBorder: false, z: -1},
                                               reverse: true, min: -0.6, max: rows.length - 0.4, ...textTicks(labels)})},
                      plugins: tooltip(({raw}) => raw.text)}),
    plugins: [intervals],
  }, numbers);
}

// ---- Accuracies with one level of noise

// What dotChart() takes of a line with one point.
function accuracyDot({series, points: [[, mean, half, seeds, complete]]}) {
  const text = `${seriesName(series)}: ${plusMinus(mean, half)} % (${seedsText(seeds)}${complete ? "" : ", incomplete"})`;
  return {series, mean, half, text, hollow: !complete};
}

function accuracyDots(container, title, rows, lines) {
  const points = rows.flatMap(row => row.dots.map(({mean, half}) => [mean, half]));
  dotChart(container, title, axis("accuracy (%)", range(points)), rows, () => ({
    head: [...(lines[0].task === undefined ? [] : ["task"]), "tuner", "accuracy (%)", "± 95 %", "seeds"],
    rows: lines.map(({task, series, points: [[, mean, half, n]]}) =>
      [...(task === undefined ? [] : [task]), seriesName(series), mean, half, n]),
  }));
}

// A row for each setting, the best tuner and its best setting first.
function settingDots(container, lines) {
  const row = grid(container);
  for (const kind of KINDS) {
    const ofKind = lines.filter(line => line.kind === kind).sort((a, b) => b.points[0][1] - a.points[0][1]);
    const sorted = TUNERS.map(tuner => ofTuner(ofKind, tuner)).filter(own => own.length > 0)
      .sort(([a], [b]) => b.points[0][1] - a.points[0][1]).flat();
    const rows = sorted.map(line => ({label: rowName(line.series), dots: [accuracyDot(line)]}));
    if (rows.length > 0) accuracyDots(row, KIND[kind] + atNoise(sorted[0].points[0][0]), rows, sorted);
  }
}

// A lane for each tuner in each task. The many settings of one share theirs, without intervals, which would cover each
// other.
function taskDots(container, lines) {
  const row = grid(container);
  for (const kind of KINDS) {
    const ofKind = lines.filter(line => line.kind === kind), rows = [];
    for (const task of distinct(ofKind.map(line => line.task))) {
      const ofTask = ofKind.filter(line => line.task === task);
      tunersOf(ofTask).forEach((tuner, i) => {
        const own = ofTuner(ofTask, tuner).map(accuracyDot);
        rows.push({label: i === 0 ? task : "", dots: own.length > 1 ? own.map(dot => ({...dot, half: null})) : own});
      });
    }
    if (rows.length > 0) accuracyDots(row, KIND[kind] + atNoise(ofKind[0].points[0][0]), rows, ofKind);
  }
}

// ---- Paired differences

const pText = p => p === null ? "" : `, p ${p < 0.001 ? "< 0.001" : `= ${p}`}`;

function drawDifferences(container) {
  const rows = ofPanel(named(figures.differences.rows, "panel", "series", "rate", "kind", "mean", "half", "seeds", "p",
                             "score", "baseline"));
  seriesLegend(container, seriesOf(rows));
  const controls = container.appendChild(element("div", {class: "controls"}));
  const rates = distinct(rows.map(row => row.rate)), kinds = KINDS.filter(kind => rows.some(row => row.kind === kind));
  const ofKind = kind => shown(rows.filter(row => row.kind === kind)).sort((a, b) => a.series - b.series || a.rate - b.rate);
  const tooMany = kinds.some(kind => differenceRows(ofKind(kind)).length > MOST_ROWS);
  const rate = tooMany ? choose(controls, "differences-noise", "Noise", rates, noiseText) : null;
  const row = grid(container);
  for (const kind of kinds) {
    const wanted = ofKind(kind).filter(each => rate === null || each.rate === rate);
    if (wanted.length > 0) differenceDots(row, KIND[kind], wanted);
  }
}

function differenceDot({series, rate, mean, half, seeds, p, score, baseline}) {
  const of = baseline === null ? "" : `${score.toFixed(1)} - ${baseline.toFixed(1)} %: `;
  return {series, mean, half, text: `${seriesName(series)}${atNoise(rate)}: ${of}${plusMinus(mean, half, 2)} points `
    + `(${seedsText(seeds)}${pText(p)})`};
}

// A row for each setting and level of noise, or, of a tuner with many settings, for each level.
function differenceRows(rows) {
  const rates = distinct(rows.map(row => row.rate)), settings = seriesOf(rows);
  const label = (name, rate) => [...(settings.length > 1 ? [name] : []), ...(rates.length > 1 ? [noiseText(rate)] : [])]
    .join(", ") || name;
  return tunersOf(rows).flatMap(tuner => {
    const own = ofTuner(rows, tuner);
    if (!hasEnvelope(seriesOf(own)))
      return own.map(row => ({label: label(rowName(row.series), row.rate), dots: [differenceDot(row)]}));
    return distinct(own.map(row => row.rate)).map(rate => ({
      label: label(tuner, rate),
      dots: own.filter(row => row.rate === rate).map(row => ({...differenceDot(row), half: null}))}));
  });
}

function differenceDots(container, title, rows) {
  const dots = differenceRows(rows), {baseline} = figures.differences;
  const ends = dots.flatMap(row => row.dots.flatMap(({mean, half}) => [mean - (half ?? 0), mean + (half ?? 0)]));
  const low = Math.min(0, ...ends), high = Math.max(0, ...ends), margin = 0.04 * (high - low) || 1;
  const atZero = (yes, no) => ({tick}) => tick && tick.value === 0 ? yes : no;
  const zeroLine = {color: atZero(SOFT[mode()], RULE[mode()]), lineWidth: atZero(2, 1), drawBorder: false};
  dotChart(container, title, axis(`difference to ${baseline} (points)`,
                                  {grid: zeroLine, min: low - margin, max: high + margin}), dots, () => ({
    head: ["tuner", "noise", "accuracy (%)", `of ${baseline} (%)`, "difference", "± 95 %", "seeds", "p (Holm)"],
    rows: rows.map(({series, rate, mean, half, seeds, p, score, baseline: other}) =>
      [seriesName(series), noiseText(rate), score, other, mean, half, seeds, p]),
  }));
}
