// Organisations: the list, and one with its policy, members and their limits.
import { get } from "./api.js";
import { empty, facts, fill, h, problem, skeleton } from "./dom.js";
import { confirmed, difference } from "./confirm.js";
import * as fmt from "./format.js";
import { link, path } from "./state.js";
import { saveButton, table } from "./tables.js";
import { t } from "./texts.js";

export async function render(main, { may }) {
  const name = path()[1];
  const place = h("section", { className: "card" }, skeleton(true));
  const writes = may("wallets:write");
  const words = (text) => text.split(/[\s,]+/).filter(Boolean);
  const edit = (organization) => confirmed({ title: organization ? t("edit") : t("define"), method: "PUT", path: (values) => `/api/organizations/${encodeURIComponent(organization?.organization_id || values.id)}`,
    fields: [...(organization ? [] : [{ name: "id", label: t("by_organization"), required: true }]), { name: "policy", label: t("policy"), value: organization?.policy || "recorded", options: [["recorded", "recorded"], ["pooled", "pooled"]] }, { name: "join", label: t("join") }, { name: "leave", label: t("leave") }],
    body: (values) => ({ policy: values.policy, join: words(values.join), leave: words(values.leave) }), preview: (answer) => difference(organization, answer), done: load });
  const load = async () => {
    try {
      if (!name) {
        const { data } = await get("/api/organizations", { limit: 1000 });
        const made = table([{ key: "organization_id", label: t("by_organization"), show: (row) => h("a", { href: link(["organizations", row.organization_id]) }, row.organization_id) }, { key: "policy", label: t("policy") }], data, { quiet: true, caption: t("page_organizations"), name: "organizations" });
        return void fill(place, h("div", { className: "actions" }, writes && h("button", { className: "primary", onclick: () => edit(null) }, t("define")), saveButton(made)), data.length ? made : empty(t("nothing_defined"), "curl -X PUT …/api/organizations/acme -d '{\"policy\": \"pooled\"}'"));
      }
      const [{ data }, limits] = await Promise.all([get(`/api/organizations/${encodeURIComponent(name)}`), get(`/api/organizations/${encodeURIComponent(name)}/limits`).then((answer) => answer.data).catch(() => [])]);
      fill(place, facts([[t("policy"), data.policy], [t("members"), fmt.integer(data.members.length)]]), h("div", { className: "actions" }, writes && h("button", { onclick: () => edit(data) }, t("edit")), h("a", { className: "button", href: link(["wallets", `org:${name}`]) }, t("pool")), h("a", { className: "button", href: link("explore", { organizationId: name, by: "user" }) }, t("open_explore"))),
        h("h3", {}, t("members")), data.members.length ? table([{ key: "user", label: t("by_user"), show: (row) => h("a", { href: link(["wallets", row.user]) }, row.user) }], data.members.map((user) => ({ user })), { quiet: true, caption: t("members"), name: "members" }) : empty(t("no_members")),
        limits.length ? [h("h3", {}, t("limits")), table(Object.keys(limits[0]).map((key) => ({ key, label: key.replaceAll("_", " "), value: (row) => (typeof row[key] === "object" ? JSON.stringify(row[key]) : row[key]) })), limits, { quiet: true, caption: t("limits"), name: "limits" })] : null);
    } catch (error) { fill(place, problem(error, load)); }
  };
  fill(main, h("div", { className: "head" }, h("h1", {}, name || t("page_organizations")), h("span", { className: "fill" }), name && h("a", { className: "button", href: link("organizations") }, `← ${t("page_organizations")}`)), place);
  await load();
}
