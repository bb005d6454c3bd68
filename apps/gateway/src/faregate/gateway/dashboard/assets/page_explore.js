// Explore: one amount by a dimension over time; from each bar and row to the uses behind it.
import { address, curl, get } from "./api.js";
import { copy, dialog, empty, fill, h, problem, skeleton } from "./dom.js";
import * as fmt from "./format.js";
import { legend, running, seriesChart, summary } from "./charts.js";
import { DIMENSIONS, barOf, chips, filters, finest, question, unit, unusable, within } from "./question.js";
import { change, go, link, params } from "./state.js";
import { saveButton, table } from "./tables.js";
import { t } from "./texts.js";

const OF = ["credits", "charged", "requests", "tokens", "cost", "errors"];
const BY = Object.keys(DIMENSIONS);

function chosen() {
  const query = params();
  const pick = (name, all, otherwise) => (all.includes(query.get(name)) ? query.get(name) : otherwise);
  const of = pick("of", OF, "credits");
  const by = pick("by", BY, "model");
  const then = pick("then", BY.filter((each) => each !== by), "");
  const top = Math.min(50, Math.max(1, Number(query.get("top")) || 8));
  const on = (name) => query.get(name) === "1";
  return { of, by, then, top, lines: on("lines"), cumulative: on("cumulative"), compare: on("compare") };
}

function choices({ of, by, then, top, ...on }) {
  const select = (label, name, value, all) => h("label", {}, label, h("select", { onchange: (event) => change({ [name]: event.target.value }) }, all.map(([key, text]) => h("option", { value: key, selected: key === value }, text))));
  const check = (name) => h("label", { className: "check" }, h("input", { type: "checkbox", checked: on[name], onchange: (event) => change({ [name]: event.target.checked }) }), t(`check_${name}`));
  const names = (all) => all.map((each) => [each, t(`by_${each}`)]);
  return [select(t("amount"), "of", of, OF.map((each) => [each, t(`of_${each}`)])), select(t("by"), "by", by, names(BY)),
    select(t("then"), "then", then, [["", "—"], ...names(BY.filter((each) => each !== by))]),
    select(t("top"), "top", String(top), ["4", "8", "12", "20", "50"].map((each) => [each, each])), check("compare"), check("cumulative"), check("lines")];
}

export async function render(main) {
  const view = chosen();
  const dims = unusable(view.of);
  const asked = { ...question(dims), groupBy: unit(), by: view.by, then: view.then, of: view.of, top: view.top, compare: view.compare };
  const card = (name, tall) => h("section", { className: "card", "aria-label": t(name) }, skeleton(tall));
  const [chart, rows, times] = [card("chart", true), card("table"), card("table_twin")];
  fill(main, h("div", { className: "head" }, h("h1", {}, t("page_explore")), h("span", { className: "fill" }), h("button", { onclick: async () => (await import("./views.js")).views() }, t("views")),
    h("button", { onclick: () => copy(curl("/api/analytics/explore", asked)) }, t("copy_curl")), h("button", { onclick: () => exports() }, t("export"))),
  barOf(dims, ...choices(view)), chips(dims), chart, rows, times);
  const load = async () => {
    try {
      const { data } = await get("/api/analytics/explore", asked);
      const series = data.slices.map((each) => ({ label: each.isRest ? t("others") : each.value ?? t("none"), values: each.series, isRest: each.isRest }));
      showChart(chart, data, series, view, asked);
      showRows(rows, data, view, asked);
      showTimes(times, data, series, view, asked);
    } catch (error) {
      fill(chart, problem(error, load));
      fill(rows);
      fill(times);
    }
  };
  await load();
}

// The uses behind a number, in the range in which it counted them.
const usesLink = (range, more = {}) => link("uses", { ...range, unit: null, ...more });
const whole = (data) => ({ range: "custom", from: data.range.start, to: data.range.end });

// A quarter-hour is divided no further: it opens its uses.
function opened(data, place, asked) {
  const inside = within(data.periods, place, data.range, asked.groupBy);
  return finest(asked.groupBy) ? usesLink(inside) : link("explore", { ...chosenState(), ...inside });
}

function chosenState() {
  const query = params();
  return Object.fromEntries(["of", "by", "then", "top", "lines", "cumulative", "compare"].map((name) => [name, query.get(name)]));
}

function showChart(place, data, series, view, asked) {
  const used = data.series.some((each) => Number(each) !== 0);
  const chart = { periods: data.periods, unit: asked.groupBy, of: view.of, series, totals: data.series, before: data.seriesBefore, lines: view.lines, cumulative: view.cumulative, onOpen: (at) => go(opened(data, at, asked)) };
  fill(place, h("div", { className: "head" }, h("h2", {}, t("chart_title", { of: t(`of_${view.of}`), by: t(`by_${view.by}`) })), h("span", { className: "fill" }), h("span", { className: "fresh" }, t("compared", { from: fmt.time(data.rangeBefore.start), to: fmt.time(data.rangeBefore.end) }))),
    used ? [h("p", { className: "chart-summary" }, summary({ periods: data.periods, totals: data.series, unit: asked.groupBy, of: view.of })), seriesChart(chart), legend(series, data.seriesBefore), h("p", { className: "fresh" }, t(finest(asked.groupBy) ? "opens_uses" : "opens_finer"))]
      : empty(t("no_usage"), "faregate usage record requests --user ada"));
}

// The rows of one value and of its parts, each with the links behind it.
function valueRows(data, { by, then, of }) {
  const next = BY.find((one) => one !== by && !(DIMENSIONS[one] in filters())) || "user";
  const behind = (own, divided) => ({ link: link("explore", { ...own, by: divided, of }), uses: usesLink(whole(data), own) });
  return data.slices.flatMap((each) => {
    const name = each.isRest ? t("others") : each.value ?? t("none");
    const own = { [DIMENSIONS[by]]: each.value };
    const parts = then ? each.parts.map((part) => ({ ...part, name: `${name} › ${part.value ?? t("none")}`, ...(each.value === null || part.value === null ? {} : behind({ ...own, [DIMENSIONS[then]]: part.value }, then)) })) : [];
    return [{ ...each, name, ...(each.value === null ? {} : behind(own, next)) }, ...parts];
  });
}

function showRows(place, data, view, asked) {
  const { by } = view;
  const columns = [
    { key: "value", label: t(`by_${by}`), value: (row) => row.name, show: (row) => (row.link ? h("a", { href: row.link }, row.name) : row.name) },
    ...["requests", "errors", "inputTokens", "outputTokens", "unpriced"].map((key) => ({ key, label: t(`column_${key}`), num: true, show: (row) => fmt.integer(row[key]) })),
    ...["credits", "chargedCredits", "marginCredits"].map((key) => ({ key, label: t(`column_${key}`), num: true, show: (row) => fmt.credits(row[key]) })),
    { key: "providerCostUsd", label: t("column_providerCostUsd"), num: true, show: (row) => fmt.usd(row.providerCostUsd) },
    { key: "averageResponseTime", label: t("column_averageResponseTime"), num: true, show: (row) => fmt.ms(row.averageResponseTime) },
    { key: "uses", label: t("behind"), file: false, value: () => "", show: (row) => (row.uses ? h("a", { href: row.uses, "aria-label": `${t("uses")}: ${row.name}` }, t("uses")) : "—") },
  ];
  const totals = data.totals;
  const made = table(columns, valueRows(data, view), { caption: t("rows_caption", { count: String(data.values) }), name: `explore-${by}`, total: { value: t("total"), requests: fmt.integer(totals.totalRequests), credits: fmt.credits(totals.totalCredits), chargedCredits: fmt.credits(totals.chargedCredits), marginCredits: fmt.credits(totals.marginCredits), providerCostUsd: fmt.usd(totals.providerCostUsd), unpriced: fmt.integer(totals.unpriced), averageResponseTime: fmt.ms(totals.averageResponseTime), uses: h("a", { href: usesLink(whole(data)) }, t("uses")) } });
  const source = (format, order) => ["/api/analytics/explore/export", { query: { ...asked, format, table: "values", sort: order && `${order.down ? "-" : ""}${order.key === "value" ? by : order.key}` } }];
  fill(place, h("div", { className: "head" }, h("h2", {}, t(`by_${by}`)), h("span", { className: "fill" }), saveButton(made, { source })), made);
}

function showTimes(place, data, series, view, asked) {
  const { of, cumulative } = view;
  const numbers = (values) => (cumulative ? running(values) : values);
  const shown = (key, label) => ({ key, label, num: true, show: (row) => (row[key] === undefined ? "—" : fmt.amount(of, row[key])) });
  const columns = [
    { key: "period", label: t("period"), show: (row) => h("a", { href: opened(data, row.place, asked) }, fmt.period(row.period, asked.groupBy)) },
    ...series.map((each, number) => shown(`s${number}`, each.label)), shown("total", t("total")), ...(data.seriesBefore ? [shown("before", t("period_before"))] : []),
    { key: "uses", label: t("behind"), file: false, value: () => "", show: (row) => h("a", { href: usesLink(within(data.periods, row.place, data.range, asked.groupBy)), "aria-label": `${t("uses")}: ${fmt.period(row.period, asked.groupBy)}` }, t("uses")) },
  ];
  const [totals, before, values] = [numbers(data.series), data.seriesBefore && numbers(data.seriesBefore), series.map((each) => numbers(each.values))];
  const found = data.periods.map((period, at) => ({ period, place: at, total: totals[at], ...(before ? { before: before[at] } : {}), ...Object.fromEntries(values.map((each, number) => [`s${number}`, each[at]])) }));
  const made = table(columns, found, { caption: t("twin_caption", { of: t(`of_${of}`) }), name: "series", sort: { key: "period", down: true } });
  const named = (key) => ({ period: "period", total: "(total)", before: "(period before)" })[key] ?? (series[Number(key.slice(1))].isRest ? "(others or none)" : data.slices[Number(key.slice(1))].value ?? "(none)");
  const source = (format, order) => ["/api/analytics/explore/export", { query: { ...asked, format, table: "periods", cumulative, sort: order && order.key !== "uses" && `${order.down ? "-" : ""}${named(order.key)}` } }];
  fill(place, h("details", { open: found.length <= 31 }, h("summary", {}, h("h2", {}, t("table_twin"))), h("div", { className: "actions" }, saveButton(made, { source })), made));
}

function exports() {
  return dialog(t("export"), () => h("div", { className: "form" }, h("p", {}, t("export_hint")),
    ["csv", "xlsx", "parquet", "ndjson", "json"].map((format) => h("a", { className: "button", download: true, href: address("/api/analytics/export", { ...question(), format }) }, t("export_events", { format: format.toUpperCase() })))));
}
