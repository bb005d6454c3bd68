// Tables that sort, and are exported as they are shown.
import { fetchFile } from "./api.js";
import { dialog, download, h, problem } from "./dom.js";
import { t } from "./texts.js";

// A column: {key, label, num, value(row) → text that is exported, show(row) → content, file: false for links only}.
export function table(columns, rows, { caption, quiet = false, total, sort = null, name = "table" } = {}) {
  let order = sort;
  const body = h("tbody");
  const head = h("tr");
  const raw = (column, row) => (column.value ? column.value(row) : row[column.key]);
  const compare = (column) => (a, b) => {
    const [x, y] = [raw(column, a), raw(column, b)];
    if (x === null || x === undefined) return 1;
    if (y === null || y === undefined) return -1;
    return column.num ? Number(x) - Number(y) : String(x).localeCompare(String(y));
  };
  const sorted = () => {
    if (!order) return rows;
    const column = columns.find((each) => each.key === order.key);
    const found = [...rows].sort(compare(column));
    return order.down ? found.reverse() : found;
  };
  const render = () => {
    head.replaceChildren(...columns.map((column) => {
      const now = order?.key === column.key;
      return h("th", { scope: "col", className: column.num ? "num" : null, "aria-sort": now ? (order.down ? "descending" : "ascending") : null },
        !column.label ? h("span", { className: "sr" }, t("actions")) : h("button", { onclick: () => { order = { key: column.key, down: now ? !order.down : !!column.num }; render(); } }, column.label, now ? (order.down ? " ▾" : " ▴") : ""));
    }));
    body.replaceChildren(...sorted().map((row) => h("tr", {}, columns.map((column) =>
      h("td", { className: column.num ? "num" : null }, (column.show ? column.show(row) : raw(column, row)) ?? "—")))));
  };
  render();
  const element = h("div", { className: "scroll", tabindex: "0", role: "region", "aria-label": caption || name },
    h("table", {}, h("caption", { className: caption && !quiet ? null : "sr" }, caption || name), h("thead", {}, head), body,
      total && h("tfoot", {}, h("tr", {}, columns.map((column) => h("td", { className: column.num ? "num" : null }, total[column.key] ?? ""))))));
  element.columns = columns.filter((column) => column.label && column.file !== false);
  element.cells = () => sorted().map((row) => element.columns.map((column) => raw(column, row) ?? null));
  element.sort = () => order;
  element.tableName = name;
  element.csv = () => csv(element.columns.map((column) => column.label), element.cells());
  element.save = () => download(`${name}.csv`, element.csv(), "text/csv");
  return element;
}

// A cell that a spreadsheet would run as a formula gets an apostrophe in front.
function cell(value) {
  const text = value === null || value === undefined ? "" : String(value);
  const safe = /^[=+\-@\t\r]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function csv(head, rows) {
  return [head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

const NUMBER = /^-?\d+(\.\d+)?$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d/;

function kind(column, cells) {
  const given = cells.filter((cell) => cell !== null && cell !== "");
  const every = (form) => given.length > 0 && given.every((cell) => form.test(cell));
  return column.num && every(NUMBER) ? "number" : !column.num && every(TIME) ? "time" : "text";
}

// The table as the gateway writes it into a file: the same columns, rows and order.
function sent(element, format) {
  const rows = element.cells().map((row) => row.map((cell) => (cell === null ? null : String(cell))));
  const labels = element.columns.map((column) => column.label);
  const columns = element.columns.map((column, place) => ({ name: labels.indexOf(column.label) === place ? column.label : `${column.label} (${place + 1})`, kind: kind(column, rows.map((row) => row[place])) }));
  const typed = rows.map((row) => row.map((cell, place) => (cell === "" && columns[place].kind !== "text" ? null : cell)));
  const name = element.tableName.toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 60) || "table";
  return fetchFile("/api/tables", { method: "POST", body: { name, format, columns, rows: typed } });
}

async function save(element, format, source) {
  try {
    if (!source && format === "csv") return element.save();
    const { name, blob } = source ? await fetchFile(...source(format, element.sort())) : await sent(element, format);
    download(name, blob, blob.type);
  } catch (error) {
    await dialog(t("failed"), () => problem(error));
  }
}

// Buttons that save what the table shows. `source(format, order)`: path and query of the call that answers the same question.
export function saveButton(element, { formats = ["csv", "xlsx", "parquet"], source = null } = {}) {
  return h("span", { className: "saves", role: "group", "aria-label": t("export") }, formats.map((format) => h("button", { className: "small", onclick: () => save(element, format, source) }, t(`format_${format}`))));
}

// The lines of a statement, in the order in which they add up.
export function statementLines(data) {
  const lines = Object.entries(data).filter(([name, value]) => !["owner_id", "since", "until"].includes(name) && typeof value !== "object").map(([name, value]) => ({ name: t(`statement_${name}`), value }));
  const granted = Object.entries(data.granted).map(([name, value]) => ({ name: `${t("granted")} (${name})`, value }));
  return [...lines.slice(0, 1), ...granted, ...lines.slice(1)];
}
