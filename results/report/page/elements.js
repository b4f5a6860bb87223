// Small helpers for elements and texts.

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") {
      node.className = value;
    } else if (name in node) {
      node[name] = value;
    } else {
      node.setAttribute(name, value);
    }
  }
  node.append(...children);
  return node;
}

const distinct = values => [...new Set(values)].sort((a, b) => a < b ? -1 : a > b ? 1 : 0);
const asPercent = ratio => +(100 * ratio).toFixed(6);
const percent = value => `${+value.toFixed(2)} %`;
const plusMinus = (mean, half, digits = 1) => mean.toFixed(digits) + (half === null ? "" : ` ± ${half.toFixed(digits)}`);
const seedsText = n => `${n} seed${n === 1 ? "" : "s"}`;
// The ends of a text, which mostly tell it from others, around an ellipsis.
function shortenMiddle(text, length) {
  const head = Math.floor((length - 1) / 2);
  return text.length <= length ? text : `${text.slice(0, head)}…${text.slice(text.length - (length - 1 - head))}`;
}
