// Accuracy by the noise of pre-training and the noise of the task's labels, as coloured tables.

// Black or white, whichever stands out more on a colour (WCAG's relative luminance).
function inkOn(colour) {
  const channel = k => parseInt(colour.slice(1 + 2 * k, 3 + 2 * k), 16) / 255;
  const linear = c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const luminance = [0.2126, 0.7152, 0.0722].reduce((sum, weight, k) => sum + weight * linear(channel(k)), 0);
  return luminance > 0.179 ? "#000000" : "#ffffff";
}

// `levels`: the panels of the columns; `lines`: those of one series and kind, with points [rate, mean, half width, ...].
function gridTable(title, levels, lines, colourOf) {
  const rates = distinct(lines.flatMap(({points}) => points.map(([rate]) => rate)));
  const head = element("tr", {}, element("th", {scope: "col"}, "pre-training"),
                       ...levels.map(({labels}) => element("th", {scope: "col", class: "right"}, labels || "clean labels")));
  const cell = (rate, {panel}) => {
    const found = lines.find(line => line.panel === panel)?.points.find(([own]) => own === rate);
    if (!found) return element("td", {class: "right"}, "-");
    const td = element("td", {class: "right"}, plusMinus(found[1], found[2]));
    td.style.backgroundColor = colourOf(found[1]);
    td.style.color = inkOn(colourOf(found[1]));
    return td;
  };
  const row = rate => element("tr", {}, element("th", {scope: "row"}, noiseText(rate)), ...levels.map(level => cell(rate, level)));
  return element("figure", {}, element("figcaption", {title}, title),
                 element("div", {class: "scroll"}, element("table", {class: "heat"}, element("thead", {}, head),
                                                           element("tbody", {}, ...rates.map(row)))));
}

function drawNoiseGrid(container) {
  const source = figures.panels[state.panel]?.source;
  if (!figures.grid.includes(source)) return;
  const levels = figures.panels.map((panel, i) => ({...panel, panel: i})).filter(panel => panel.source === source)
    .sort((a, b) => a.task_noise_ratio - b.task_noise_ratio || (a.labels < b.labels ? -1 : 1));
  const all = figures.noise.filter(line => levels.some(({panel}) => panel === line.panel));
  const stops = RAMP[mode()];
  seriesLegend(container, seriesOf(all));
  for (const kind of KINDS) {
    const lines = shown(all).filter(line => line.kind === kind);
    if (lines.length === 0) continue;
    const means = lines.flatMap(({points}) => points.map(point => point[1]));
    const low = Math.min(...means), high = Math.max(...means);
    const colourOf = mean => between(stops, high > low ? (mean - low) / (high - low) : 0.5);
    const ramp = element("i");
    ramp.style.background = `linear-gradient(90deg, ${[0, 25, 50, 75, 100].map(v => `${between(stops, v / 100)} ${v}%`)})`;
    container.append(element("h3", {}, `${KIND[kind]} accuracy (%)`),
                     element("span", {class: "ramp"}, low.toFixed(1), ramp, high.toFixed(1)));
    const row = grid(container);
    for (const i of seriesOf(lines)) {
      row.append(gridTable(seriesName(i), levels, lines.filter(line => line.series === i), colourOf));
    }
  }
}
