// Overview: the business beside the period before, live.
import { address, curl, exactJson, get } from "./api.js";
import { announce, copy, empty, fill, h, problem, skeleton } from "./dom.js";
import * as fmt from "./format.js";
import { legend, seriesChart, summary } from "./charts.js";
import { DIMENSIONS, barOf, chips, finest, question, unit, unusable, within } from "./question.js";
import { change, go, link, params } from "./state.js";
import { saveButton, table } from "./tables.js";
import { t } from "./texts.js";
import { showAllowances, showBusiness, showRunOuts } from "./business.js";

const OF = ["credits", "charged", "requests", "tokens", "cost", "errors"];
const BY = ["model", "feature", "service", "provider", "user", "organization", "country", "device", "status"];

// Tile: text, value of the totals, format, whether more is better, amount of the exploration behind it.
const TILES = [
  ["chargedCredits", "credits", "credits", true, "charged"], ["totalCredits", "credits", "credits", true, "credits"],
  ["providerCostUsd", "usd", null, false, "cost"], ["marginCredits", "credits", "credits", true, "charged"],
  ["totalRequests", "integer", null, true, "requests"], ["totalTokens", "integer", null, true, "tokens"],
  ["uniqueUsers", "integer", null, true, "requests", "user"], ["errorRate", "percent", null, false, "errors"],
  ["p95ResponseTime", "ms", null, false, "requests"], ["unpriced", "integer", null, false, "requests"],
];

export function deltaNote(now, before, format, better) {
  const moved = fmt.change(now, before);
  if (moved === null) return h("span", { className: "note" }, t("no_base"));
  const good = moved === 0 ? "" : (moved > 0) === better ? "up" : "down";
  return h("span", { className: "note" }, h("span", { className: good }, `${moved > 0 ? "▲" : moved < 0 ? "▼" : "="} ${fmt.percent(Math.abs(moved))}`), ` ${t("before", { value: fmt[format](before) })}`);
}

export async function render(main, { may }) {
  const query = params();
  const of = OF.includes(query.get("of")) ? query.get("of") : "credits";
  const by = BY.includes(query.get("by")) ? query.get("by") : "model";
  const dims = unusable(of);
  const asked = { ...question(dims), groupBy: unit(), by, of, top: 8 };
  const fresh = h("span", { className: "fresh", role: "status" });
  const pause = h("button", { "aria-pressed": String(query.get("live") === "0") });
  const tiles = h("ul", { className: "tiles", "aria-label": t("totals") }, TILES.map(() => h("li", { className: "tile" }, skeleton())));
  const chart = h("section", { className: "card", "aria-label": t("chart") }, skeleton(true));
  const rankings = h("div", { className: "grid thirds" }, [0, 1, 2].map(() => h("section", { className: "card" }, skeleton(true))));
  const [business, runOuts, allowances] = [0, 1, 2].map(() => h("section", { className: "card" }, skeleton(true)));
  const choose = (label, name, value, all, text) => h("label", {}, label, h("select", { onchange: (event) => change({ [name]: event.target.value }) }, all.map((each) => h("option", { value: each, selected: each === value }, t(`${text}_${each}`)))));

  fill(main, h("div", { className: "head" }, h("h1", {}, t("page_overview")), h("span", { className: "fill" }), fresh, pause,
    h("button", { onclick: () => copy(curl("/api/analytics/explore", asked)) }, t("copy_curl"))),
  barOf(dims, choose(t("amount"), "of", of, OF, "of"), choose(t("by"), "by", by, BY, "by")), chips(dims), tiles, chart, rankings,
  may("wallets:read") ? [business, h("div", { className: "grid" }, runOuts, allowances)] : runOuts);

  let books = null;
  const showBooks = (explore) => {
    if (books) return;
    books = Promise.all(may("wallets:read") ? [showBusiness(business, explore), showRunOuts(runOuts), showAllowances(allowances)] : [showRunOuts(runOuts)]);
  };

  const show = ({ explore, dashboard }) => {
    fill(tiles, TILES.map(([name, format, suffix, better, amount, split]) => h("li", {}, h("a", { className: "tile", href: link("explore", { of: amount, by: split || by, unit: query.get("unit") }) },
      h("span", { className: "label" }, t(`total_${name}`)),
      h("span", { className: "value", "data-total": name }, fmt[format](explore.totals[name]), suffix && h("span", { className: "unit" }, ` ${t(suffix)}`)),
      deltaNote(explore.totals[name], explore.before?.[name], format, better)))));
    showChart(explore);
    showBooks(explore);
    fill(rankings, ranking("services", dashboard.services, "service", "credits"), ranking("models", dashboard.models, "model", "credits"),
      ranking("users", dashboard.topUsers, "userId", "totalCredits"));
    fresh.textContent = t("fresh", { time: fmt.time(new Date(Date.now() - 1000 * explore.freshness.lagSeconds)), rolled: explore.freshness.rolledUpAt ? fmt.time(explore.freshness.rolledUpAt) : "—" });
    for (const part of [tiles, chart]) part.classList.remove("stale");
  };

  const showChart = (explore) => {
    const series = explore.slices.map((each) => ({ label: each.isRest ? t("others") : each.value ?? t("none"), values: each.series, isRest: each.isRest }));
    const open = (place) => {
      const inside = within(explore.periods, place, explore.range, asked.groupBy);
      if (finest(asked.groupBy)) go(link("uses", { ...inside, unit: null }));
      else change({ ...inside, live: "0" });
    };
    const content = { periods: explore.periods, unit: asked.groupBy, of, series, totals: explore.series, onOpen: open };
    const hasUsage = explore.series.some((each) => Number(each) !== 0);
    fill(chart, h("div", { className: "head" }, h("h2", {}, t("chart_title", { of: t(`of_${of}`), by: t(`by_${by}`) })), h("span", { className: "fill" }),
      h("a", { className: "button small", href: link("explore", { of, by, unit: query.get("unit") }) }, t("open_explore"))),
    hasUsage ? [h("p", { className: "chart-summary" }, summary({ periods: explore.periods, totals: explore.series, unit: asked.groupBy, of })), seriesChart(content), legend(series)]
      : empty(t("no_usage"), "faregate usage record requests --user ada"));
  };

  const ranking = (name, rows, key, amount) => {
    const dimension = { service: "service", model: "model", userId: "user" }[key];
    const top = Math.max(1, ...rows.map((row) => Number(row[amount])));
    const columns = [
      { key, label: t(`by_${dimension}`), show: (row) => h("a", { href: link("explore", { [DIMENSIONS[dimension]]: row[key], by: dimension === "user" ? "feature" : "user", of: "credits" }) }, row[key]) },
      { key: key === "userId" ? "totalRequests" : "requests", label: t("of_requests"), num: true, show: (row) => fmt.integer(row[key === "userId" ? "totalRequests" : "requests"]) },
      { key: amount, label: t("of_credits"), num: true, show: (row) => [fmt.credits(row[amount]), h("progress", { className: "sr", max: String(top), value: String(Number(row[amount])), "aria-hidden": "true" })] },
    ];
    const made = table(columns, rows.slice(0, 10), { quiet: true, caption: t(`ranking_${name}`), name });
    return h("section", { className: "card" }, h("div", { className: "head" }, h("h2", {}, t(`ranking_${name}`)), h("span", { className: "fill" }), saveButton(made)), rows.length ? made : empty(t("no_usage")));
  };

  let source = null;
  const live = () => {
    source?.close();
    source = new EventSource(address("/api/analytics/stream", asked));
    source.addEventListener("usage", (event) => show(exactJson(event.data)));
    source.onerror = () => { for (const part of [tiles, chart]) part.classList.add("stale"); fresh.textContent = t("reconnecting"); if (source.readyState === 2) once(); };
  };
  const once = async () => {
    try {
      const [explore, dashboard] = await Promise.all([get("/api/analytics/explore", asked), get("/api/analytics/dashboard", { ...question(dims), groupBy: unit() })]);
      show({ explore: explore.data, dashboard: dashboard.data });
    } catch (error) {
      fill(chart, problem(error, once));
    }
  };
  const paused = query.get("live") === "0";
  pause.textContent = paused ? `▶ ${t("resume")}` : `❚❚ ${t("pause")}`;
  pause.addEventListener("click", () => { announce(t(paused ? "resumed" : "paused")); change({ live: paused ? null : "0" }, { replace: true }); });
  if (paused) once();
  else live();
  return () => source?.close();
}
