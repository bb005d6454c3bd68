// Dead letters: read, replay, drop.
import { get } from "./api.js";
import { dialog, empty, fill, h, problem, skeleton } from "./dom.js";
import { confirmed } from "./confirm.js";
import * as fmt from "./format.js";
import { saveButton, table } from "./tables.js";
import { t } from "./texts.js";

export async function render(main, { may }) {
  const place = h("section", { className: "card" }, skeleton(true));
  const act = (what, ids) => confirmed({ title: t(`${what}_letters`, { count: String(ids.length) }), danger: what === "drop", method: "POST", path: `/api/dead-letters/${what}`, body: () => ({ ids }), note: t(`${what}_note`), done: load });
  const load = async () => {
    try {
      const { data } = await get("/api/dead-letters");
      const made = table([
        { key: "dead_at", label: t("time"), value: (row) => row.dead_at ?? row.created_at, show: (row) => fmt.time(row.dead_at ?? row.created_at) }, { key: "queue", label: t("queue") }, { key: "reason", label: t("reason") }, { key: "id", label: t("id"), show: (row) => h("code", {}, row.id) },
        { key: "actions", label: "", value: () => "", show: (row) => [h("button", { className: "small", onclick: () => dialog(t("letter"), () => h("pre", { tabindex: "0" }, JSON.stringify(row, null, 2))) }, t("read")), " ", may("ops:write") && h("button", { className: "small", onclick: () => act("replay", [row.id]) }, t("replay")), " ", may("ops:write") && h("button", { className: "small danger", onclick: () => act("drop", [row.id]) }, t("drop"))] },
      ], data, { caption: t("letters_caption", { count: String(data.length) }), name: "dead-letters" });
      fill(place, data.length ? [h("div", { className: "actions" }, may("ops:write") && h("button", { onclick: () => act("replay", data.map((row) => row.id)) }, t("replay_all")), saveButton(made)), made] : empty(t("no_letters"), "faregate dlq list"));
    } catch (error) { fill(place, problem(error, load)); }
  };
  fill(main, h("div", { className: "head" }, h("h1", {}, t("page_dead-letters")), h("span", { className: "fill" }), h("button", { onclick: () => load() }, t("refresh"))), place);
  await load();
}
