// The books beside those of the period before, run-out dates, and allowances: the cards of the overview below the charts.
import { get } from "./api.js";
import { allowanceBars } from "./allowances.js";
import { empty, fill, h, problem } from "./dom.js";
import * as fmt from "./format.js";
import { sum } from "./charts.js";
import { filters } from "./question.js";
import { link, zone } from "./state.js";
import { saveButton, table } from "./tables.js";
import { t } from "./texts.js";

const minus = (value) => (Number(value) === 0 ? "0" : String(value).startsWith("-") ? String(value).slice(1) : `-${value}`);
const granted = (statement) => sum(Object.values(statement.granted).map(String));

// What a statement and the totals of usage say about the business, each line beside the period before.
function lines(now, before, explore, wallets) {
  const line = (name, value, earlier, format = "credits") => ({ name: t(`business_${name}`), key: name, value, before: earlier, format });
  const both = (name, read, format) => line(name, read(now), before && read(before), format);
  return [both("opening", (each) => each.opening), both("granted", granted), both("used", (each) => minus(each.used)), both("expired", (each) => minus(each.expired)),
    both("other", (each) => sum([each.refunded, each.adjusted, minus(each.voided), minus(each.charged_back)].map(String))), both("closing", (each) => each.closing),
    line("held", wallets.held, null), line("revenue", explore.totals.chargedCredits, explore.before?.chargedCredits), line("cost", explore.totals.providerCostUsd, explore.before?.providerCostUsd, "usd"), line("margin", explore.totals.marginCredits, explore.before?.marginCredits),
    both("deferred", (each) => each.deferred_closing), both("breakage", (each) => each.breakage_paid)];
}

const unfiltered = () => (Object.keys(filters()).length ? h("p", { className: "fresh" }, t("not_filtered")) : null);

export async function showBusiness(card, explore) {
  const { start, end } = explore.range;
  try {
    const read = (path, query) => get(path, query).then((answer) => answer.data);
    const [now, before, wallets] = await Promise.all([read("/api/ledger/statement", { from: start, to: end }), read("/api/ledger/statement", { from: explore.rangeBefore.start, to: explore.rangeBefore.end }), read("/api/ledger/balance")]);
    const columns = [{ key: "name", label: t("line") }, { key: "value", label: t("this_range"), num: true, show: (row) => h("span", { "data-line": row.key }, fmt[row.format](row.value)) },
      { key: "before", label: t("period_before"), num: true, show: (row) => fmt[row.format](row.before) },
      { key: "change", label: t("change"), num: true, value: (row) => fmt.change(row.value, row.before) ?? "", show: (row) => { const moved = fmt.change(row.value, row.before); return moved === null ? "—" : `${moved > 0 ? "+" : ""}${fmt.percent(moved)}`; } }];
    const made = table(columns, lines(now, before, explore, wallets), { caption: t("business_caption"), name: "business" });
    fill(card, h("div", { className: "head" }, h("h2", {}, t("business")), h("span", { className: "fill" }), h("span", { className: "fresh" }, t("as_of", { time: fmt.time(wallets.at) })), saveButton(made), h("a", { className: "button small", href: link("wallets") }, t("page_wallets"))), unfiltered(), made);
  } catch (error) {
    fill(card, h("h2", {}, t("business")), problem(error, () => showBusiness(card, explore)));
  }
}

// A date with its range: the earliest and the latest that the pace allows.
function between(row) {
  const date = row.runsOutAt ? fmt.day(row.runsOutAt) : t("beyond");
  return row.earliestAt ? h("span", {}, date, h("span", { className: "fresh" }, ` ${t("between", { from: fmt.day(row.earliestAt), to: row.latestAt ? fmt.day(row.latestAt) : "…" })}`)) : date;
}

export async function showRunOuts(card) {
  try {
    const { data } = await get("/api/analytics/run-outs", { timezone: zone(), limit: 8 });
    const rows = data.people.filter((row) => row.runsOutAt || row.cappedAt);
    const columns = [{ key: "userId", label: t("owner"), show: (row) => (row.userId ? h("a", { href: link(["wallets", row.userId]) }, row.userId) : t("everybody")) },
      { key: "about", label: t("runs_out"), show: (row) => (row.about === "quota" ? `${row.meter} (${t(`per_${row.period}`)})` : t("balance")) },
      { key: "runsOutAt", label: t("run_out_date"), show: between }, { key: "perWeek", label: t("per_week_used"), num: true, show: (row) => fmt.credits(row.perWeek) }];
    const made = table(columns, rows, { quiet: true, caption: t("run_outs"), name: "run-outs" });
    fill(card, h("div", { className: "head" }, h("h2", {}, t("run_outs")), h("span", { className: "fill" }), h("span", { className: "fresh" }, t("as_of", { time: fmt.time(data.madeAt) })), rows.length ? saveButton(made) : null), unfiltered(),
      rows.length ? made : empty(t(data.enough ? "no_run_outs" : "no_run_outs_yet")));
  } catch (error) {
    fill(card, h("h2", {}, t("run_outs")), problem(error, () => showRunOuts(card)));
  }
}

function owner(allowance) {
  if (allowance.client) return `${t("api_key")} ${allowance.client}`;
  if (!allowance.owner_id || allowance.owner_id === "*") return t("everybody");
  const name = h("a", { href: link(["wallets", allowance.owner_id]) }, allowance.owner_id);
  return allowance.organization_id ? [name, ` (${allowance.organization_id})`] : name;
}

export async function showAllowances(card) {
  try {
    const { data } = await get("/api/analytics/allowances", { limit: 8 });
    fill(card, h("div", { className: "head" }, h("h2", {}, t("allowances")), h("span", { className: "fill" }), h("a", { className: "button small", href: link("quotas") }, t("page_quotas"))), unfiltered(),
      data.length ? allowanceBars(data, owner) : empty(t("no_allowances"), "faregate quotas set ada requests 1000 --period month"));
  } catch (error) {
    fill(card, h("h2", {}, t("allowances")), problem(error, () => showAllowances(card)));
  }
}
