// Explore: one amount by a dimension over time; from each bar and row to the uses behind it.
import { address, curl, get, call, newKey } from "./api.js";
import { copy, dialog, download, empty, fill, h, problem, skeleton } from "./dom.js";
import * as fmt from "./format.js";
import { legend, running, seriesChart, summary } from "./charts.js";
import { DIMENSIONS, bar, chips, filters, question, unit, within } from "./question.js";
import { change, go, link, params, path } from "./state.js";
import { saveButton, table } from "./tables.js";
import { t } from "./texts.js";

const OF = ["credits", "charged", "requests", "tokens", "cost", "errors"];
const BY = Object.keys(DIMENSIONS);

export async function render(main) {
  const query = params();
  const pick = (name, all, otherwise) => (all.includes(query.get(name)) ? query.get(name) : otherwise);
  const of = pick("of", OF, "credits");
  const by = pick("by", BY, "model");
  const then = pick("then", BY.filter((each) => each !== by), "");
  const top = Math.min(50, Math.max(1, Number(query.get("top")) || 8));
  const asked = { ...question(), groupBy: unit(), by, then, of, top };
  const chart = h("section", { className: "card", "aria-label": t("chart") }, skeleton(true));
  const rows = h("section", { className: "card", "aria-label": t("table") }, skeleton());
  const times = h("section", { className: "card", "aria-label": t("table_twin") });
  const select = (label, name, value, all) => h("label", {}, label, h("select", { onchange: (event) => change({ [name]: event.target.value }) }, all.map(([key, text]) => h("option", { value: key, selected: key === value }, text))));
  const check = (name) => h("label", { className: "check" }, h("input", { type: "checkbox", checked: query.get(name) === "1", onchange: (event) => change({ [name]: event.target.checked }) }), t(`check_${name}`));

  fill(main, h("div", { className: "head" }, h("h1", {}, t("page_explore")), h("span", { className: "fill" }), h("button", { onclick: () => views(asked) }, t("views")),
    h("button", { onclick: () => copy(curl("/api/analytics/explore", asked)) }, t("copy_curl")), h("button", { onclick: () => exports() }, t("export"))),
  bar(select(t("amount"), "of", of, OF.map((each) => [each, t(`of_${each}`)])), select(t("by"), "by", by, BY.map((each) => [each, t(`by_${each}`)])),
    select(t("then"), "then", then, [["", "—"], ...BY.filter((each) => each !== by).map((each) => [each, t(`by_${each}`)])]),
    select(t("top"), "top", String(top), ["4", "8", "12", "20"].map((each) => [each, each])), check("lines"), check("cumulative")), chips(), chart, rows, times);

  const load = async () => {
    try {
      const { data } = await get("/api/analytics/explore", asked);
      show(data);
    } catch (error) {
      fill(chart, problem(error, load));
      fill(rows);
    }
  };
  const show = (data) => {
    const series = data.slices.map((each) => ({ label: each.isRest ? t("others") : each.value ?? t("none"), values: each.series, isRest: each.isRest }));
    const content = { periods: data.periods, unit: asked.groupBy, of, series, totals: data.series, lines: query.get("lines") === "1", cumulative: query.get("cumulative") === "1", onOpen: (place) => change(finer(data, place)) };
    const used = data.series.some((each) => Number(each) !== 0);
    fill(chart, h("div", { className: "head" }, h("h2", {}, t("chart_title", { of: t(`of_${of}`), by: t(`by_${by}`) })), h("span", { className: "fill" }), h("span", { className: "fresh" }, t("compared", { from: fmt.time(data.rangeBefore.start), to: fmt.time(data.rangeBefore.end) }))),
      used ? [h("p", { className: "chart-summary" }, summary({ periods: data.periods, totals: data.series, unit: asked.groupBy, of })), seriesChart(content), legend(series)] : empty(t("no_usage"), "faregate usage record --user ada --service chat --credits 1"));
    showRows(data);
    showTimes(data, series, content.cumulative);
  };
  const usesLink = (data, more = {}) => link("uses", { range: "custom", from: data.range.start, to: data.range.end, ...more });
  const showRows = (data) => {
    const columns = [
      { key: "value", label: t(`by_${by}`), value: (row) => row.name, show: (row) => (row.link ? h("a", { href: row.link }, row.name) : row.name) },
      ...["requests", "errors", "inputTokens", "outputTokens", "unpriced"].map((key) => ({ key, label: t(`column_${key}`), num: true, show: (row) => fmt.integer(row[key]) })),
      ...["credits", "chargedCredits", "marginCredits"].map((key) => ({ key, label: t(`column_${key}`), num: true, show: (row) => fmt.credits(row[key]) })),
      { key: "providerCostUsd", label: t("column_providerCostUsd"), num: true, show: (row) => fmt.usd(row.providerCostUsd) },
      { key: "averageResponseTime", label: t("column_averageResponseTime"), num: true, show: (row) => fmt.ms(row.averageResponseTime) },
      { key: "uses", label: t("behind"), value: (row) => row.uses ?? "", show: (row) => (row.uses ? h("a", { href: row.uses }, t("uses")) : "—") },
    ];
    const named = data.slices.flatMap((each) => {
      const name = each.isRest ? t("others") : each.value ?? t("none");
      const own = each.value === null ? {} : { [DIMENSIONS[by]]: each.value };
      const next = BY.find((one) => one !== by && !(DIMENSIONS[one] in filters())) || "user";
      const row = { ...each, name, link: each.value === null ? null : link("explore", { ...own, by: next, of }), uses: each.value === null ? null : usesLink(data, own) };
      return [row, ...(then ? each.parts.map((part) => ({ ...part, name: `${name} › ${part.value ?? t("none")}`, link: each.value === null || part.value === null ? null : link("explore", { ...own, [DIMENSIONS[then]]: part.value, by: then, of }), uses: each.value === null || part.value === null ? null : usesLink(data, { ...own, [DIMENSIONS[then]]: part.value }) })) : [])];
    });
    const totals = data.totals;
    const made = table(columns, named, { caption: t("rows_caption", { count: String(data.values) }), name: `explore-${by}`, total: { value: t("total"), requests: fmt.integer(totals.totalRequests), credits: fmt.credits(totals.totalCredits), chargedCredits: fmt.credits(totals.chargedCredits), marginCredits: fmt.credits(totals.marginCredits), providerCostUsd: fmt.usd(totals.providerCostUsd), unpriced: fmt.integer(totals.unpriced), averageResponseTime: fmt.ms(totals.averageResponseTime), uses: h("a", { href: usesLink(data) }, t("uses")) } });
    fill(rows, h("div", { className: "head" }, h("h2", {}, t(`by_${by}`)), h("span", { className: "fill" }), saveButton(made)), made);
  };
  const finer = (data, place) => within(data.periods, place, data.range, asked.groupBy);
  const showTimes = (data, series, cumulative) => {
    const columns = [
      { key: "period", label: t("period"), show: (row) => h("a", { href: link("explore", { of, by, then, ...finer(data, row.place) }) }, fmt.period(row.period, asked.groupBy)) },
      ...series.map((each, number) => ({ key: `s${number}`, label: each.label, num: true, show: (row) => fmt.amount(of, row[`s${number}`]) })),
      { key: "total", label: t("total"), num: true, show: (row) => fmt.amount(of, row.total) },
      { key: "uses", label: t("behind"), value: () => "", show: (row) => h("a", { href: link("uses", { ...finer(data, row.place), unit: null }) }, t("uses")) },
    ];
    const values = series.map((each) => (cumulative ? running(each.values) : each.values));
    const totals = cumulative ? running(data.series) : data.series;
    const found = data.periods.map((period, place) => ({ period, place, total: totals[place], ...Object.fromEntries(values.map((each, number) => [`s${number}`, each[place]])) }));
    const made = table(columns, found, { caption: t("twin_caption", { of: t(`of_${of}`) }), name: "series", sort: { key: "period", down: true } });
    fill(times, h("details", { open: found.length <= 31 }, h("summary", {}, h("h2", {}, t("table_twin"))), h("div", { className: "actions" }, saveButton(made)), made));
  };
  await load();
}

function exports() {
  return dialog(t("export"), () => h("div", { className: "form" }, h("p", {}, t("export_hint")),
    ["csv", "xlsx", "parquet", "ndjson", "json"].map((format) => h("a", { className: "button", download: true, href: address("/api/analytics/export", { ...question(), format }) }, t("export_events", { format: format.toUpperCase() })))));
}

// Saved views: the state is the address.
function views(asked) {
  return dialog(t("views"), (close) => {
    const list = h("div", {}, skeleton());
    const name = h("input", { required: true, maxlength: "100" });
    const shared = h("input", { type: "checkbox" });
    const state = { page: path()[0], ...Object.fromEntries(params()) };
    const load = async () => {
      try {
        const { data } = await get("/api/views");
        fill(list, data.length ? table([
          { key: "name", label: t("name"), show: (row) => h("a", { href: opened(row.state) , onclick: (event) => { event.preventDefault(); close(); go(opened(row.state)); } }, row.name) },
          { key: "shared", label: t("shared"), value: (row) => String(row.shared), show: (row) => t(row.shared ? "yes" : "no") },
          { key: "actions", label: "", value: () => "", show: (row) => row.own && h("button", { className: "small danger", onclick: async () => { await call("DELETE", `/api/views/${row.id}`); load(); } }, t("delete")) },
        ], data, { quiet: true, caption: t("views"), name: "views" }) : empty(t("no_views")));
        list.append(h("div", { className: "actions" }, h("button", { className: "small", onclick: () => download("views.json", JSON.stringify(data.map(({ name: label, shared: open, state: kept }) => ({ name: label, shared: open, state: kept })), null, 2), "application/json") }, t("export_json")),
          h("label", { className: "button small" }, t("import_json"), h("input", { className: "sr", type: "file", accept: "application/json", onchange: async (event) => {
            for (const view of JSON.parse(await event.target.files[0].text())) await save(view);
            load();
          } }))));
      } catch (error) { fill(list, problem(error, load)); }
    };
    const save = (view) => call("PUT", `/api/views/${newKey()}`, { body: { name: view.name, shared: !!view.shared, state: view.state } });
    const form = h("form", { className: "form", onsubmit: async (event) => { event.preventDefault(); await save({ name: name.value, shared: shared.checked, state }); name.value = ""; load(); } },
      h("label", {}, t("view_name"), name), h("label", { className: "check" }, h("span", {}, shared, ` ${t("share")}`)), h("button", { className: "primary" }, t("save_view")));
    load();
    return h("div", {}, list, h("h3", {}, t("save_view")), form, h("p", { className: "fresh" }, t("views_hint", { by: asked.by })));
  });
}

function opened(state) {
  const { page = "explore", ...rest } = state;
  return link(page, rest, { keep: false });
}
