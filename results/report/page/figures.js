// All figures of the report, and what draws them.

const FIGURES = {noise: drawNoise, grid: drawNoiseGrid, tasks: drawTasks, settings: drawSettings, differences: drawDifferences,
                 fractions: drawFractions, cost: drawCost, learning: drawLearning, features: drawFeatures,
                 spectra: drawSpectra, confusion: drawConfusion, transitions: drawTransitions};

function draw() {
  for (const chart of charts) chart.destroy();
  charts = [];
  waiting = [];
  Chart.defaults.font.family = "system-ui, sans-serif";
  Chart.defaults.color = INK[mode()];
  const containers = [...document.querySelectorAll("[data-chart]")];
  for (const container of containers) {
    container.style.minHeight = `${container.offsetHeight}px`;  // the page must not jump while it is empty
    container.replaceChildren();
    FIGURES[container.dataset.chart](container);
    if (!container.querySelector("figure, .legend button, p")) {
      container.replaceChildren(element("p", {class: "soft"}, "Nothing was measured on these features."));
    }
  }
  for (const make of waiting) make();
  for (const container of containers) container.style.minHeight = "";
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

// Canvases do not follow the page onto paper: they are drawn again in its width, in print's resolution.
function usePaper(on) {
  printing = on;
  document.body.classList.toggle("paper", on);
  draw();
}
addEventListener("beforeprint", () => usePaper(true));
addEventListener("afterprint", () => usePaper(false));
