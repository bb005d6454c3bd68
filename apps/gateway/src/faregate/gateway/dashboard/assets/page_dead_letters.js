// Dead letters: read, replay, drop.
import { confirmed } from "./confirm.js";
import { dialog, facts, h } from "./dom.js";
import * as fmt from "./format.js";
import { actions, button, code, column, listing, long } from "./listing.js";
import { readable } from "./difference.js";
import { t } from "./texts.js";

const read = (row) => dialog(t("letter"), () => h("div", {}, facts([[t("queue"), h("code", {}, row.queue)], [t("field_dead_at"), fmt.time(row.dead_at)], [t("field_attempts"), fmt.integer(row.attempts)], [t("reason"), row.reason], [t("id"), h("code", {}, row.id)]]),
  h("h3", {}, t(`body_${row.body_encoding}`)), h("pre", { tabindex: "0" }, typeof row.body === "string" ? row.body : readable(row.body))));

function act(what, rows, done) {
  const queues = [...new Set(rows.map((row) => row.queue))].join(", ");
  return confirmed({
    title: t(`${what}_letters`, { count: fmt.integer(rows.length) }), danger: what === "drop", method: "POST", path: `/api/dead-letters/${what}`, body: () => ({ ids: rows.map((row) => row.id) }), note: t(`${what}_note`),
    preview: (answer) => facts([[t("still_there"), fmt.integer(answer.count)], [t("queues"), queues], [t("reason"), [...new Set(rows.map((row) => row.reason))].slice(0, 5).join(" · ")]]),
    said: (answer) => t(`said_${what}`, { count: fmt.integer(answer.count) }), done,
  });
}

export function render(main, { may }) {
  const writes = may("ops:write");
  return listing(main, {
    name: "dead-letters", title: t("page_dead-letters"), address: "/api/dead-letters", empty: "no_letters", command: "faregate dlq list", filters: [{ name: "queue", label: t("queue"), placeholder: "usage_events_queue" }],
    above: (rows, load) => writes && rows.length > 0 && [h("button", { onclick: () => act("replay", rows, load) }, t("replay_all")), h("button", { className: "danger", onclick: () => act("drop", rows, load) }, t("drop_all"))],
    columns: (load) => [column("dead_at"), code("queue", { label: t("queue") }), column("reason", { show: long((row) => row.reason) }), column("attempts", { num: true }),
      actions((row) => button(t("read"), () => read(row)), (row) => writes && button(t("replay"), () => act("replay", [row], load)), (row) => writes && button(t("drop"), () => act("drop", [row], load), "danger"))],
  });
}
