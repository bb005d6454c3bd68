// Webhooks: endpoints, their secrets, their deliveries.
import { get } from "./api.js";
import { confirmed, difference } from "./confirm.js";
import { empty, facts, fill, h, problem, skeleton } from "./dom.js";
import * as fmt from "./format.js";
import { actions, badge, button, column, details, filterBar, listing } from "./listing.js";
import { once } from "./page_keys.js";
import { link, params, path } from "./state.js";
import { saveButton, table } from "./tables.js";
import { t } from "./texts.js";

const EVENTS = ["credits.low", "credits.exhausted", "hold.expired", "settlement.completed", "settlement.shortfall", "usage.alert", "price.missing", "top_up.declined", "payment.reversed"];
const at = (row) => `/api/webhooks/${row.id}`;
const state = (row) => (row.disabled_at ? "disabled" : row.failing_since ? "failing" : "working");
const told = (row) => badge({ disabled: "bad", failing: "warn", working: "good" }[state(row)], t(`hook_${state(row)}`));
const preview = (answer) => facts([[t("field_url"), answer.url], [t("field_events"), answer.events.join(", ")], [t("field_description"), answer.description]]);
const FIELDS = (row) => [{ name: "url", label: t("field_url"), required: true, value: row?.url, placeholder: "https://…" }, { name: "events", label: t("field_events"), checks: EVENTS, value: row?.events || ["credits.low"] }, { name: "description", label: t("field_description"), value: row?.description }];
const body = (values) => ({ url: values.url, events: values.events, description: values.description || null });

const make = (done) => confirmed({ title: t("make_webhook"), method: "POST", path: "/api/webhooks", fields: FIELDS(null), body, preview, said: (answer) => t("said_hook_made", { url: answer.url }), done: async (answer) => { await done(); await once(t("secret"), answer.secret); } });
const edit = (row, done) => confirmed({ title: `${t("edit")} ${row.url}`, method: "PUT", path: at(row), fields: [...FIELDS(row), { name: "enabled", label: t("hook_enabled"), value: row.disabled_at ? "no" : "yes", options: [["yes", t("yes")], ["no", t("no")]] }], body: (values) => ({ ...body(values), enabled: values.enabled === "yes" }), preview: (answer) => difference(row, answer), said: () => t("said_hook_changed", { url: row.url }), done });
const rotate = (row, done) => confirmed({ title: `${t("rotate_secret")} ${row.url}`, method: "POST", path: `${at(row)}/rotate`, note: t("rotate_secret_note"), fields: [{ name: "overlap_seconds", label: t("overlap"), number: true, value: "86400", required: true }], preview, said: () => t("said_hook_changed", { url: row.url }), done: async (answer) => { await done(); await once(t("secret"), answer.secret); } });
const remove = (row, done) => confirmed({ title: `${t("delete")} ${row.url}`, danger: true, method: "DELETE", path: at(row), note: t("delete_hook_note"), preview, said: () => t("said_deleted", { name: row.url }), done });

export function render(main, context) {
  const id = path()[1];
  if (id) return deliveries(main, id);
  return listing(main, {
    name: "webhooks", title: t("page_webhooks"), address: "/api/webhooks", make, label: t("make_webhook"), command: "curl -X POST …/api/webhooks -d '{\"url\": \"https://…\", \"events\": [\"credits.low\"]}'",
    columns: (load) => [column("url"), column("events"), column("state", { value: state, show: (row) => [told(row), row.disabled_reason && h("div", { className: "fresh" }, row.disabled_reason)] }), column("description"), column("created_at"),
      { key: "deliveries", label: t("field_deliveries"), value: () => "", show: (row) => h("a", { href: link(["webhooks", row.id]) }, t("show")) },
      actions((row) => button(t("edit"), () => edit(row, load)), (row) => button(t("rotate_secret"), () => rotate(row, load)), (row) => button(t("delete"), () => remove(row, load), "danger"), details)],
  });
}

// Deliveries of one endpoint, with every attempt, and sent again.
async function deliveries(main, id) {
  const place = h("section", { className: "card" }, skeleton(true));
  const status = params().get("delivery") || "";
  const replay = (ids, done) => confirmed({ title: t("send_again"), method: "POST", path: `/api/webhooks/${id}/replay`, body: () => ({ ids }), preview: () => facts([[t("field_deliveries"), fmt.integer(ids.length)]]), said: (answer) => t("said_sent_again", { count: fmt.integer(answer.replayed) }), done });
  const load = async (rows = [], cursor = null) => {
    try {
      const { data, meta } = await get(`/api/webhooks/${id}/deliveries`, { status, cursor, limit: 100 });
      const all = [...rows, ...data];
      const failed = all.filter((row) => row.status === "failed").map((row) => row.id);
      const made = table([column("created_at"), column("event_type"), column("status", { show: (row) => badge({ delivered: "good", failed: "bad" }[row.status] || "warn", row.status) }), column("attempts", { num: true }), column("due_at"),
        column("history", { value: (row) => row.history.length, show: (row) => row.history.slice(0, 3).map((each) => h("div", {}, `${fmt.time(each.at)}: ${each.status ?? each.error} (${fmt.ms(each.duration_ms)})`)) }), actions((row) => row.status !== "pending" && button(t("send_again"), () => replay([row.id], () => load())), details)], all, { quiet: true, caption: t("field_deliveries"), name: "deliveries" });
      fill(place, h("div", { className: "actions" }, failed.length ? button(t("send_failed_again", { count: fmt.integer(failed.length) }), () => replay(failed, () => load())) : null, saveButton(made)), all.length ? made : empty(t("no_deliveries")), meta.next_cursor && h("button", { onclick: () => load(all, meta.next_cursor) }, t("more")));
    } catch (error) { fill(place, problem(error, () => load(rows, cursor))); }
  };
  const head = h("h1", {}, t("field_deliveries"));
  fill(main, h("div", { className: "head" }, head, h("span", { className: "fill" }), h("button", { onclick: () => load() }, t("refresh")), h("a", { className: "button", href: link("webhooks") }, `← ${t("page_webhooks")}`)),
    filterBar([{ name: "delivery", label: t("status"), options: [["", t("any")], "pending", "delivered", "failed"] }]), place);
  await load();
}
