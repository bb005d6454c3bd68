// Organisations: the list, and one with its policy, members and their limits.
import { get } from "./api.js";
import { confirmed, difference } from "./confirm.js";
import { empty, facts, fill, h, problem, skeleton } from "./dom.js";
import { words } from "./forms.js";
import * as fmt from "./format.js";
import { actions, button, column, listing } from "./listing.js";
import { showLimits } from "./limits.js";
import { link, path } from "./state.js";
import { saveButton, table } from "./tables.js";
import { t } from "./texts.js";

const at = (name) => `/api/organizations/${encodeURIComponent(name)}`;
const POLICY = (value) => ({ name: "policy", label: t("policy"), value, options: ["recorded", "pooled"].map((each) => [each, t(`policy_${each}`)]) });

export function render(main, context) {
  const name = path()[1];
  return name ? one(main, name, context) : all(main, context);
}

function all(main, { may }) {
  const make = (done) => confirmed({ title: t("make_organization"), method: "PUT", path: (values) => at(values.id), fields: [{ name: "id", label: t("filter_organizationId"), required: true, placeholder: "acme" }, POLICY("recorded"), { name: "join", label: t("join"), hint: t("members_hint") }],
    body: (values) => ({ policy: values.policy, join: words(values.join) }), preview: (answer) => difference(null, answer), said: (answer) => t("said_organization", { name: answer.organization_id }), done });
  return listing(main, {
    name: "organizations", title: t("page_organizations"), address: "/api/organizations", empty: "nothing_defined", command: "curl -X PUT …/api/organizations/acme -d '{\"policy\": \"pooled\"}'", make: may("wallets:write") && make, label: t("make_organization"),
    columns: () => [column("organization_id", { label: t("filter_organizationId"), show: (row) => h("a", { href: link(["organizations", row.organization_id]) }, row.organization_id) }), column("policy", { label: t("policy"), show: (row) => t(`policy_${row.policy}`) })],
  });
}

async function one(main, name, { may }) {
  const writes = may("wallets:write");
  const [head, members, limits] = [0, 1, 2].map(() => h("section", { className: "card" }, skeleton(true)));
  const change = (title, before, fields, body) => confirmed({ title, method: "PUT", path: at(name), fields, body, preview: (answer) => difference(before, answer), said: () => t("said_organization", { name }), done: load });
  async function load() {
    try {
      const { data } = await get(at(name));
      fill(head, facts([[t("policy"), t(`policy_${data.policy}`)], [t("members"), fmt.integer(data.members.length)]]), h("div", { className: "actions" }, writes && h("button", { onclick: () => change(t("change_policy"), data, [POLICY(data.policy)], (values) => ({ policy: values.policy })) }, t("change_policy")),
        h("a", { className: "button", href: link(["wallets", `org:${name}`]) }, t("pool")), h("a", { className: "button", href: link("explore", { organizationId: name, by: "user" }) }, t("open_explore"))));
      showMembers(data);
      await showLimits(limits, `${at(name)}/limits`, { writes, members: data.members });
    } catch (error) { fill(head, problem(error, load)); members.remove(); limits.remove(); }
  }
  function showMembers(data) {
    const made = table([column("user", { label: t("filter_userId"), show: (row) => h("a", { href: link(["wallets", row.user]) }, row.user) }), actions((row) => writes && button(t("remove"), () => change(`${t("remove")} ${row.user}`, data, [], () => ({ leave: [row.user] })), "danger"))], data.members.map((user) => ({ user })), { quiet: true, caption: t("members"), name: "members" });
    fill(members, h("div", { className: "head" }, h("h2", {}, t("members")), h("span", { className: "fill" }), writes && button(t("add_members"), () => change(t("add_members"), data, [{ name: "join", label: t("join"), required: true, hint: t("members_hint") }], (values) => ({ join: words(values.join) }))), saveButton(made)), data.members.length ? made : empty(t("no_members"), `curl -X PUT …${at(name)} -d '{"join": ["ada"]}'`));
  }
  fill(main, h("div", { className: "head" }, h("h1", {}, name), h("span", { className: "fill" }), h("a", { className: "button", href: link("organizations") }, `← ${t("page_organizations")}`)), head, members, limits);
  await load();
}
