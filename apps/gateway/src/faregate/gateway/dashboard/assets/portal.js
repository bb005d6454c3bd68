// The customers' page: one owner's balance, usage, uses, grants and statement.
import { ApiError, call, fetchFile, get, setBearer } from "./api.js";
import { allowanceBars } from "./allowances.js";
import { dialog, download, empty, facts, fill, h, problem, skeleton } from "./dom.js";
import * as fmt from "./format.js";
import { legend, seriesChart, summary } from "./charts.js";
import { change, onNavigate, params, zone } from "./state.js";
import { saveButton, statementLines, table } from "./tables.js";
import { t } from "./texts.js";

// The secret of the link is in the part of the address that is not sent, and waits in the tab while the visitor pays elsewhere.
const token = location.hash.slice(1) || sessionStorage.getItem(location.pathname) || "";
sessionStorage.removeItem(location.pathname);
const root = () => document.getElementById("app");
let me = null;

async function start() {
  setBearer(token);
  if (!location.hash && token) history.replaceState({}, "", `${location.pathname}${location.search}#${token}`);
  try {
    me = (await call("GET", "/api/portal/me", { bare: true })).data;
  } catch (error) {
    const gone = error instanceof ApiError && error.status === 401;
    return void fill(root(), h("main", { id: "main", className: "sign-in" }, gone ? h("div", { className: "card" }, h("h1", {}, t("failed")), h("p", {}, t("portal_expired"))) : problem(error, start)));
  }
  document.title = me.title;
  coloured();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", coloured);
  render();
}

// The colours of the seller; the ink on them is what can be read better.
function coloured() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const brand = (dark && me.color_dark) || me.color;
  if (!brand) return;
  const [red, green, blue] = [1, 3, 5].map((at) => (parseInt(brand.slice(at, at + 2), 16) / 255) ** 2.2);
  const style = document.documentElement.style;
  style.setProperty("--brand", brand);
  style.setProperty("--brand-ink", 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 ? "#000" : "#fff");
}

async function render() {
  const by = params().get("by") && !me.hidden.includes(`${params().get("by")}s`) ? params().get("by") : ["feature", "model"].find((each) => !me.hidden.includes(`${each}s`)) || "all";
  const days = { "7": 7, "30": 30, "90": 90 }[params().get("days")] || 30;
  const tomorrow = fmt.addDays(fmt.today(), 1);
  const asked = { startDate: fmt.addDays(tomorrow, -days), endDate: tomorrow, timezone: zone(), by };
  const [payments, usage, uses, limits, grants, statement] = [0, 1, 2, 3, 4, 5].map(() => h("section", { className: "card" }, skeleton(true)));
  const dimensions = ["feature", "model", ...(me.owner_id.startsWith("org:") ? ["user"] : [])].filter((each) => !me.hidden.includes(`${each}s`));
  const select = (label, name, value, all) => h("label", {}, label, h("select", { onchange: (event) => change({ [name]: event.target.value }) }, all.map(([key, text]) => h("option", { value: key, selected: key === value }, text))));
  const main = h("main", { id: "main", "aria-busy": "true" }, h("div", { className: "head" }, h("h1", {}, me.title), h("span", { className: "fill" }), h("span", { className: "fresh" }, t("portal_until", { time: fmt.time(me.link_expires_at) }))),
    h("ul", { className: "tiles" }, [["free", me.credits], ["balance", me.balance], ["held", me.held]].map(([name, value]) => h("li", {}, h("div", { className: "tile" }, h("span", { className: "label" }, t(name)), h("span", { className: "value", "data-own": name }, fmt.credits(value)), me.plan && name === "free" && h("span", { className: "note" }, `${t("plan")}: ${me.plan}`))))),
    h("div", { className: "bar", role: "search", "aria-label": t("filters") }, select(t("range"), "days", String(days), [["7", t("range_7d")], ["30", t("range_30d")], ["90", t("range_90d")]]), dimensions.length > 1 && select(t("by"), "by", by, dimensions.map((each) => [each, t(`by_${each}`)])), h("label", {}, t("zone"), h("input", { value: zone(), onchange: (event) => change({ tz: event.target.value }) }))),
    payments, usage, uses, limits, grants, statement);
  fill(root(), main);
  await Promise.all([buying(payments, grants), showUsage(usage, asked, statement), showUses(uses), showLimits(limits), showGrants(grants)]);
  main.ariaBusy = "false";
}

async function buying(place, grants) {
  const { showPayments } = await import("./portal_payments.js");
  const leave = (url) => { sessionStorage.setItem(location.pathname, token); location.assign(url); };
  await showPayments(place, { leave, paidFor: async () => {
    me = (await get("/api/portal/me")).data;
    for (const [name, value] of [["free", me.credits], ["balance", me.balance]]) document.querySelector(`[data-own="${name}"]`).textContent = fmt.credits(value);
    await showGrants(grants);
  } });
}

async function showUsage(place, asked, statement) {
  try {
    const { data } = await get("/api/portal/usage", asked);
    const series = data.slices.map((each) => ({ label: each.isRest ? t(asked.by === "all" ? "total" : "others") : each.value ?? t("none"), values: each.series, isRest: each.isRest }));
    const used = data.series.some((each) => Number(each) !== 0);
    const made = table([{ key: "name", label: t(`by_${asked.by}`) }, { key: "requests", label: t("of_requests"), num: true, show: (row) => fmt.integer(row.requests) }, { key: "credits", label: t("of_credits"), num: true, show: (row) => fmt.credits(row.credits) }], data.slices.map((each, number) => ({ ...each, name: series[number].label })), { quiet: true, caption: t(`by_${asked.by}`), name: "usage", total: { name: t("total"), requests: fmt.integer(data.requests), credits: fmt.credits(data.credits) } });
    fill(place, h("div", { className: "head" }, h("h2", {}, t("portal_burn")), h("span", { className: "fill" }), saveButton(made, { formats: ["csv"] })), used ? [h("p", { className: "chart-summary" }, summary({ periods: data.periods, totals: data.series, unit: "day", of: "credits" })), seriesChart({ periods: data.periods, unit: "day", of: "credits", series, totals: data.series }), legend(series), made] : empty(t("no_usage")));
    await showStatement(statement, data);
  } catch (error) { fill(place, problem(error, () => showUsage(place, asked, statement))); }
}

async function showUses(place, cursor = null, rows = []) {
  try {
    const { data, meta } = await get("/api/portal/uses", { limit: 25, cursor });
    rows.push(...data);
    const made = table([{ key: "executed_at", label: t("time"), show: (row) => fmt.time(row.executed_at) }, !me.hidden.includes("features") && { key: "feature_key", label: t("by_feature") }, me.owner_id.startsWith("org:") && !me.hidden.includes("users") && { key: "user_id", label: t("by_user") }, { key: "credits_charged", label: t("credits"), num: true, show: (row) => fmt.credits(row.credits_charged) }, { key: "explain", label: t("behind"), value: (row) => row.usage_key, show: (row) => explain(row.usage_key) }].filter(Boolean), rows, { quiet: true, caption: t("portal_history"), name: "uses" });
    fill(place, h("div", { className: "head" }, h("h2", {}, t("portal_history")), h("span", { className: "fill" }), saveButton(made, { formats: ["csv"] })), rows.length ? made : empty(t("portal_uses_none")), meta.next_cursor && h("button", { onclick: () => showUses(place, meta.next_cursor, rows) }, t("more")));
  } catch (error) { fill(place, problem(error, () => showUses(place, cursor, rows))); }
}

function explain(key) {
  const place = h("div", {}, h("button", { className: "small", onclick: async () => {
    try {
      const { data } = await get(`/api/portal/uses/${encodeURIComponent(key)}`);
      fill(place, facts([[t("hold"), fmt.credits(data.hold)], ...data.lines.map((line) => [line.ai_model || t("line"), `${fmt.integer(line.input_tokens)} + ${fmt.integer(line.output_tokens)} → ${fmt.credits(line.credits)} ${t("credits")}`]), ...data.transactions.map((each) => [`${each.kind}${each.reason ? `: ${each.reason}` : ""}`, `${fmt.credits(each.amount)} → ${t("balance")} ${fmt.credits(each.balance)}`]), [t("usage_key"), h("code", {}, data.usage_key)]]));
    } catch (error) { fill(place, error.message); }
  } }, t("portal_explain")));
  return place;
}

async function showLimits(place) {
  try {
    const { data } = await get("/api/portal/limits");
    const named = (limit) => (me.owner_id.startsWith("org:") && limit.kind === "limit" ? limit.member || t("portal_every_member") : limit.kind === "quota" ? limit.meter : t("credits"));
    fill(place, h("h2", {}, t("portal_limits")), data.length ? allowanceBars(data, named) : empty(t("portal_no_limits")));
  } catch (error) { fill(place, problem(error, () => showLimits(place))); }
}

async function showGrants(place) {
  try {
    const { data } = await get("/api/portal/grants");
    fill(place, h("h2", {}, t("grants")), data.length ? table([{ key: "source", label: t("source") }, { key: "credits", label: t("granted"), num: true, show: (row) => fmt.credits(row.credits) }, { key: "remaining", label: t("remaining"), num: true, show: (row) => fmt.credits(row.remaining) }, { key: "expires_at", label: t("expires_at"), show: (row) => (row.expires_at ? fmt.time(row.expires_at) : t("never")) }, { key: "status", label: t("status") }], data, { quiet: true, caption: t("grants"), name: "grants" }) : empty(t("no_grants")));
  } catch (error) { fill(place, problem(error, () => showGrants(place))); }
}

async function saveStatement(query) {
  try {
    const { name, blob } = await fetchFile("/api/portal/statement", { query });
    download(name, blob, blob.type);
  } catch (error) { await dialog(t("failed"), () => problem(error)); }
}

async function showStatement(place, { start, end }) {
  const query = { from: start, to: end };
  try {
    const { data } = await get("/api/portal/statement", query);
    fill(place, h("div", { className: "head" }, h("h2", {}, t("portal_statement")), h("span", { className: "fill" }), ...["csv", "pdf"].map((format) => h("button", { onclick: () => saveStatement({ ...query, format, timezone: zone() }) }, t(`portal_${format}`))), h("button", { onclick: () => print() }, t("print"))),
    table([{ key: "name", label: t("line") }, { key: "value", label: t("credits"), num: true, show: (row) => fmt.credits(row.value) }], statementLines(data), { caption: t("statement_caption", { from: fmt.time(data.since), to: fmt.time(data.until) }), name: "statement" }));
  } catch (error) { fill(place, problem(error, () => showStatement(place, { start, end }))); }
}

onNavigate(() => { history.replaceState({}, "", `${location.pathname}${location.search}#${token}`); render(); });
addEventListener("popstate", render);
addEventListener("signed-out", start);
start();
