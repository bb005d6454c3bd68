// Cards of insights: the result or what is missing for one, and how the answer came about.
import { curl, get } from "./api.js";
import { copy, empty, facts, fill, h, problem, skeleton } from "./dom.js";
import * as fmt from "./format.js";
import { column, fieldLabel, number, shown } from "./listing.js";
import { filters } from "./question.js";
import { zone } from "./state.js";
import { saveButton, table } from "./tables.js";
import { t } from "./texts.js";

// How an answer came about, and how far it holds.
export function evidence(data) {
  const found = data.evidence;
  if (!found) return null;
  return h("details", { className: "evidence" }, h("summary", {}, t("evidence_summary", { sample: fmt.integer(found.sample), sampled: found.sampled, from: fmt.day(found.start), to: fmt.day(found.end) })),
    facts([[t("evidence_method"), found.method], [t("evidence_sample"), `${fmt.integer(found.sample)} ${found.sampled}`], [t("evidence_period"), t("from_to", { from: fmt.time(found.start), to: fmt.time(found.end) })], [t("evidence_uncertainty"), found.uncertainty],
      [t("evidence_limits"), found.limits.length ? h("ul", {}, found.limits.map((each) => h("li", {}, each))) : t("no_limits_known")], data.madeAt && [t("evidence_made"), fmt.time(data.madeAt)]]));
}

function tooLittle(data) {
  return h("div", { className: "empty" }, h("p", {}, h("strong", {}, t("not_enough"))), (data.evidence?.limits || []).map((each) => h("p", {}, each)), h("p", { className: "fresh" }, t("not_enough_again")));
}

const isList = (value) => Array.isArray(value) && value.length && typeof value[0] === "object";
const numeric = (rows, key) => rows.every((row) => row[key] === null || typeof row[key] === "number" || /^-?\d+(\.\d+)?$/.test(row[key] ?? ""));

// A table of whatever rows there are, for answers that have no form of their own.
export function rowsTable(name, rows) {
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return named(fieldLabel(name), name, table(keys.map((key) => (numeric(rows, key) ? number(key) : column(key))), rows, { quiet: true, caption: fieldLabel(name), name }));
}

export const named = (title, name, made) => h("div", {}, h("div", { className: "head" }, h("h3", {}, title), h("span", { className: "fill" }), saveButton(made)), made);

// An answer field by field: single values as facts, lists as tables.
export function whole(data) {
  const own = Object.entries(data).filter(([name]) => !["id", "madeAt", "enough", "evidence"].includes(name));
  return [facts(own.filter(([, value]) => !isList(value)).map(([name, value]) => [fieldLabel(name), shown(value, name)])), own.filter(([, value]) => isList(value)).map(([name, rows]) => rowsTable(name, rows))];
}

// `spec`: {title, about, path, query, controls, show(data, reload), filtered: whether the page's filters apply}.
export function insightCard(spec) {
  const place = h("div", {}, skeleton(true));
  const query = { timezone: zone(), ...(spec.filtered === false ? {} : filters()), ...(spec.query?.() || {}) };
  const load = async () => {
    try {
      const { data } = await get(spec.path, query);
      fill(place, data.enough === false ? tooLittle(data) : (spec.show || whole)(data, load), evidence(data));
    } catch (error) { fill(place, problem(error, load)); }
  };
  load();
  return h("section", { className: "card", "aria-label": spec.title }, h("div", { className: "head" }, h("h2", {}, spec.title), h("span", { className: "fill" }), spec.controls?.(), h("button", { className: "small", onclick: () => copy(curl(spec.path, query)) }, t("copy_curl"))), spec.about && h("p", { className: "chart-summary" }, spec.about), place);
}

export const none = (text, command) => empty(text, command);
