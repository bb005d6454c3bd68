// Tables that sort, and are exported as they are shown.
import { download, h } from "./dom.js";
import { t } from "./texts.js";

// A column: {key, label, num, value(row) → text that is exported, show(row) → content}.
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
  element.csv = () => csv(columns.map((column) => column.label), sorted().map((row) => columns.map((column) => raw(column, row))));
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

export function saveButton(element) {
  return h("button", { className: "small", onclick: () => element.save() }, t("export_table"));
}

// The lines of a statement, in the order in which they add up.
export function statementLines(data) {
  const lines = Object.entries(data).filter(([name, value]) => !["owner_id", "since", "until"].includes(name) && typeof value !== "object").map(([name, value]) => ({ name: t(`statement_${name}`), value }));
  const granted = Object.entries(data.granted).map(([name, value]) => ({ name: `${t("granted")} (${name})`, value }));
  return [...lines.slice(0, 1), ...granted, ...lines.slice(1)];
}
