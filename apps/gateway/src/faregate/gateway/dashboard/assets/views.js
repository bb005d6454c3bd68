// Saved views, private or shared: the state of a view is the address of the page.
import { call, get, newKey } from "./api.js";
import { dialog, download, empty, fill, h, problem, skeleton } from "./dom.js";
import { go, link, params, path } from "./state.js";
import { table } from "./tables.js";
import { t } from "./texts.js";

function opened({ page = "explore", ...rest }) {
  return link(page, rest, { keep: false });
}

const save = (view) => call("PUT", `/api/views/${newKey()}`, { body: { name: view.name, shared: !!view.shared, state: view.state } });
const asFile = (views) => JSON.stringify(views.map(({ name, shared, state }) => ({ name, shared, state })), null, 2);

// Reads a file of views; says what is wrong with one that is none.
async function imported(file) {
  let found;
  try { found = JSON.parse(await file.text()); } catch { throw new Error(t("not_json")); }
  if (!Array.isArray(found) || found.some((view) => typeof view?.name !== "string" || typeof view?.state !== "object")) throw new Error(t("no_views_in_file"));
  for (const view of found) await save(view);
}

function rows(views, close, load) {
  return table([
    { key: "name", label: t("name"), show: (row) => h("a", { href: opened(row.state), onclick: (event) => { event.preventDefault(); close(); go(opened(row.state)); } }, row.name) },
    { key: "shared", label: t("shared"), value: (row) => String(row.shared), show: (row) => t(row.shared ? "yes" : "no") },
    { key: "actions", label: "", value: () => "", show: (row) => row.own && h("button", { className: "small danger", "aria-label": `${t("delete")}: ${row.name}`, onclick: async () => { await call("DELETE", `/api/views/${row.id}`); load(); } }, t("delete")) },
  ], views, { quiet: true, caption: t("views"), name: "views" });
}

export function views() {
  return dialog(t("views"), (close) => {
    const list = h("div", {}, skeleton());
    const name = h("input", { required: true, maxlength: "100" });
    const shared = h("input", { type: "checkbox" });
    const state = { page: path()[0] || "overview", ...Object.fromEntries(params()) };
    const attempt = async (work) => { try { await work(); await load(); } catch (error) { list.append(problem(error)); } };
    const load = async () => {
      try {
        const { data } = await get("/api/views");
        fill(list, data.length ? rows(data, close, load) : empty(t("no_views")), h("div", { className: "actions" },
          h("button", { className: "small", onclick: () => download("views.json", asFile(data), "application/json") }, t("export_json")),
          h("label", { className: "button small" }, t("import_json"), h("input", { className: "sr", type: "file", accept: "application/json", onchange: (event) => attempt(() => imported(event.target.files[0])) }))));
      } catch (error) { fill(list, problem(error, load)); }
    };
    const form = h("form", { className: "form", onsubmit: (event) => { event.preventDefault(); attempt(async () => { await save({ name: name.value, shared: shared.checked, state }); name.value = ""; }); } },
      h("label", {}, t("view_name"), name), h("label", { className: "check" }, h("span", {}, shared, ` ${t("share")}`)), h("button", { className: "primary" }, t("save_view")));
    load();
    return h("div", {}, list, h("h3", {}, t("save_view")), form, h("p", { className: "fresh" }, t("views_hint")));
  });
}
