// Features and plans: definitions that are edited as JSON, with the difference and a dry run.
import { get } from "./api.js";
import { empty, fill, h, problem, skeleton } from "./dom.js";
import { confirmed, difference } from "./confirm.js";
import { path } from "./state.js";
import { saveButton, table } from "./tables.js";
import { t } from "./texts.js";

export async function render(main, { may }) {
  const kind = path()[0];
  const place = h("section", { className: "card" }, skeleton(true));
  const writes = may("features:write");
  const edit = (row) => confirmed({
    title: row ? `${t("edit")} ${row.key}` : t("define"), method: "PUT",
    fields: [...(row ? [] : [{ name: "key", label: t("key"), required: true, placeholder: "ai_chat_v1" }]), { name: "document", label: "JSON", rows: 14, required: true, value: written(row ? editable(row) : kind === "features" ? { name: "", strategy: "token_priced", parameters: {}, min_credits: 0, active: true } : { name: "", grants: [] }) }],
    path: (values) => `/api/${kind}/${encodeURIComponent(row ? row.key : values.key)}`, body: (values) => checked(values.document), preview: (answer) => difference(row, answer), done: load,
  });
  const load = async () => {
    try {
      const { data } = await get(`/api/${kind}`);
      const columns = [{ key: "key", label: t("key"), show: (row) => h("code", {}, row.key) }, { key: "name", label: t("name") }, ...(kind === "features" ? [{ key: "strategy", label: t("strategy") }, { key: "min_credits", label: t("min_credits"), num: true }, { key: "active", label: t("active"), value: (row) => String(row.active), show: (row) => h("span", { className: `badge ${row.active ? "good" : "bad"}` }, t(row.active ? "yes" : "no")) }] : []),
        { key: "document", label: t("definition"), value: written, show: (row) => h("details", {}, h("summary", {}, t("show")), h("pre", { tabindex: "0" }, written(editable(row)))) },
        { key: "actions", label: "", value: () => "", show: (row) => writes && [h("button", { className: "small", onclick: () => edit(row) }, t("edit")), " ", h("button", { className: "small danger", onclick: () => confirmed({ title: `${t("delete")} ${row.key}`, danger: true, method: "DELETE", path: `/api/${kind}/${encodeURIComponent(row.key)}`, preview: () => difference(row, null), done: load }) }, t("delete"))] }];
      const made = table(columns, data, { quiet: true, caption: t(`page_${kind}`), name: kind });
      fill(place, h("div", { className: "actions" }, saveButton(made)), data.length ? made : empty(t("nothing_defined"), kind === "features" ? "faregate features set ai_chat_v1 --strategy token_priced" : "faregate plans set basic --name Basic"));
    } catch (error) { fill(place, problem(error, load)); }
  };
  fill(main, h("div", { className: "head" }, h("h1", {}, t(`page_${kind}`)), h("span", { className: "fill" }), writes && h("button", { className: "primary", onclick: () => edit(null) }, t("define"))), place);
  await load();
}

// Numbers with a point are texts here, so that no digit is lost; they are written as numbers.
const POINT = /"(-?\d+\.\d+)"/g;
const written = (row) => JSON.stringify(row, null, 2).replace(POINT, "$1");
const editable = (row) => Object.fromEntries(Object.entries(row).filter(([name, value]) => value !== null && !["key", "id", "created_at", "updated_at", "version", "source"].includes(name)));

// The document is sent as it was typed: its numbers keep their digits.
function checked(text) {
  try { JSON.parse(text); } catch (error) { throw new Error(`${t("not_json")}: ${error.message}`); }
  return text;
}
