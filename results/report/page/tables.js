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
  controls.append(count);
  table.closest(".scroll").before(controls);
  table.closest(".scroll").classList.toggle("tall", rows.length > 20);
  apply();
}

document.querySelectorAll("table[data-sortable]").forEach(makeSortable);
document.querySelectorAll("table[data-filterable]").forEach(makeFilterable);
