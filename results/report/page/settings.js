// What settings of tuners do, and what they cost.

// ---- Accuracy against one parameter

function drawSettings(container) {
  const all = ofPanel(figures.noise).filter(line => figures.series[line.series].of > 1);
  if (all.length === 0) {
    note(container, "Every tuner has one setting on these features.");
    return;
  }
  seriesLegend(container, seriesOf(all));
  const controls = container.appendChild(element("div", {class: "controls"}));
  const has = name => all.some(line => name in figures.series[line.series].settings);
  const parameter = choose(controls, "parameter", "Parameter", figures.settings.filter(has));
  const rates = distinct(all.flatMap(line => line.points.map(([rate]) => rate)));
  const rate = choose(controls, "settings-noise", "Noise", rates, noiseText);
  const settings = shown(all).flatMap(({series, kind, points}) => {
    const point = points.find(([at]) => at === rate), value = figures.series[series].settings[parameter];
    return point && value !== undefined ? [{series, kind, value, mean: point[1], half: point[2], seeds: point[3]}] : [];
  });
  const row = grid(container);
  for (const kind of KINDS) {
    const ofKind = settings.filter(setting => setting.kind === kind);
    if (ofKind.length > 0) settingChart(row, KIND[kind] + atNoise(rate), parameter, ofKind);
  }
}

const valueText = value => value === null ? "not set" : String(value);

function settingChart(container, title, parameter, settings) {
  const values = distinct(settings.map(setting => setting.value)), tuners = tunersOf(settings);
  const x = setting => values.indexOf(setting.value) + 0.08 * (tuners.indexOf(tunerOf(setting.series)) - (tuners.length - 1) / 2);
  const dots = {type: "scatter", data: settings.map(each => ({...each, x: x(each), y: each.mean})), pointRadius: 4,
                pointStyle: settings.map(each => look(each.series).marker),
                pointBackgroundColor: settings.map(each => look(each.series).colour),
                pointBorderColor: settings.map(each => look(each.series).colour)};
  const best = tuners.map(tuner => {
    const {colour, dash} = tunerLook(tuner);
    const bounds = envelope([{points: ofTuner(settings, tuner).map(each => [x(each), each.mean])}]);
    return {...bareLine, type: "line", envelope: tuner, data: bounds.map(({x, high}) => ({x, y: high})),
            borderColor: colour, borderDash: dash, borderWidth: 2};
  });
  const label = ({raw}) => `${seriesName(raw.series)}: ${plusMinus(raw.mean, raw.half)} % (${seedsText(raw.seeds)})`;
  figure(container, title, 300, {
    type: "scatter", data: {datasets: [dots, ...best]},
    options: options({scales: {x: axis(parameter, {type: "linear", min: -0.5, max: values.length - 0.5,
                                                   ...textTicks(values.map(valueText))}),
                               y: axis("accuracy (%)", range(settings.map(each => [each.mean, null])))},
                      plugins: tooltip(label, {filter: item => !item.dataset.band})}),
  }, () => ({
    head: ["tuner", parameter, "accuracy (%)", "± 95 %", "seeds"],
    rows: settings.map(each => [seriesName(each.series), valueText(each.value), each.mean, each.half, each.seeds]),
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

// Those that nothing quicker is as good as, the quickest first.
function frontOf(rows) {
  const front = [];
  for (const row of [...rows].sort((a, b) => a.seconds - b.seconds || b.accuracy - a.accuracy)) {
    if (front.length === 0 || row.accuracy > front.at(-1).accuracy) front.push(row);
  }
  return front;
}

function frontLine(rows, more) {
  return {type: "line", front: true, data: rows.map(row => ({x: row.seconds, y: row.accuracy})), stepped: true,
          pointRadius: 0, pointHitRadius: 0, ...more};
}

// The dashed front is that of all tuners, hidden ones too.
function costChart(container, title, rows) {
  const point = ({series, seconds, accuracy, half}) => {
    const {colour, marker} = look(series);
    return {type: "scatter", label: seriesName(series), data: [{x: seconds, y: accuracy, half}], pointStyle: marker,
            pointRadius: 5, pointBorderWidth: 1.5, borderColor: colour, backgroundColor: colour};
  };
  const all = rows.filter(row => row.front).sort((a, b) => a.seconds - b.seconds);
  const own = tunersOf(shown(rows)).map(tuner => ofTuner(shown(rows), tuner)).filter(settings => settings.length > 1);
  const label = ({dataset, raw}) => `${dataset.label}: ${plusMinus(raw.y, raw.half)} %, ${raw.x} s`;
  figure(container, title, 280, {
    type: "scatter", data: {datasets: [
      ...shown(rows).map(point), frontLine(all, {borderColor: SOFT[mode()], borderDash: [4, 4], borderWidth: 1.5}),
      ...own.map(settings => frontLine(frontOf(settings), {
        borderColor: withAlpha(tunerLook(tunerOf(settings[0].series)).colour, 0.7), borderWidth: 1}))]},
    options: options({interaction: {mode: "nearest", intersect: true},
                      scales: {x: logAxis("time of a cell (s)", rows.map(row => row.seconds)),
                               y: axis("accuracy (%)", {grace: "10%"})},
                      plugins: tooltip(label, {filter: item => !item.dataset.front})}),
  }, () => ({
    head: ["tuner", "time of a cell (s)", "accuracy (%)", "± 95 %", "on the front"],
    rows: rows.map(row => [seriesName(row.series), row.seconds, row.accuracy, row.half, row.front ? "yes" : "no"]),
  }));
}
