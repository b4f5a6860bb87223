// Colours, dashes and markers, on light and on dark ground.

// Okabe and Ito's colours, lighter on a dark ground; dashes and markers tell lines apart without colour.
const COLOURS = {
  light: ["#0072b2", "#d55e00", "#009e73", "#c0649a", "#b87f00", "#3d9bd1", "#4a525a"],
  dark: ["#4aa8e8", "#ff8142", "#22c997", "#e79fc9", "#f0b83c", "#9ad6f8", "#c3cad1"],
};
const INK = {light: "#1c2126", dark: "#e4e8ec"}, PAPER = {light: "#ffffff", dark: "#14181c"};
const SOFT = {light: "#59636d", dark: "#9aa5af"};
const RULE = {light: "#e3e8ec", dark: "#2c343b"};
const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]];
const MARKERS = ["circle", "rect", "triangle", "rectRot", "star", "crossRot"];
const RAMP = {light: ["#f3f6f9", "#a9cbe6", "#3f86c0", "#08306b"], dark: ["#20272d", "#2c5d86", "#4f9fd8", "#d6ecff"]};
const VIRIDIS = ["#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#fde725"];

const darkScheme = matchMedia("(prefers-color-scheme: dark)");
let printing = false;  // paper is light
const mode = () => darkScheme.matches && !printing ? "dark" : "light";

const withAlpha = (colour, alpha) => colour + Math.round(alpha * 255).toString(16).padStart(2, "0");

// The colour at `share` (0 to 1) of a row of colours.
function between(stops, share) {
  const at = Math.min(Math.max(share, 0), 1) * (stops.length - 1), i = Math.min(Math.floor(at), stops.length - 2);
  const channel = (colour, k) => parseInt(colour.slice(1 + 2 * k, 3 + 2 * k), 16);
  const mixed = k => channel(stops[i], k) + (at - i) * (channel(stops[i + 1], k) - channel(stops[i], k));
  return "#" + [0, 1, 2].map(k => Math.round(mixed(k)).toString(16).padStart(2, "0")).join("");
}

// Of a tuner, by its place among the tuners.
function tunerLook(tuner) {
  const i = TUNERS.indexOf(tuner), colours = COLOURS[mode()];
  return {colour: colours[i % colours.length], dash: DASHES[(i + Math.floor(i / colours.length)) % DASHES.length],
          marker: MARKERS[i % MARKERS.length]};
}

// Of series `i`: its tuner's colour, in a shade that stands out the more the larger its parameters are.
function look(i) {
  const {tuner, rank, of} = figures.series[i], base = tunerLook(tuner);
  if (of < 2) return base;
  const shades = [between([base.colour, PAPER[mode()]], 0.55), base.colour, between([base.colour, INK[mode()]], 0.6)];
  return {...base, colour: between(shades, rank / (of - 1)), dash: DASHES[rank % DASHES.length]};
}

// Noise ratios from dark to bright; the end that the ground would swallow is left out.
function ratioLook(i, count) {
  const share = count > 1 ? i / (count - 1) : 0;
  return {colour: between(VIRIDIS, mode() === "dark" ? 0.35 + 0.65 * share : 0.75 * share),
          dash: DASHES[i % DASHES.length], marker: MARKERS[i % MARKERS.length]};
}

// A sample of a line for a legend outside of a chart.
function swatch({colour, dash, marker}) {
  const scale = window.devicePixelRatio || 1, canvas = element("canvas", {width: 36 * scale, height: 14 * scale});
  canvas.style.width = "36px";
  canvas.style.height = "14px";
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = 2;
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(1, 7);
  context.lineTo(35, 7);
  context.stroke();
  context.setLineDash([]);
  Chart.helpers.drawPoint(context, {pointStyle: marker, radius: 4, borderWidth: 1.5}, 18, 7);
  return canvas;
}
