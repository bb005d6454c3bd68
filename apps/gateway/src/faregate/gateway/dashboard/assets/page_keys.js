// API keys: make, rotate, revoke.
import { exact } from "./api.js";
import { confirmed } from "./confirm.js";
import { dialog, facts, h } from "./dom.js";
import * as fmt from "./format.js";
import { orNothing, words } from "./forms.js";
import { actions, badge, button, code, column, details, listing } from "./listing.js";
import { t } from "./texts.js";

// A secret is shown once.
export function once(title, secret) {
  return dialog(title, () => h("div", {}, h("p", {}, t("shown_once")), h("pre", { tabindex: "0" }, secret)));
}

const isOver = (row) => row.revoked_at || (row.expires_at && new Date(row.expires_at) < new Date());
const state = (row) => (row.revoked_at ? "revoked" : isOver(row) ? "expired" : "valid");

const preview = (answer) => facts([[t("name"), answer.name], [t("field_scopes"), answer.scopes.join(", ")], [t("field_environment"), answer.environment], [t("field_expires_at"), answer.expires_at ? fmt.time(answer.expires_at) : t("never")],
  [t("field_allowed_ips"), answer.allowed_ips ? answer.allowed_ips.join(", ") : t("any_address")], [t("field_spend_caps"), answer.spend_caps.length ? caps(answer) : t("no_cap")], answer.revoked_at && [t("field_revoked_at"), fmt.time(answer.revoked_at)]]);
const caps = (row) => row.spend_caps.map((cap) => `${fmt.credits(cap.spent)} / ${cap.credits === null ? "∞" : fmt.credits(cap.credits)} (${t(`period_${cap.period}`)})`).join(", ");

function make(scopes, done) {
  return confirmed({
    title: t("make_key"), method: "POST", path: "/api/keys", preview,
    fields: [{ name: "name", label: t("name"), required: true }, { name: "scopes", label: t("field_scopes"), checks: scopes, value: ["analytics:read"] }, { name: "environment", label: t("field_environment"), options: ["live", "test"] }, { name: "expires_at", label: t("expires_at"), moment: true },
      { name: "allowed_ips", label: t("field_allowed_ips"), placeholder: "203.0.113.0/24", hint: t("allowed_ips_hint") }, { name: "cap", label: t("cap"), number: true, hint: t("cap_hint") }, { name: "period", label: t("cap_period"), value: "month", options: ["day", "week", "month", "total"].map((each) => [each, t(`period_${each}`)]) }],
    body: (values) => ({ name: values.name, scopes: values.scopes, environment: values.environment, expires_at: orNothing(values.expires_at), allowed_ips: values.allowed_ips ? words(values.allowed_ips) : undefined, spend_cap: values.cap ? { credits: exact(values.cap), period: values.period } : undefined }),
    said: (answer) => t("said_key_made", { name: answer.name }), done: async (answer) => { await done(); await once(t("make_key"), answer.key); },
  });
}

function rotate(row, done) {
  return confirmed({
    title: `${t("rotate")} ${row.name}`, method: "POST", path: `/api/keys/${row.key_id}/rotate`, note: t("rotate_note"), preview,
    fields: [{ name: "overlap_seconds", label: t("overlap"), number: true, value: "86400", required: true }],
    said: (answer) => t("said_key_made", { name: answer.name }), done: async (answer) => { await done(); await once(t("make_key"), answer.key); },
  });
}

function revoke(row, done) {
  return confirmed({ title: `${t("revoke")} ${row.name}`, danger: true, method: "DELETE", path: `/api/keys/${row.key_id}`, note: t("revoke_note"), preview, said: (answer) => t("said_key_revoked", { name: answer.name }), done });
}

export function render(main, { session }) {
  return listing(main, {
    name: "keys", title: t("page_keys"), address: "/api/keys", command: "faregate keys create --name desk --scopes analytics:read", label: t("make_key"), make: (done) => make([...session.scopes].sort(), done),
    columns: (load) => [column("name"), code("key_id"), column("state", { value: state, show: (row) => badge({ valid: "good", revoked: "bad", expired: "warn" }[state(row)], t(`key_${state(row)}`)) }), column("scopes"), column("spend_caps", { value: caps, show: (row) => caps(row) || "—" }), column("created_by"), column("created_at"), column("expires_at", { show: (row) => (row.expires_at ? fmt.time(row.expires_at) : t("never")) }), column("last_used_at"),
      actions((row) => !isOver(row) && button(t("rotate"), () => rotate(row, load)), (row) => !row.revoked_at && button(t("revoke"), () => revoke(row, load), "danger"), details)],
  });
}
