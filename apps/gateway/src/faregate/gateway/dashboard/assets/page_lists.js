// Lists without pages of their own: holds, quotas, alerts, webhooks, keys, audit, the system.
import { get } from "./api.js";
import { dialog, empty, fill, h, problem, skeleton } from "./dom.js";
import { confirmed } from "./confirm.js";
import * as fmt from "./format.js";
import { link, path } from "./state.js";
import { saveButton, table } from "./tables.js";
import { t } from "./texts.js";

const shown = (value) => (value === null || value === undefined ? "—" : typeof value === "object" ? (Array.isArray(value) ? value.join(", ") : JSON.stringify(value)) : String(value));
const isTime = (value) => typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value);
const wallet = (name) => (row) => row[name] && h("a", { href: link(["wallets", row[name]]) }, row[name]);
const column = (key, more = {}) => ({ key, label: t(`field_${key}`), value: (row) => (typeof row[key] === "object" ? shown(row[key]) : row[key]), show: (row) => (isTime(row[key]) ? fmt.time(row[key]) : shown(row[key])), ...more });
const number = (key) => column(key, { num: true, show: (row) => fmt.exactly(row[key]) });
const whole = (row) => h("button", { className: "small", onclick: () => dialog(t("details"), () => h("pre", { tabindex: "0" }, JSON.stringify(row, null, 2))) }, t("details"));

// Per page: address, columns, command of the empty state, scope of its changes, actions of a row, what can be made.
const LISTS = {
  holds: { address: "/api/holds", columns: () => [column("usage_key", { show: (row) => h("a", { className: "mono", href: link(["uses", row.usage_key]) }, row.usage_key) }), column("user_id", { show: wallet("user_id") }), column("payer_id", { show: wallet("payer_id") }), column("feature_key"), number("credits"), column("created_at"), column("expires_at")], command: "faregate demo", scope: "credits:process",
    actions: (row, done) => h("button", { className: "small danger", onclick: () => confirmed({ title: `${t("void_hold")} ${row.usage_key}`, danger: true, method: "POST", path: "/api/credits-process/void", fields: [{ name: "reason", label: t("reason"), required: true }], body: (values) => ({ usage_key: row.usage_key, user_id: row.user_id, reason: values.reason }), done }) }, t("void")) },
  quotas: { address: "/api/quotas", columns: () => [column("owner_id", { show: (row) => (row.owner_id ? wallet("owner_id")(row) : t("everybody")) }), column("meter"), column("period"), number("limit"), column("hard"), column("emails"), column("status", { value: () => "", show: statusButton })], command: "faregate quotas set --user ada --meter requests --limit 1000 --period day", scope: "quotas:write",
    actions: (row, done) => h("button", { className: "small danger", onclick: () => confirmed({ title: `${t("delete")} ${row.meter}`, danger: true, method: "DELETE", path: `/api/quotas/${row.id}`, done }) }, t("delete")),
    make: (done) => confirmed({ title: t("define"), method: "PUT", path: "/api/quotas", fields: [{ name: "document", label: "JSON", rows: 8, required: true, value: JSON.stringify({ owner_id: "ada", meter: "requests", limit: 1000, period: "day", hard: false }, null, 2) }], body: (values) => { JSON.parse(values.document); return values.document; }, preview: (answer) => h("pre", {}, JSON.stringify(answer, null, 2)), done }) },
  alerts: { address: "/api/alerts", columns: () => [column("fired_at"), column("owner_id"), column("meter"), column("level"), number("used"), number("limit")], command: "faregate alerts list" },
  webhooks: { address: "/api/webhooks", columns: () => [column("url"), column("events"), column("disabled_at"), column("description"), column("created_at"), column("deliveries", { value: () => "", show: deliveriesButton })], command: "curl -X POST …/api/webhooks -d '{\"url\": \"https://…\", \"events\": [\"credits.low\"]}'", scope: "webhooks:admin",
    actions: (row, done) => h("button", { className: "small danger", onclick: () => confirmed({ title: `${t("delete")} ${row.url}`, danger: true, method: "DELETE", path: `/api/webhooks/${row.id}`, done }) }, t("delete")),
    make: (done) => confirmed({ title: t("define"), method: "POST", path: "/api/webhooks", fields: [{ name: "url", label: "URL", required: true }, { name: "events", label: t("field_events"), required: true, value: "credits.low" }], body: (values) => ({ url: values.url, events: values.events.split(/[\s,]+/).filter(Boolean) }), done: (answer) => { once(t("secret"), answer.secret); done(); } }) },
  keys: { address: "/api/keys", columns: () => [column("name"), column("key_id", { show: (row) => h("code", {}, row.key_id) }), column("scopes"), column("created_by"), column("created_at"), column("expires_at"), column("revoked_at"), column("last_used_at")], command: "faregate keys create --name desk --scopes analytics:read", scope: "keys:admin",
    actions: (row, done) => !row.revoked_at && h("button", { className: "small danger", onclick: () => confirmed({ title: `${t("revoke")} ${row.name}`, danger: true, method: "DELETE", path: `/api/keys/${row.key_id}`, done }) }, t("revoke")),
    make: (done) => confirmed({ title: t("make_key"), method: "POST", path: "/api/keys", fields: [{ name: "name", label: t("name"), required: true }, { name: "scopes", label: t("field_scopes"), required: true, value: "analytics:read" }], body: (values) => ({ name: values.name, scopes: values.scopes.split(/[\s,]+/).filter(Boolean) }), done: (answer) => { once(t("make_key"), answer.key); done(); } }) },
  audit: { address: "/api/audit", columns: () => [column("created_at"), column("actor", { show: (row) => row.actor_user_id || row.actor }), column("action"), column("owner_id", { show: wallet("owner_id") }), column("target"), column("status"), column("address"), column("request_id", { show: (row) => h("code", {}, row.request_id) })], command: "faregate audit" },
};

export function render(main, context) {
  const kind = path()[0];
  return kind === "system" ? system(main) : list(main, kind, context);
}

async function list(main, kind, { may }) {
  const spec = LISTS[kind];
  const changes = spec.scope && may(spec.scope);
  const place = h("section", { className: "card" }, skeleton(true));
  const load = async () => {
    const rows = [];
    const more = async (cursor) => {
      try {
        const { data, meta } = await get(spec.address, { limit: 100, cursor });
        rows.push(...data);
        const columns = [...spec.columns(), { key: "whole", label: "", value: () => "", show: (row) => [whole(row), " ", changes && spec.actions && spec.actions(row, load)] }];
        const made = table(columns, rows, { quiet: true, caption: t(`page_${kind}`), name: kind });
        fill(place, h("div", { className: "actions" }, saveButton(made)), rows.length ? made : empty(t("nothing_here"), spec.command), meta.next_cursor && h("button", { onclick: () => more(meta.next_cursor) }, t("more")));
      } catch (error) { fill(place, problem(error, () => more(cursor))); }
    };
    await more();
  };
  fill(main, h("div", { className: "head" }, h("h1", {}, t(`page_${kind}`)), h("span", { className: "fill" }), changes && spec.make && h("button", { className: "primary", onclick: () => spec.make(load) }, t("define")), h("button", { onclick: load }, t("refresh"))), place);
  await load();
}

function statusButton(row) {
  const place = h("span", {}, h("button", { className: "small", onclick: async () => {
    try {
      const { data } = await get(`/api/quotas/${row.id}/status`);
      fill(place, h("pre", {}, JSON.stringify(data, null, 2)));
    } catch (error) { fill(place, error.message); }
  } }, t("show")));
  return place;
}

function deliveriesButton(row) {
  return h("button", { className: "small", onclick: () => dialog(t("field_deliveries"), () => {
    const place = h("div", {}, skeleton());
    get(`/api/webhooks/${row.id}/deliveries`).then(({ data }) => fill(place, data.length ? table(Object.keys(data[0]).filter((key) => typeof data[0][key] !== "object").map((key) => ({ key, label: key.replaceAll("_", " ") })), data, { quiet: true, caption: t("field_deliveries"), name: "deliveries" }) : empty(t("nothing_here")))).catch((error) => fill(place, problem(error)));
    return place;
  }) }, t("show"));
}

// A secret is shown once.
function once(title, secret) {
  return dialog(title, () => h("div", {}, h("p", {}, t("shown_once")), h("pre", { tabindex: "0" }, secret)));
}

async function system(main) {
  const place = h("div", {}, skeleton(true));
  const load = async () => {
    try {
      const { data } = await get("/api/system");
      const part = (title, columns, rows, command) => h("section", { className: "card" }, h("h2", {}, title), rows.length ? table(columns, rows, { quiet: true, caption: title, name: title }) : empty(t("nothing_here"), command));
      fill(place, part(t("processes"), [column("role"), column("instance"), column("reported_at"), column("settled_until")], data.processes, "faregate worker"),
        part(t("queues"), [column("name", { show: (row) => h("span", { title: row.meaning }, row.name) }), column("labels"), number("value"), column("meaning")], data.gauges),
        part(t("jobs"), [column("name"), column("next_at"), column("last_started_at"), column("last_finished_at"), column("leased_until"), column("last_error")], data.jobs, "faregate worker"));
    } catch (error) { fill(place, problem(error, load)); }
  };
  fill(main, h("div", { className: "head" }, h("h1", {}, t("page_system")), h("span", { className: "fill" }), h("button", { onclick: load }, t("refresh"))), place);
  await load();
}
