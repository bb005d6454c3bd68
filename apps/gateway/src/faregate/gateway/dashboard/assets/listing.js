// Lists: columns of named fields, filters in the address, page after page, actions of a row.
import { get } from "./api.js";
import { dialog, empty, fill, h, problem, skeleton } from "./dom.js";
import { control, given } from "./forms.js";
import * as fmt from "./format.js";
import { readable } from "./difference.js";
import { change, link, params } from "./state.js";
import { saveButton, table } from "./tables.js";
import { has, t } from "./texts.js";

const isTime = (value) => typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:/.test(value);
const isNumber = (value) => typeof value === "number" || (typeof value === "string" && /^-?\d+\.\d+$/.test(value));

// The name of a field of the API in words: that of the catalogue, else its own.
export function fieldLabel(name) {
  return has(`field_${name}`) ? t(`field_${name}`) : name.replace(/([a-z])([A-Z])/g, "$1 $2").replaceAll("_", " ").toLowerCase();
}

// A value as it is read: times in the zone, numbers with all their digits.
export function shown(value, name = "") {
  if (value === null || value === undefined || value === "") return "—";
  if (typeof value === "boolean") return t(value ? "yes" : "no");
  if (isTime(value)) return fmt.time(value);
  if (isNumber(value) && !/(^|_)id$/i.test(name)) return fmt.exactly(value);
  if (Array.isArray(value) && value.every((each) => typeof each !== "object")) return value.length ? value.join(", ") : "—";
  return typeof value === "object" ? h("code", {}, readable(value)) : String(value);
}

const plain = (value) => (value !== null && typeof value === "object" ? readable(value) : value);
export const column = (key, more = {}) => ({ key, label: fieldLabel(key), value: (row) => plain(row[key]), show: (row) => shown(row[key], key), ...more });
export const number = (key, more = {}) => column(key, { num: true, show: (row) => fmt.exactly(row[key]), ...more });
export const code = (key, more = {}) => column(key, { show: (row) => row[key] && h("code", {}, row[key]), ...more });
export const long = (show) => (row) => h("div", { className: "long" }, show(row));
export const walletLink = (key) => column(key, { show: (row) => row[key] && h("a", { href: link(["wallets", row[key]]) }, row[key]) });
export const badge = (kind, text) => h("span", { className: `badge ${kind}` }, text);
export const details = (row) => h("button", { className: "small", onclick: () => dialog(t("details"), () => h("pre", { tabindex: "0" }, readable(row))) }, t("details"));
export const actions = (...made) => ({ key: "actions", label: "", value: () => "", show: (row) => h("div", { className: "row-actions" }, made.map((make) => make(row))) });
export const button = (text, onclick, kind = "") => h("button", { className: `small ${kind}`, onclick }, text);

// The fields of a list's filters; what is entered stands in the address.
export function filterBar(fields, does = t("search")) {
  if (!fields.length) return null;
  const asked = params();
  const inputs = fields.map((field) => [field, control({ ...field, value: asked.get(field.name) || field.value || "" })]);
  const apply = (event) => {
    event.preventDefault();
    change(Object.fromEntries(inputs.map(([field, input]) => [field.name, given(field, input)])));
  };
  return h("form", { className: "bar", role: "search", onsubmit: apply }, inputs.map(([, input]) => input.element), h("button", {}, does));
}

// `spec`: {name, title, address, columns, filters, command, make, label of `make`, whole: the call has no pages and filters}.
export async function listing(main, spec) {
  const place = h("section", { className: "card" }, skeleton(true));
  const asked = params();
  const query = Object.fromEntries((spec.filters || []).map((field) => [field.query || field.name, asked.get(field.name)]));
  const load = () => pages(place, spec, query, load);
  fill(main, h("div", { className: "head" }, h("h1", {}, spec.title), h("span", { className: "fill" }), spec.make && h("button", { className: "primary", onclick: () => spec.make(load) }, spec.label || t("define")), h("button", { onclick: load }, t("refresh"))),
    filterBar(spec.filters || []), place);
  await load();
}

async function pages(place, spec, query, load, rows = [], cursor = null) {
  const filtered = Object.values(query).some(Boolean);
  try {
    const { data, meta } = await get(spec.address, spec.whole ? {} : { ...query, limit: 100, cursor });
    const all = [...rows, ...data];
    const made = table(spec.columns(load, all), all, { quiet: true, caption: spec.title, name: spec.name });
    fill(place, h("div", { className: "actions" }, spec.above?.(all, load), saveButton(made)), all.length ? made : empty(t(filtered ? "nothing_found" : spec.empty || "nothing_here"), filtered ? null : spec.command),
      meta.next_cursor && h("button", { onclick: () => pages(place, spec, query, load, all, meta.next_cursor) }, t("more")));
  } catch (error) { fill(place, problem(error, () => pages(place, spec, query, load, rows, cursor))); }
}
