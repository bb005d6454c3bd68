// The question of the filter bar: a range of time in a zone, and filters.
import { dialog, h } from "./dom.js";
import { addDays, today } from "./format.js";
import { change, params, zone } from "./state.js";
import { t } from "./texts.js";

export const FILTERS = ["service", "model", "provider", "feature", "userId", "organizationId", "country", "device", "status", "meter"];
export const DIMENSIONS = { service: "service", model: "model", provider: "provider", feature: "feature", user: "userId", organization: "organizationId", country: "country", device: "device", status: "status" };
const RANGES = ["today", "yesterday", "7d", "30d", "90d", "month", "last-month", "custom"];

function monthStart(date, back = 0) {
  const [year, month] = date.split("-").map(Number);
  return new Date(Date.UTC(year, month - 1 - back, 1)).toISOString().slice(0, 10);
}

// Returns startDate and endDate as dates (midnights of the zone) or times; the end is not included.
export function range() {
  const query = params();
  const now = today();
  const kind = query.get("range") || (query.get("from") ? "custom" : "30d");
  const tomorrow = addDays(now, 1);
  const known = {
    today: [now, tomorrow], yesterday: [addDays(now, -1), now], "7d": [addDays(now, -6), tomorrow], "30d": [addDays(now, -29), tomorrow],
    "90d": [addDays(now, -89), tomorrow], month: [monthStart(now), monthStart(now, -1)], "last-month": [monthStart(now, 1), monthStart(now)],
    custom: [query.get("from") || addDays(now, -29), query.get("to") || tomorrow],
  };
  const [startDate, endDate] = known[kind] || known["30d"];
  return { kind, startDate, endDate };
}

export function filters() {
  const query = params();
  return Object.fromEntries(FILTERS.filter((name) => query.get(name)).map((name) => [name, query.get(name)]));
}

// The unit whose bars are readable for the range.
export function unit() {
  const given = params().get("unit");
  if (given) return given;
  const { startDate, endDate } = range();
  const hours = (new Date(endDate) - new Date(startDate)) / 3_600_000;
  return hours <= 4 ? "quarter-hour" : hours <= 72 ? "hour" : hours <= 24 * 120 ? "day" : "month";
}

function select(label, value, options, onchange) {
  return h("label", {}, label, h("select", { onchange: (event) => onchange(event.target.value) },
    options.map(([key, text]) => h("option", { value: key, selected: key === value }, text))));
}

let zones = null;
function zoneNames() {
  zones ??= ["UTC", ...(Intl.supportedValuesOf ? Intl.supportedValuesOf("timeZone") : [])];
  return zones;
}

export const bar = (...more) => barOf({}, ...more);

// The bar of a page whose question cannot use some filters.
export function barOf(unusable, ...more) {
  const now = range();
  const custom = now.kind === "custom" && [["from", now.startDate], ["to", now.endDate]].map(([name, value]) =>
    h("label", {}, t(name), h("input", { value, placeholder: "2026-01-31", onchange: (event) => change({ range: "custom", from: name === "from" ? event.target.value : now.startDate, to: name === "to" ? event.target.value : now.endDate }) })));
  return h("div", { className: "bar", role: "search", "aria-label": t("filters") },
    select(t("range"), now.kind, RANGES.map((each) => [each, t(`range_${each}`)]), (value) =>
      change(value === "custom" ? { range: value, from: now.startDate, to: now.endDate } : { range: value, from: null, to: null, unit: null })),
    custom,
    select(t("unit"), unit(), ["quarter-hour", "hour", "day", "week", "month"].map((each) => [each, t(`unit_${each}`)]), (value) => change({ unit: value })),
    h("label", {}, t("zone"), h("input", { value: zone(), list: "zones", onchange: (event) => change({ tz: event.target.value }) }),
      h("datalist", { id: "zones" }, zoneNames().map((name) => h("option", { value: name })))),
    h("button", { onclick: () => addFilter(unusable) }, `+ ${t("add_filter")}`), ...more);
}

// `unusable`: filter → why the question of this page cannot use it.
export async function addFilter(unusable) {
  const found = await dialog(t("add_filter"), (close) => {
    const why = h("p", { className: "fresh", role: "status" });
    const name = h("select", { onchange: () => { why.textContent = unusable[name.value] || ""; } }, FILTERS.map((each) => h("option", { value: each }, unusable[each] ? `${t(`filter_${each}`)} – ${t("not_usable")}` : t(`filter_${each}`))));
    const value = h("input", { required: true, placeholder: "gpt-4o" });
    return h("form", { className: "form", onsubmit: (event) => { event.preventDefault(); close([name.value, value.value.trim()]); } },
      h("label", {}, t("dimension"), name), why, h("label", {}, t("value"), value), h("button", { className: "primary" }, t("apply")));
  });
  if (found?.[1]) change({ [found[0]]: found[1] });
}

export function chips(unusable = {}) {
  const given = Object.entries(filters());
  return h("ul", { className: "chips", "aria-label": t("filters") }, given.map(([name, value]) =>
    h("li", { className: unusable[name] ? "chip dim" : "chip" }, h("span", {}, `${t(`filter_${name}`)}: ${value}`), unusable[name] && h("span", { className: "why" }, ` – ${unusable[name]}`),
      h("button", { "aria-label": t("remove_filter", { name: t(`filter_${name}`) }), onclick: () => change({ [name]: null }) }, "✕"))));
}

// The filters that this page can use.
export function usable(unusable) {
  return Object.fromEntries(Object.entries(filters()).filter(([name]) => !unusable[name]));
}

// The parameters without those that the answer cannot use.
export function question(unusable = {}) {
  const { startDate, endDate } = range();
  return { startDate, endDate, timezone: zone(), ...usable(unusable) };
}

// The range of one period of a series, with the unit below it; quarter-hours are divided no further.
const BELOW = { month: "day", week: "day", day: "hour", hour: "quarter-hour" };
export const finest = (of) => !(of in BELOW);
export function within(periods, place, whole, of) {
  const next = periods[place + 1] || whole.end;
  return { range: "custom", from: periods[place], to: next, unit: BELOW[of] || of };
}

// Filters that cannot say anything about the chosen amount, with the reason.
export function unusable(of) {
  const found = { meter: t("why_meter") };
  if (of === "errors" && filters().status === "success") found.status = t("why_errors");
  return found;
}
