// Wallets: the list, and one wallet with its grants, transactions, statement and corrections.
import { exact, get } from "./api.js";
import { empty, facts, fill, h, problem, skeleton } from "./dom.js";
import { confirmed, difference } from "./confirm.js";
import { numberOrNull, orNothing, words } from "./forms.js";
import * as fmt from "./format.js";
import { showLimits } from "./limits.js";
import { actions, button } from "./listing.js";
import { grantsButton, moments } from "./page_uses.js";
import { bar } from "./question.js";
import { change, link, params, path } from "./state.js";
import { saveButton, statementLines, table } from "./tables.js";
import { t } from "./texts.js";

export async function render(main, context) {
  const owner = path()[1];
  return owner ? wallet(main, owner, context) : list(main, context);
}

const status = (value) => h("span", { className: `badge ${value === "active" ? "good" : "bad"}` }, value);

async function list(main, { may }) {
  const place = h("section", { className: "card" }, skeleton(true));
  const prefix = params().get("prefix") || "";
  const search = h("input", { value: prefix, placeholder: "ada" });
  fill(main, h("div", { className: "head" }, h("h1", {}, t("page_wallets")), h("span", { className: "fill" }), may("wallets:write") && h("button", { className: "primary", onclick: grantNew }, t("grant"))),
    h("form", { className: "bar", role: "search", onsubmit: (event) => { event.preventDefault(); change({ prefix: search.value.trim() }); } }, h("label", {}, t("owner_begins"), search), h("button", {}, t("search"))), place);
  const rows = [];
  const more = async (cursor) => {
    try {
      const { data, meta } = await get("/api/wallets", { prefix, limit: 100, cursor });
      rows.push(...data);
      const made = table([
        { key: "owner_id", label: t("owner"), show: (row) => h("a", { href: link(["wallets", row.owner_id]) }, row.owner_id) }, { key: "email", label: t("email") },
        { key: "credits", label: t("free"), num: true, show: (row) => fmt.credits(row.credits) }, { key: "balance", label: t("balance"), num: true, show: (row) => fmt.credits(row.balance) },
        { key: "held", label: t("held"), num: true, show: (row) => fmt.credits(row.held) }, { key: "credit_limit", label: t("credit_limit"), num: true, show: (row) => fmt.credits(row.credit_limit) },
        { key: "plan", label: t("plan") }, { key: "status", label: t("status"), show: (row) => status(row.status) },
      ], rows, { caption: t("wallets_caption", { count: String(rows.length) }), name: "wallets" });
      fill(place, h("div", { className: "actions" }, saveButton(made)), rows.length ? made : empty(t("no_wallets"), "faregate grants add ada 100"), meta.next_cursor && h("button", { onclick: () => more(meta.next_cursor) }, t("more")));
    } catch (error) { fill(place, problem(error, () => more(cursor))); }
  };
  await more();
}

function grantNew() {
  return confirmed({ title: t("grant"), fields: [{ name: "owner", label: t("owner"), required: true }, ...GRANT()], method: "POST", path: (values) => `/api/wallets/${encodeURIComponent(values.owner)}/grants`, body: grantBody, preview: granted, said: saidGrant, done: () => dispatchEvent(new PopStateEvent("popstate")) });
}

const EVERY = ["", "day", "week", "month", "year"];
const GRANT = () => [{ name: "credits", label: t("of_credits"), number: true, required: true }, { name: "source", label: t("source"), value: "bonus", options: ["bonus", "purchase", "plan", "initial", "refund"] }, { name: "expires_at", label: t("expires_at"), moment: true }, { name: "priority", label: t("priority"), number: true, value: "50", hint: t("priority_hint") },
  { name: "every", label: t("renews"), value: "", options: EVERY.map((each) => [each, t(each ? `period_${each}` : "never")]) }, { name: "features", label: t("only_features"), placeholder: "ai_chat_v1", hint: t("only_features_hint") }, { name: "reason", label: t("reason") }];
const grantBody = (values) => ({ credits: exact(values.credits), source: values.source, expires_at: orNothing(values.expires_at), priority: values.priority ? exact(values.priority) : undefined, every: orNothing(values.every), features: values.features ? words(values.features) : undefined, reason: orNothing(values.reason) });
const saidGrant = (answer) => t("said_granted", { credits: fmt.credits(answer.grant.credits), free: fmt.credits(answer.credits) });
const granted = (answer) => facts([[t("free_after"), h("strong", {}, fmt.credits(answer.credits))], [t("balance_after"), fmt.credits(answer.balance)], [t("expires_at"), answer.grant.expires_at ? fmt.time(answer.grant.expires_at) : t("never")]]);

const moved = (answer) => facts([[t("amount_signed"), fmt.credits(answer.amount)], [t("balance_after"), h("strong", {}, fmt.credits(answer.balance))]]);
const ofTransaction = (row) => `/api/transactions/${encodeURIComponent(row.id)}`;
const giveBack = (row, done) => confirmed({ title: t("refund"), fields: [{ name: "credits", label: t("refund_credits"), value: String(row.amount).replace("-", ""), number: true, required: true }, { name: "reason", label: t("reason"), required: true }], method: "POST", path: `${ofTransaction(row)}/refund`, preview: moved, said: (answer) => t("said_adjusted", { amount: fmt.credits(answer.amount), balance: fmt.credits(answer.balance) }), done });
const chargeBack = (row, done) => confirmed({ title: t("charge_back"), danger: true, note: t("charge_back_note"), fields: [{ name: "reason", label: t("reason"), required: true }], method: "POST", path: `${ofTransaction(row)}/chargeback`, preview: (answer) => answer.map(moved), said: (answer) => t("said_charged_back", { count: fmt.integer(answer.length) }), done });

// The order in which a wallet's grants are used: priority, expiry (none last), paid ones last, age, id.
function burnsFirst(a, b) {
  const rank = (grant) => [grant.priority, grant.expires_at ?? "9999", ["purchase", "opening"].includes(grant.source) ? 1 : 0, grant.created_at, grant.id];
  const [x, y] = [rank(a), rank(b)];
  const place = x.findIndex((each, at) => each !== y[at]);
  return place < 0 ? 0 : x[place] < y[place] ? -1 : 1;
}

async function wallet(main, owner, { may }) {
  const at = `/api/wallets/${encodeURIComponent(owner)}`;
  const [head, grants, transactions, statement, limits] = [0, 1, 2, 3, 4].map(() => h("section", { className: "card" }, skeleton(true)));
  const writes = may("wallets:write");
  const correct = (sign) => confirmed({ title: t(sign > 0 ? "adjust_up" : "adjust_down"), fields: [{ name: "credits", label: t("of_credits"), number: true, required: true }, { name: "reason", label: t("reason"), required: true }], method: "POST", path: `${at}/adjustments`, body: (values) => ({ credits: exact((sign < 0 ? "-" : "") + values.credits.replace(/^-/, "")), reason: values.reason }), preview: (answer) => facts([[t("amount_signed"), fmt.credits(answer.amount)], [t("balance_after"), h("strong", {}, fmt.credits(answer.balance))]]), said: (answer) => t("said_adjusted", { amount: fmt.credits(answer.amount), balance: fmt.credits(answer.balance) }), done: load });
  const set = (title, before, fields) => confirmed({ title, fields, method: "PUT", path: at, body: (values) => Object.fromEntries(fields.map(({ name, number }) => [name, number ? numberOrNull(values[name]) : values[name] || null])), preview: (answer) => difference(plain(before), plain(answer)), said: () => t("said_saved", { name: owner }), done: load });
  const topUp = (before) => confirmed({ title: t("change_top_up"), note: t("top_up_note"), method: "PUT", path: at, fields: [{ name: "below", label: t("top_up_below"), number: true, value: before.top_up ? String(before.top_up.below) : "" }, { name: "credits", label: t("top_up_credits"), number: true, value: before.top_up ? String(before.top_up.credits) : "" }], body: (values) => ({ top_up: values.below && values.credits ? { below: exact(values.below), credits: exact(values.credits) } : null }), preview: (answer) => difference(plain(before), plain(answer)), said: () => t("said_saved", { name: owner }), done: load });
  const plain = ({ grants: _, ...rest }) => rest;

  async function load() {
    await Promise.all([showHead(), showGrants(), showTransactions(), showStatement(), owner.startsWith("org:") ? limits.remove() : showLimits(limits, `${at}/limits`, { writes })]);
  }
  async function showHead() {
    try {
      const { data } = await get(at);
      fill(head, facts([[t("free"), h("strong", { "data-free": true }, fmt.credits(data.credits))], [t("balance"), fmt.credits(data.balance)], [t("held"), fmt.credits(data.held)], [t("earmarked"), fmt.credits(data.earmarked)], [t("credit_limit"), fmt.credits(data.credit_limit)], [t("status"), status(data.status)], [t("plan"), data.plan], [t("email"), data.email], [t("filter_organizationId"), data.organization_id && h("a", { href: link(["organizations", data.organization_id]) }, data.organization_id)]]),
        writes && h("div", { className: "actions" }, h("button", { className: "primary", onclick: () => confirmed({ title: t("grant"), fields: GRANT(), method: "POST", path: `${at}/grants`, body: grantBody, preview: granted, said: saidGrant, done: load }) }, t("grant")), h("button", { onclick: () => correct(1) }, t("adjust_up")), h("button", { onclick: () => correct(-1) }, t("adjust_down")),
          h("button", { onclick: () => set(t("change_status"), data, [{ name: "status", label: t("status"), value: data.status, options: ["active", "frozen", "closed"] }]) }, t("change_status")), h("button", { onclick: () => set(t("change_plan"), data, [{ name: "plan", label: t("plan"), value: data.plan || "" }]) }, t("change_plan")), h("button", { onclick: () => set(t("change_limit"), data, [{ name: "credit_limit", label: t("credit_limit"), value: String(data.credit_limit), number: true }, { name: "low_balance", label: t("low_balance"), value: data.low_balance === null || data.low_balance === undefined ? "" : String(data.low_balance), number: true, hint: t("low_balance_hint") }]) }, t("change_limit")),
          h("button", { onclick: () => set(t("change_contact"), data, [{ name: "email", label: t("email"), value: data.email || "" }]) }, t("change_contact")), h("button", { onclick: () => topUp(data) }, t("change_top_up"))));
    } catch (error) { fill(head, problem(error, showHead)); }
  }
  async function showGrants() {
    try {
      const { data } = await get(`${at}/grants`);
      const order = new Map(data.filter((grant) => grant.status === "active" && Number(grant.remaining) > 0).sort(burnsFirst).map((grant, place) => [grant.id, place + 1]));
      const made = table([
        { key: "order", label: t("burn_order"), num: true, value: (row) => order.get(row.id) ?? "" }, { key: "source", label: t("source") }, { key: "credits", label: t("granted"), num: true, show: (row) => fmt.credits(row.credits) }, { key: "remaining", label: t("remaining"), num: true, show: (row) => fmt.credits(row.remaining) },
        { key: "priority", label: t("priority"), num: true }, { key: "effective_at", label: t("effective_at"), show: (row) => fmt.time(row.effective_at) }, { key: "expires_at", label: t("expires_at"), show: (row) => (row.expires_at ? fmt.time(row.expires_at) : t("never")) }, { key: "every", label: t("renews") }, { key: "status", label: t("status"), show: (row) => h("span", { className: `badge ${row.status === "active" ? "good" : ""}` }, row.status) }, { key: "reason", label: t("reason") },
        { key: "actions", label: "", value: () => "", show: (row) => writes && ["active", "scheduled"].includes(row.status) && h("button", { className: "small danger", onclick: () => confirmed({ title: t("void_grant"), danger: true, fields: [{ name: "reason", label: t("reason"), required: true }], method: "POST", path: `${at}/grants/${row.id}/void`, preview: granted, said: (answer) => t("said_voided_grant", { free: fmt.credits(answer.credits) }), done: load }) }, t("void")) },
      ], data, { caption: t("grants_caption"), name: `grants-${owner}`, sort: null });
      fill(grants, h("div", { className: "head" }, h("h2", {}, t("grants")), h("span", { className: "fill" }), saveButton(made)), data.length ? made : empty(t("no_grants"), `faregate grants add ${owner} 100`));
    } catch (error) { fill(grants, h("h2", {}, t("grants")), problem(error, showGrants)); }
  }
  async function showTransactions(cursor, rows = []) {
    try {
      const { data, meta } = await get(`${at}/transactions`, { limit: 50, cursor });
      rows.push(...data);
      const made = table([
        { key: "executed_at", label: t("time"), show: (row) => fmt.time(row.executed_at) }, { key: "kind", label: t("kind") }, { key: "amount", label: t("amount_signed"), num: true, show: (row) => fmt.credits(row.amount) }, { key: "balance", label: t("balance_after"), num: true, show: (row) => fmt.credits(row.balance) }, { key: "feature_key", label: t("filter_feature") },
        { key: "usage_key", label: t("usage_key"), show: (row) => row.usage_key && h("a", { className: "mono", href: link(["uses", row.usage_key]) }, row.usage_key) }, { key: "reason", label: t("reason") }, { key: "grants", label: t("paid_by"), value: () => "", show: grantsButton }, { key: "id", label: t("transaction"), show: (row) => h("code", {}, row.id) },
        actions((row) => writes && Number(row.amount) < 0 && row.kind === "charge" && button(t("refund"), () => giveBack(row, load)), (row) => writes && Number(row.amount) > 0 && row.kind === "grant" && button(t("charge_back"), () => chargeBack(row, load), "danger")),
      ], rows, { caption: t("transactions_caption"), name: `transactions-${owner}` });
      fill(transactions, h("div", { className: "head" }, h("h2", {}, t("transfers")), h("span", { className: "fill" }), saveButton(made)), rows.length ? made : empty(t("no_transfers")), meta.next_cursor && h("button", { onclick: () => showTransactions(meta.next_cursor, rows) }, t("more")));
    } catch (error) { fill(transactions, problem(error, () => showTransactions(cursor, rows))); }
  }
  async function showStatement() {
    try {
      const { data } = await get(`${at}/statement`, await moments());
      const made = table([{ key: "name", label: t("line") }, { key: "value", label: t("credits"), num: true, show: (row) => fmt.credits(row.value) }], statementLines(data), { caption: t("statement_caption", { from: fmt.time(data.since), to: fmt.time(data.until) }), name: `statement-${owner}` });
      fill(statement, h("div", { className: "head" }, h("h2", {}, t("statement")), h("span", { className: "fill" }), saveButton(made)), made);
    } catch (error) { fill(statement, h("h2", {}, t("statement")), problem(error, showStatement)); }
  }
  fill(main, h("div", { className: "head" }, h("h1", {}, owner), h("span", { className: "fill" }), h("a", { className: "button", href: link("explore", owner.startsWith("org:") ? { organizationId: owner.slice(4), by: "feature" } : { userId: owner, by: "feature" }) }, t("open_explore")), h("a", { className: "button", href: link("uses", { userId: owner }) }, t("page_uses")), h("a", { className: "button", href: link("wallets") }, `← ${t("page_wallets")}`)), head, grants, transactions, bar(), statement, limits);
  await load();
}
