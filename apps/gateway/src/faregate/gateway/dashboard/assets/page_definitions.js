// Features and plans: definitions that are edited as JSON, with the difference and a dry run.
import { confirmed, difference, readable } from "./confirm.js";
import { h } from "./dom.js";
import { jsonText } from "./forms.js";
import { actions, badge, button, code, column, listing, number } from "./listing.js";
import { path } from "./state.js";
import { t } from "./texts.js";

const KINDS = {
  features: { command: "faregate features set ai_chat_v1 --strategy token_priced", fresh: { name: "", strategy: "token_priced", parameters: {}, min_credits: 0, active: true }, columns: () => [column("strategy"), number("min_credits", { label: t("min_credits") }), column("active", { show: (row) => badge(row.active ? "good" : "bad", t(row.active ? "yes" : "no")) })] },
  plans: { command: "faregate plans set basic --name Basic", fresh: { name: "", grants: [] }, columns: () => [number("margin_percent"), column("grants", { value: (row) => row.grants.length, show: (row) => row.grants.map((each) => h("div", {}, [each.credits, each.every && t("each_period", { every: each.every })].filter(Boolean).join(" "))) })] },
};
const READ_ONLY = ["key", "id", "created_at", "updated_at", "version", "source"];
const editable = (row) => Object.fromEntries(Object.entries(row).filter(([name, value]) => value !== null && !READ_ONLY.includes(name)));

function edit(kind, row, done) {
  return confirmed({
    title: row ? `${t("edit")} ${row.key}` : t("define"), method: "PUT", path: (values) => `/api/${kind}/${encodeURIComponent(row ? row.key : values.key)}`,
    fields: [...(row ? [] : [{ name: "key", label: t("key"), required: true, placeholder: kind === "features" ? "ai_chat_v1" : "basic" }]), { name: "document", label: t("document"), rows: 14, required: true, value: readable(row ? editable(row) : KINDS[kind].fresh), hint: t(`document_${kind}`) }],
    body: (values) => jsonText(values.document), preview: (answer) => difference(row, answer), said: (answer) => t("said_saved", { name: answer.key }), done,
  });
}

function remove(kind, row, done) {
  return confirmed({ title: `${t("delete")} ${row.key}`, danger: true, method: "DELETE", path: `/api/${kind}/${encodeURIComponent(row.key)}`, preview: () => difference(row, null), said: () => t("said_deleted", { name: row.key }), done });
}

export function render(main, { may }) {
  const kind = path()[0];
  const writes = may("features:write");
  return listing(main, {
    name: kind, title: t(`page_${kind}`), address: `/api/${kind}`, whole: true, empty: "nothing_defined", command: KINDS[kind].command, make: writes && ((done) => edit(kind, null, done)),
    columns: (load) => [code("key", { label: t("key") }), column("name"), ...KINDS[kind].columns(), { key: "document", label: t("definition"), value: readable, show: (row) => h("details", {}, h("summary", {}, t("show")), h("pre", { tabindex: "0" }, readable(editable(row)))) },
      actions((row) => writes && button(t("edit"), () => edit(kind, row, load)), (row) => writes && button(t("delete"), () => remove(kind, row, load), "danger"))],
  });
}
