// Lists that need no page of their own: open holds, alerts, the audit log.
import { confirmed } from "./confirm.js";
import { facts, h } from "./dom.js";
import * as fmt from "./format.js";
import { actions, badge, button, code, column, details, listing, number, walletLink } from "./listing.js";
import { link, path } from "./state.js";
import { t } from "./texts.js";

const LISTS = {
  holds: {
    address: "/api/holds", command: "faregate demo", empty: "no_holds",
    filters: () => [{ name: "user", query: "user_id", label: t("field_user_id"), placeholder: "ada" }, { name: "feature", query: "feature_key", label: t("filter_feature"), placeholder: "ai_chat_v1" }],
    columns: (may) => (load) => [column("usage_key", { show: (row) => h("a", { className: "mono", href: link(["uses", row.usage_key]) }, row.usage_key) }), walletLink("user_id"), walletLink("payer_id"), column("feature_key"), number("credits"), column("charging"), column("created_at"), column("expires_at"),
      actions((row) => may("credits:process") && button(t("void"), () => voidHold(row, load), "danger"), details)],
  },
  alerts: {
    address: "/api/alerts", command: "faregate quotas set --user ada --meter requests --limit 1000 --period day", empty: "no_alerts",
    filters: () => [{ name: "owner", query: "owner_id", label: t("owner"), placeholder: "ada" }, { name: "meter", label: t("field_meter"), placeholder: "requests" }, { name: "level", label: t("field_level"), options: [["", t("any")], "warning", "critical", "exceeded"] }, { name: "since", query: "from", label: t("from"), moment: true }, { name: "until", query: "to", label: t("until"), moment: true }],
    columns: () => () => [column("fired_at"), walletLink("owner_id"), column("meter"), column("level", { show: (row) => badge(row.level === "warning" ? "warn" : "bad", row.level) }), number("used"), number("limit"), column("runs_out_at"),
      column("deliveries", { show: (row) => row.deliveries.map((each) => h("div", {}, `${each.channel}: `, badge(each.status === "delivered" ? "good" : each.last_error ? "bad" : "warn", each.status), each.last_error && ` ${each.last_error}`)) }), actions(details)],
  },
  audit: {
    address: "/api/audit", command: "faregate audit", empty: "no_audit",
    filters: () => [{ name: "action", label: t("field_action"), placeholder: "wallets.*" }, { name: "actor", label: t("credential_id"), placeholder: "bootstrap" }, { name: "actor_user_id", label: t("person"), placeholder: "olga" }, { name: "owner", query: "owner_id", label: t("owner"), placeholder: "ada" }, { name: "request", query: "request_id", label: t("field_request_id") }, { name: "since", query: "from", label: t("from"), moment: true }, { name: "until", query: "to", label: t("until"), moment: true }],
    columns: () => () => [column("created_at"), column("actor", { show: (row) => row.actor_user_id || row.actor }), code("action"), walletLink("owner_id"), column("target", { show: (row) => Object.entries(row.target).map(([name, value]) => h("div", {}, `${name}: `, h("code", {}, String(value)))) }),
      column("changed", { value: changed, show: (row) => h("span", {}, changed(row)) }), column("status"), column("address"), code("request_id"), actions(details)],
  },
};

// Equal hashes before and after mean that nothing changed.
function changed(row) {
  if (!row.before_hash && !row.after_hash) return "—";
  return t(row.before_hash === row.after_hash ? "no" : "yes");
}

function voidHold(row, done) {
  return confirmed({
    title: `${t("void_hold")} ${row.usage_key}`, danger: true, method: "POST", path: "/api/credits-process/void", fields: [{ name: "reason", label: t("reason"), required: true }],
    body: (values) => ({ usage_key: row.usage_key, user_id: row.user_id, reason: values.reason }),
    preview: (answer) => facts([[t("set_free"), h("strong", {}, fmt.credits(row.credits))], [t("field_payer_id"), row.payer_id], [t("free_after"), fmt.credits(answer.credits)], [t("balance_after"), fmt.credits(answer.balance)]]),
    said: (answer) => t("said_voided", { key: row.usage_key, free: fmt.credits(answer.credits) }), done,
  });
}

export function render(main, { may }) {
  const name = path()[0];
  const spec = LISTS[name];
  return listing(main, { ...spec, name, title: t(`page_${name}`), filters: spec.filters(), columns: spec.columns(may) });
}
