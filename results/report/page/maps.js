// Matrices over classes as heat maps.

function shareRamp(container) {
  const stops = RAMP[mode()], ramp = element("i");
  ramp.style.background = `linear-gradient(90deg, ${[0, 25, 50, 75, 100].map(v => `${between(stops, v / 100)} ${v}%`)})`;
  container.append(element("span", {class: "ramp"}, "share 0", ramp, "1, by its square root"));
}

// rows: shares of each true class; columns are classes of this kind, "noisy" or "predicted".
function heatMap(container, title, {rows, block}, kind) {
  const size = rows.length, step = Math.max(1, Math.ceil(size / 8)), stops = RAMP[mode()];
  const cells = rows.flatMap((row, y) => row.map((v, x) => ({x, y, v})));
  const what = block > 1 ? `class, in blocks of ${block}` : "class";
  const marks = [...Array(size).keys()].filter(i => i % step === 0);
  const scale = (text, more) => axis(text, {
    type: "linear", min: -0.5, max: size - 0.5, offset: false, grid: {display: false, drawBorder: false},
    afterBuildTicks: built => { built.ticks = marks.map(value => ({value})); }, ...more});
  const side = edge => ({chart}) => (chart.chartArea ? chart.chartArea[edge] : 0) / size;
  figure(container, title, 320, {
    type: "matrix",
    data: {datasets: [{data: cells, backgroundColor: cells.map(({v}) => between(stops, Math.sqrt(v))), borderWidth: 0,
                       width: side("width"), height: side("height")}]},
    options: options({interaction: {mode: "nearest", intersect: true},
                      scales: {x: scale(`${kind} ${what}`), y: scale(`true ${what}`, {reverse: true})},
                      plugins: tooltip(({raw}) => `${raw.y} → ${raw.x}: ${raw.v}`)}),
  }, () => ({head: ["", ...rows.keys()], rows: rows.map((row, i) => [i, ...row])}));
}

function drawTransitions(container) {
  const {dataset, noise} = figures.panels[state.panel] ?? {};
  const maps = figures.transitions.filter(map => map.dataset === dataset && map.noise === noise);
  if (maps.length === 0) {
    note(container, "No label was changed for these features.");
    return;
  }
  shareRamp(container);
  const row = grid(container, "maps");
  for (const map of maps) {
    const checkpoints = `${map.checkpoints} checkpoint${map.checkpoints === 1 ? "" : "s"}`;
    heatMap(row, `${map.noise} ${noiseText(map.noise_ratio)}: ${noiseText(map.realised)} realised, ${checkpoints}`, map, "noisy");
  }
}

// One task, test set and tuner at a time: with the least noise beside the most.
function drawConfusion(container) {
  const maps = ofPanel(figures.confusion), controls = container.appendChild(element("div", {class: "controls"}));
  if (maps.length === 0) return;
  const task = choose(controls, "confusion-task", "Task", distinct(maps.map(map => map.task)));
  const ofTask = maps.filter(map => map.task === task);
  const set = choose(controls, "confusion-set", "Test set", [...new Set(ofTask.map(map => map.test_set))]);
  const ofSet = ofTask.filter(map => map.test_set === set);
  const series = choose(controls, "confusion-series", "Tuner", seriesOf(ofSet), seriesName);
  shareRamp(container);
  const row = grid(container, "maps");
  for (const map of ofSet.filter(each => each.series === series).sort((a, b) => a.noise_rate - b.noise_rate)) {
    const level = map.noise_rate < 0 ? "" : `${noiseText(map.noise_rate)} noise, `;
    heatMap(row, `${level}${seedsText(map.seeds)}, ${seriesName(series)}`, map, "predicted");
  }
}
