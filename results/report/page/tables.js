// Tables sort and filter.

// Numbers by size, everything else as text, empty cells last.
function makeSortable(table) {
  const headers = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const value = (row, column) => {
    const text = row.cells[column].textContent.trim(), number = parseFloat(text);
    return text === "-" || text === "" ? null : Number.isNaN(number) ? text : number;
  };
  const compare = (a, b, up) => {
    if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
    const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    return up ? order : -order;
  };
  headers.forEach((header, column) => header.querySelector("button").addEventListener("click", () => {
    const up = header.getAttribute("aria-sort") !== "ascending";
    headers.forEach(other => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...body.rows].map(row => [value(row, column), row]).sort(([a], [b]) => compare(a, b, up));
    body.append(...rows.map(([, row]) => row));
  }));
}

// A select of a column's values, for columns of few; undefined for others.
function columnChoice(header, column, rows) {
  if (header.dataset.filter === undefined) return undefined;
  const values = distinct(rows.map(row => row.cells[column].textContent));
  if (values.length < 2 || values.length > 60) return undefined;
  values.sort((a, b) => a - b || a.localeCompare(b));
  return element("select", {}, element("option", {value: ""}, "all"),
                 ...values.map(value => element("option", {value}, value)));
}

// The table as LaTeX: what `nmlbench leaderboard --format latex` prints, of the rows that are shown, in their order.
function latexOf(table) {
  const lines = table.closest("section").querySelector(".latex").textContent.split("\n");
  const first = lines.indexOf("\\midrule") + 1, end = lines.indexOf("\\bottomrule");
  const shown = [...table.tBodies[0].rows].filter(row => !row.hidden).map(row => lines[first + Number(row.dataset.line)]);
  return [...lines.slice(0, first), ...shown, ...lines.slice(end)].join("\n");
}

// Where the browser keeps the clipboard to itself the text unfolds, selected.
function latexButton(table) {
  const button = element("button", {type: "button", class: "copy"}, "Copy as LaTeX");
  const text = table.closest("section").querySelector(".latex");
  const unfold = latex => {
    const shown = element("pre", {class: "copied"}, latex);
    button.closest("section").querySelector(".copied")?.remove();
    text.after(shown);
    getSelection().selectAllChildren(shown);
  };
  button.addEventListener("click", async () => {
    const latex = latexOf(table);
    try {
      await navigator.clipboard.writeText(latex);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy as LaTeX"; }, 2000);
    } catch {
      unfold(latex);
    }
  });
  return button;
}

// Words that a row must hold, and a choice for some columns.
function makeFilterable(table) {
  const rows = [...table.tBodies[0].rows], choices = [];
  const search = element("input", {type: "search", placeholder: "Filter rows", ariaLabel: "Filter rows"});
  const count = element("span", {class: "soft", ariaLive: "polite"});
  const controls = element("div", {class: "controls"}, search);
  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(word => word);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !(words.every(word => text.includes(word)) && choices.every(
        ({column, select}) => select.value === "" || row.cells[column].textContent === select.value));
    }
    count.textContent = `${rows.filter(row => !row.hidden).length} of ${rows.length} rows`;
  };
  search.addEventListener("input", apply);
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const select = columnChoice(header, column, rows);
    if (!select) return;
    select.addEventListener("change", apply);
    choices.push({column, select});
    controls.append(element("label", {}, header.textContent + " ", select));
  });
  controls.append(count, latexButton(table));
  table.closest(".scroll").before(controls);
  table.closest(".scroll").classList.toggle("tall", rows.length > 20);
  apply();
}

document.querySelectorAll("table[data-sortable]").forEach(table => {
  [...table.tBodies[0].rows].forEach((row, i) => { row.dataset.line = i; });
  makeSortable(table);
});
document.querySelectorAll("table[data-filterable]").forEach(makeFilterable);
