// Closed months: the list, and one month with its totals, wallets, late facts and journal.
import { get } from "./api.js";
import { confirmed } from "./confirm.js";
import { empty, facts, fill, h, problem, skeleton } from "./dom.js";
import * as fmt from "./format.js";
import { column, listing, number, walletLink } from "./listing.js";
import { link, path } from "./state.js";
import { saveButton, statementLines, table } from "./tables.js";
import { bring, t } from "./texts.js";
import { texts } from "./texts_closes.en.js";

bring(texts);

const at = (period) => `/api/ledger/closes/${encodeURIComponent(period)}`;
const VALUES = ["deferred_opening", "received", "repaid", "revenue", "breakage", "forfeited", "deferred_closing"];
const of = (key, read) => number(key, { value: read, show: (row) => fmt.exactly(read(row)) });
const money = (name) => of(name, (row) => row.value[name]);
const moneyOf = (name) => ({ ...money(name), label: t(`close_${name}`) });
const preview = (answer) => facts([[t("field_period"), answer.period], [t("from"), answer.since ? fmt.time(answer.since) : "—"], [t("until"), fmt.time(answer.until)], [t("field_late"), fmt.integer(answer.late)], [t("field_opening"), fmt.credits(answer.statement.opening)], [t("field_closing"), fmt.credits(answer.statement.closing)], [t("close_deferred_closing"), fmt.usd(answer.statement.value.deferred_closing)]]);

const close = (done) => confirmed({
  title: t("close_month"), note: t("close_note"), method: "POST", path: "/api/ledger/closes",
  fields: [{ name: "period", label: t("close_period"), required: true, placeholder: "2026-10" }, { name: "timezone", label: t("close_timezone"), placeholder: "Europe/Berlin", hint: t("close_timezone_hint") }, { name: "catch_up", label: t("close_catch_up"), options: [["no", t("close_refuse")], ["yes", t("close_too")]] }],
  body: (values) => ({ period: values.period, timezone: values.timezone || null, catch_up: values.catch_up === "yes" }), preview, done,
  said: (answer) => t("said_closed", { period: answer.period, wallets: fmt.integer(answer.wallets), closing: fmt.credits(answer.statement.closing) }),
});

export function render(main, { may }) {
  const period = path()[1];
  if (period) return month(main, period);
  return listing(main, {
    name: "closes", title: t("page_closes"), address: "/api/ledger/closes", whole: true, empty: "closes_none", command: "faregate close run 2026-10", label: t("close_month"), make: may("wallets:write") && close,
    columns: () => [column("period", { show: (row) => h("a", { href: link(["closes", row.period]) }, row.period) }), column("timezone"), column("until"), of("opening", (row) => row.statement.opening), of("used", (row) => row.statement.used), of("closing", (row) => row.statement.closing),
      { ...of("revenue", (row) => row.statement.value.revenue), label: t("close_revenue") }, { ...of("deferred_closing", (row) => row.statement.value.deferred_closing), label: t("close_deferred_closing") }, number("late"), column("closed_at")],
  });
}

async function month(main, period) {
  const [totals, wallets, late, journal, credits] = [0, 1, 2, 3, 4].map(() => h("section", { className: "card" }, skeleton(true)));
  fill(main, h("div", { className: "head" }, h("h1", {}, period)), totals, wallets, late, journal, credits);
  if (!await showTotals(totals, period, () => month(main, period))) return [wallets, late, journal, credits].forEach((part) => part.remove());
  await Promise.all([rows(wallets, t("close_wallets"), `${at(period)}/wallets`, WALLETS(), `wallets-${period}`), rows(late, t("close_late"), `${at(period)}/late`, LATE(), `late-${period}`, "close_late_none"),
    rows(journal, t("close_journal"), `${at(period)}/journal`, JOURNAL(), `journal-${period}`, "close_journal_none"), rows(credits, t("close_journal_credits"), `${at(period)}/journal?unit=credits`, JOURNAL(), `journal-credits-${period}`)]);
}

const WALLETS = () => [walletLink("owner_id"), number("opening"), number("used"), number("expired"), number("refunded"), number("closing"), moneyOf("revenue"), moneyOf("deferred_closing")];
const LATE = () => [column("kind"), walletLink("owner_id"), column("happened_at"), column("recorded_at"), column("transaction_id"), number("credits"), number("usd")];
const JOURNAL = () => [column("entry"), column("date"), column("account"), column("name"), column("memo"), number("debit"), number("credit")];

// Returns whether the month is closed: the other parts of one that is not have nothing to show.
async function showTotals(place, period, again) {
  try {
    const { data } = await get(at(period));
    const { value, ...statement } = data.statement;
    const lines = table([{ key: "name", label: t("line") }, { key: "value", label: t("credits"), num: true, show: (row) => fmt.credits(row.value) }], statementLines(statement), { quiet: true, caption: t("close_credits"), name: `close-${period}`, sort: null });
    const usd = table([{ key: "name", label: t("line") }, { key: "value", label: "USD", num: true, show: (row) => fmt.usd(row.value) }], VALUES.map((name) => ({ name: t(`close_${name}`), value: value[name] })), { quiet: true, caption: t("close_value"), name: `paid-value-${period}`, sort: null });
    fill(place, h("p", {}, `${data.since ? fmt.time(data.since) : t("close_opening_note")} – ${fmt.time(data.until)} (${data.timezone}). `, t("close_moved", { wallets: fmt.integer(data.wallets), transfers: fmt.integer(data.transfers), late: fmt.integer(data.late) })),
      Number(data.unvalued) > 0 && h("p", {}, t("close_unvalued", { credits: fmt.credits(data.unvalued) })), h("div", { className: "head" }, h("h2", {}, t("close_credits")), h("span", { className: "fill" }), saveButton(lines)), lines, h("div", { className: "head" }, h("h2", {}, t("close_value")), h("span", { className: "fill" }), saveButton(usd)), usd);
    return true;
  } catch (error) { fill(place, problem(error, again)); return false; }
}

async function rows(place, title, address, columns, name, none = "nothing_here", before = [], cursor = null) {
  const again = () => rows(place, title, address, columns, name, none, before, cursor);
  try {
    const { data, meta } = await get(address, cursor ? { cursor } : {});
    const all = [...before, ...data];
    const made = table(columns, all, { quiet: true, caption: title, name, sort: null });
    fill(place, h("div", { className: "head" }, h("h2", {}, title), h("span", { className: "fill" }), all.length ? saveButton(made) : null), all.length ? made : empty(t(none)), meta.next_cursor && h("button", { onclick: () => rows(place, title, address, columns, name, none, all, meta.next_cursor) }, t("more")));
  } catch (error) { fill(place, h("h2", {}, title), problem(error, again)); }
}
