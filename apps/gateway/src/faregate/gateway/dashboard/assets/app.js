// Entry: the session, the navigation, and the page of the address.
import { call, get, setCsrf } from "./api.js";
import { announce, fill, h, problem } from "./dom.js";
import { hush } from "./said.js";
import { change, go, link, onNavigate, path, zone } from "./state.js";
import { t } from "./texts.js";

// Page → scope that its first call needs, section of the menu, module.
const PAGES = {
  overview: ["analytics:read", "look", () => import("./page_overview.js")],
  explore: ["analytics:read", "look", () => import("./page_explore.js")],
  uses: ["usage:read", "look", () => import("./page_uses.js")],
  insights: ["analytics:read", "look", () => import("./page_insights.js")],
  wallets: ["wallets:read", "operate", () => import("./page_wallets.js")],
  organizations: ["wallets:read", "operate", () => import("./page_organizations.js")],
  payments: ["wallets:read", "operate", () => import("./page_payments.js")],
  holds: ["wallets:read", "operate", () => import("./page_lists.js")],
  closes: ["wallets:read", "operate", () => import("./page_closes.js")],
  features: ["usage:read", "operate", () => import("./page_definitions.js")],
  plans: ["usage:read", "operate", () => import("./page_definitions.js")],
  prices: ["usage:read", "operate", () => import("./page_prices.js")],
  quotas: ["usage:read", "operate", () => import("./page_quotas.js")],
  reports: ["analytics:read", "operate", () => import("./page_reports.js")],
  alerts: ["usage:read", "operate", () => import("./page_lists.js")],
  bills: ["ops:read", "operate", () => import("./page_bills.js")],
  "dead-letters": ["dead-letters:read", "operate", () => import("./page_dead_letters.js")],
  webhooks: ["webhooks:admin", "administer", () => import("./page_webhooks.js")],
  keys: ["keys:admin", "administer", () => import("./page_keys.js")],
  audit: ["ops:read", "administer", () => import("./page_lists.js")],
  system: ["ops:read", "administer", () => import("./page_system.js")],
};

let session = null;
let leave = null;

export const may = (scope) => session.scopes.includes(scope);

async function start() {
  document.querySelector(".skip").textContent = t("skip");
  applyTheme(localStorage.getItem("theme"));
  if (location.hash.startsWith("#fgs_")) return followLink(location.hash.slice(1));
  try {
    session = (await call("GET", "/api/session", { bare: true })).data;
    setCsrf(session.csrf_token);
    render();
  } catch (error) {
    if (error.status === 401) signIn();
    else fill(root(), problem(error, start));
  }
}

// A link that signs in is used up by its first visit; its secret does not stay in the address.
async function followLink(token) {
  history.replaceState({}, "", `${location.pathname}${location.search}`);
  try {
    session = (await call("POST", "/api/session", { headers: { authorization: `Bearer ${token}` }, bare: true })).data;
    setCsrf(session.csrf_token);
    render();
  } catch (error) { signIn(error.message); }
}

const root = () => document.getElementById("app");

function applyTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

async function signIn(message = null) {
  leave?.();
  leave = null;
  const config = await fetch("/dashboard/config.json").then((answer) => answer.json()).catch(() => ({}));
  const wrong = new URLSearchParams(location.search).get("sign_in");
  const field = h("input", { type: "password", autocomplete: "off", required: true, id: "credential" });
  const say = h("p", { role: "alert" }, message || (wrong ? t("sign_in_failed") : ""));
  const submit = async (event) => {
    event.preventDefault();
    say.textContent = "";
    try {
      session = (await call("POST", "/api/session", { headers: { authorization: `Bearer ${field.value.trim()}` }, bare: true })).data;
      setCsrf(session.csrf_token);
      render();
    } catch (error) {
      say.textContent = error.message;
      field.focus();
    }
  };
  fill(root(), h("main", { id: "main", className: "sign-in" }, h("div", { className: "card" },
    h("form", { className: "form", onsubmit: submit }, h("h1", {}, t("sign_in")),
      config.oidc && h("a", { className: "button", href: `/dashboard/sign-in/oidc?to=${encodeURIComponent(location.pathname + location.search)}` }, t("sign_in_oidc")),
      h("label", {}, t("credential"), field), h("p", { className: "fresh" }, t("credential_hint")), say,
      h("button", { className: "primary" }, t("sign_in"))))));
  field.focus();
}

async function signOut(everywhere) {
  await call("DELETE", "/api/session", { query: { everywhere } });
  session = null;
  setCsrf(null);
  signIn(t("signed_out"));
}

function menu(now) {
  const nav = h("nav", { "aria-label": t("menu"), id: "nav", "hidden-on-phone": true });
  for (const section of ["look", "operate", "administer"]) {
    const pages = Object.entries(PAGES).filter(([, [scope, where]]) => where === section && may(scope));
    if (pages.length) nav.append(h("h2", {}, t(`section_${section}`)), h("ul", {}, pages.map(([name]) =>
      h("li", {}, h("a", { href: link(name), "aria-current": name === now ? "page" : null }, t(`page_${name}`))))));
  }
  const open = h("button", { className: "menu", "aria-expanded": "false", "aria-controls": "nav", onclick: () => {
    const hidden = nav.toggleAttribute("hidden-on-phone");
    open.setAttribute("aria-expanded", String(!hidden));
  } }, `☰ ${t("menu")}`);
  const themes = { "": "theme_auto", light: "theme_light", dark: "theme_dark" };
  nav.append(h("div", { className: "who" }, h("div", {}, session.user_id || session.id), session.roles.length ? h("div", {}, session.roles.join(", ")) : null,
    h("label", {}, h("span", { className: "sr" }, t("theme")), h("select", { className: "small", onchange: (event) => {
      localStorage.setItem("theme", event.target.value);
      applyTheme(event.target.value);
      render();
    } }, Object.entries(themes).map(([value, key]) => h("option", { value, selected: (localStorage.getItem("theme") || "") === value }, t(key))))),
    h("button", { className: "small", onclick: () => signOut(false) }, t("sign_out")),
    h("button", { className: "small", onclick: () => signOut(true) }, t("sign_out_everywhere"))));
  return h("header", { className: "side" }, h("div", { className: "top" }, h("a", { className: "brand", href: link("overview") }, h("img", { src: "/dashboard/assets/icon.svg", alt: "" }), "Faregate"), open), nav);
}

// The zone of all times on the page, for pages without the filter bar, too.
function foot() {
  const names = ["UTC", ...(Intl.supportedValuesOf ? Intl.supportedValuesOf("timeZone") : [])];
  const field = h("input", { value: zone(), list: "zones-of-page", className: "small", onchange: (event) => chooseZone(event.target) });
  return h("footer", { className: "foot" }, h("label", {}, `${t("times_in")} `, field), h("datalist", { id: "zones-of-page" }, names.map((value) => h("option", { value }))));
}

function chooseZone(field) {
  try {
    new Intl.DateTimeFormat("en", { timeZone: field.value.trim() || "UTC" });
    change({ tz: field.value.trim() });
  } catch {
    field.setCustomValidity(t("no_zone", { zone: field.value }));
    field.reportValidity();
    field.setCustomValidity("");
  }
}

async function render() {
  if (!session) return;
  hush();
  leave?.();
  leave = null;
  const [name = "overview"] = path();
  const found = PAGES[name];
  const main = h("main", { id: "main", tabindex: "-1" });
  fill(root(), h("div", { className: "shell" }, menu(name), h("div", { className: "page" }, main, foot())));
  document.title = `${found ? t(`page_${name}`) : t("not_found")} – Faregate`;
  if (!found) return void fill(main, h("h1", {}, t("not_found")), h("p", {}, h("a", { href: link("overview") }, t("page_overview"))));
  if (!may(found[0])) return void fill(main, h("h1", {}, t(`page_${name}`)), h("div", { className: "notice" }, h("p", {}, t("scope_needed", { scope: found[0] }))));
  main.ariaBusy = "true";
  try {
    const page = await found[2]();
    if (!main.isConnected) return;
    const ends = await page.render(main, { session, may, get });
    if (main.isConnected) leave = ends || null;
    else ends?.();
  } catch (error) {
    if (error.status === 401) return;
    fill(main, h("h1", {}, t(`page_${name}`)), problem(error, render));
  }
  main.ariaBusy = "false";
}

document.addEventListener("click", (event) => {
  const anchor = event.target.closest?.("a[href]");
  if (!anchor || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || anchor.hasAttribute("download") || anchor.target) return;
  const url = new URL(anchor.href);
  if (url.origin !== location.origin || !url.pathname.startsWith("/dashboard") || url.pathname.startsWith("/dashboard/sign-in") || url.hash) return;
  event.preventDefault();
  go(url.pathname + url.search);
  document.getElementById("main")?.focus();
  announce(document.title);
  scrollTo(0, 0);
});
window.addEventListener("popstate", render);
window.addEventListener("signed-out", () => signIn(t("session_ended")));
window.addEventListener("change-state", (event) => change(event.detail));
onNavigate(render);
start();
