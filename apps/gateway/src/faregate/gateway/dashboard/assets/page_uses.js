// Uses: the list behind a number, and one use's whole story.
import { curl, get } from "./api.js";
import { copy, empty, facts, fill, h, problem, skeleton } from "./dom.js";
import * as fmt from "./format.js";
import { barOf, chips, question, usable } from "./question.js";
import { link, path } from "./state.js";
import { saveButton, table } from "./tables.js";
import { confirmed } from "./confirm.js";
import { t } from "./texts.js";

export async function render(main, context) {
  const key = path()[1];
  return key ? story(main, key, context) : list(main);
}

// The range as moments: the gateway knows where the zone's days begin.
export async function moments() {
  const { startDate, endDate, timezone } = question({ service: 1, model: 1, provider: 1, feature: 1, userId: 1, organizationId: 1, country: 1, device: 1, status: 1, meter: 1 });
  const { data } = await get("/api/analytics/explore", { startDate, endDate, timezone, top: 1, groupBy: "month", by: "status" });
  return { from: data.range.start, to: data.range.end };
}

// The filters of the list, and its range: analytics count a use when it is settled.
async function asked() {
  const { from, to } = await moments();
  const { userId, organizationId, feature, ...same } = usable({ meter: true });
  return { settled_from: from, settled_to: to, user_id: userId, organization_id: organizationId, feature_key: feature, ...same, limit: 100 };
}

async function list(main) {
  const place = h("section", { className: "card" }, skeleton(true));
  const dims = { meter: t("why_meter_uses") };
  fill(main, h("div", { className: "head" }, h("h1", {}, t("page_uses"))), barOf(dims), chips(dims), place);
  const rows = [];
  const more = async (query) => {
    try {
      const { data, meta } = await get("/api/usage", query);
      rows.push(...data);
      const made = table([
        { key: "executed_at", label: t("time"), show: (row) => h("a", { href: link(["uses", row.usage_key]) }, fmt.time(row.executed_at)) },
        { key: "user_id", label: t("by_user"), show: (row) => h("a", { href: link(["wallets", row.user_id]) }, row.user_id) },
        { key: "feature_key", label: t("by_feature") }, { key: "organization_id", label: t("by_organization") },
        { key: "credits_consumed", label: t("column_credits"), num: true, show: (row) => fmt.credits(row.credits_consumed) },
        { key: "credits_charged", label: t("column_chargedCredits"), num: true, show: (row) => fmt.credits(row.credits_charged) },
        { key: "usage_key", label: t("usage_key"), show: (row) => h("a", { className: "mono", href: link(["uses", row.usage_key]) }, row.usage_key) },
      ], rows, { caption: t("uses_caption", { count: String(rows.length) }), name: "uses" });
      fill(place, h("div", { className: "head" }, h("h2", {}, t("uses_title")), h("span", { className: "fill" }), h("button", { className: "small", onclick: () => copy(curl("/api/usage", query)) }, t("copy_curl")), rows.length ? saveButton(made) : null),
        rows.length ? made : empty(t("no_uses"), "faregate demo"), meta.next_cursor && h("button", { onclick: () => more({ ...query, cursor: meta.next_cursor }) }, t("more")));
    } catch (error) {
      fill(place, problem(error, () => more(query)));
    }
  };
  const begin = async () => {
    try { await more(await asked()); } catch (error) { fill(place, problem(error, begin)); }
  };
  await begin();
}

async function story(main, key, { may }) {
  const place = h("div", {}, skeleton(true));
  fill(main, h("div", { className: "head" }, h("h1", {}, t("one_use")), h("code", {}, key), h("span", { className: "fill" }), h("a", { className: "button", href: link("uses") }, `← ${t("page_uses")}`)), place);
  const load = async () => {
    try {
      const { data } = await get(`/api/credits-process/${encodeURIComponent(key)}`);
      fill(place, told(data, may, load));
    } catch (error) {
      fill(place, problem(error, load));
    }
  };
  await load();
}

function told(use, may, load) {
  const lines = table([
    { key: "ai_model", label: t("by_model") }, { key: "provider", label: t("by_provider") },
    { key: "input_tokens", label: t("column_inputTokens"), num: true, show: (row) => fmt.integer(row.input_tokens) },
    { key: "output_tokens", label: t("column_outputTokens"), num: true, show: (row) => fmt.integer(row.output_tokens) },
    { key: "provider_cost_usd", label: t("column_providerCostUsd"), num: true, show: (row) => fmt.usd(row.provider_cost_usd) },
    { key: "margin_percent", label: t("margin_percent"), num: true, show: (row) => fmt.exactly(row.margin_percent) },
    { key: "credits", label: t("column_credits"), num: true, show: (row) => fmt.credits(row.credits) }, { key: "price_version", label: t("price_version") },
  ], use.details, { quiet: true, caption: t("lines"), name: `lines-${use.usage_key}` });
  const transfers = table([
    { key: "executed_at", label: t("time"), show: (row) => fmt.time(row.executed_at) }, { key: "kind", label: t("kind") },
    { key: "amount", label: t("amount_signed"), num: true, show: (row) => fmt.credits(row.amount) }, { key: "balance", label: t("balance_after"), num: true, show: (row) => fmt.credits(row.balance) },
    { key: "reason", label: t("reason") }, { key: "grants", label: t("paid_by"), value: () => "", show: (row) => grantsButton(row) }, { key: "id", label: t("transaction"), show: (row) => h("code", {}, row.id) },
    { key: "actions", label: "", value: () => "", show: (row) => may("wallets:write") && Number(row.amount) < 0 && h("button", { className: "small", onclick: () => refund(row, load) }, t("refund")) },
  ], use.transactions, { quiet: true, caption: t("transfers"), name: `transfers-${use.usage_key}` });
  const steps = [[use.created_at, t("step_started", { hold: fmt.credits(use.hold) })], ...use.events.map((event) => [event.time, `${t("step_event")}: ${event.kind}${event.model ? ` ${event.model}` : ""}${event.latency_ms ? `, ${fmt.ms(event.latency_ms)}` : ""}`]), ...use.feature_logs.map((log) => [log.logged_at, `${t("step_log")}: ${log.method} ${log.code} ${log.endpoint || ""}`]),
    use.settled_at && [use.settled_at, t("step_settled", { charged: fmt.credits(use.credits_charged) })], use.closed_at && !use.settled_at && [use.closed_at, t("step_closed", { status: use.status })]].filter(Boolean).sort((a, b) => a[0].localeCompare(b[0]));
  return [h("section", { className: "card" }, facts([
    [t("status"), h("span", {}, h("span", { className: `badge ${use.status === "settled" ? "good" : "warn"}` }, use.status), use.flags.map((flag) => h("span", { className: "badge warn" }, flag)))],
    [t("by_user"), h("a", { href: link(["wallets", use.user_id]) }, use.user_id)], use.organization_id && [t("by_organization"), use.organization_id], [t("by_feature"), use.feature_key], [t("charging"), use.charging],
    [t("hold"), fmt.credits(use.hold)], [t("column_credits"), fmt.credits(use.credits_consumed)], [t("column_chargedCredits"), h("strong", {}, fmt.credits(use.credits_charged))], [t("shortfall"), fmt.credits(use.shortfall)], use.duration_ms !== null && [t("duration"), fmt.ms(use.duration_ms)], use.reason && [t("reason"), use.reason],
  ])), h("section", { className: "card" }, h("h2", {}, t("lines")), use.details.length ? lines : empty(t("no_lines"))), h("section", { className: "card" }, h("h2", {}, t("transfers")), use.transactions.length ? transfers : empty(t("no_transfers"))),
  h("section", { className: "card" }, h("h2", {}, t("story")), h("ol", { className: "timeline" }, steps.map(([at, text]) => h("li", {}, h("time", { datetime: at }, fmt.time(at)), h("div", {}, text))))),
  use.metadata && Object.keys(use.metadata).length ? h("section", { className: "card" }, h("h2", {}, t("metadata")), h("pre", { tabindex: "0" }, JSON.stringify(use.metadata, null, 2))) : null];
}

export function grantsButton(row) {
  const place = h("span", {}, h("button", { className: "small", onclick: async () => {
    try {
      const { data } = await get(`/api/transactions/${encodeURIComponent(row.id)}`);
      fill(place, data.grants.length ? data.grants.map((each) => h("div", {}, fmt.credits(each.credits), " ", h("span", { className: "fresh" }, `${each.source} `), h("code", {}, each.grant_id.slice(0, 8)))) : t("no_grants"));
    } catch (error) { fill(place, error.message); }
  } }, t("show_grants")));
  return place;
}

function refund(row, done) {
  return confirmed({ title: t("refund"), fields: [{ name: "credits", label: t("refund_credits"), value: String(row.amount).replace("-", ""), number: true }, { name: "reason", label: t("reason"), required: true }], method: "POST", path: `/api/transactions/${encodeURIComponent(row.id)}/refund`,
    preview: (answer) => facts([[t("balance_after"), fmt.credits(answer.balance)], [t("amount_signed"), fmt.credits(answer.amount)]]), done });
}
