// The customers' page: packages to buy, the automatic top-up, the latest purchases.
import { call, exact, get } from "./api.js";
import { dialog, empty, fill, h, problem } from "./dom.js";
import * as fmt from "./format.js";
import { params } from "./state.js";
import { table } from "./tables.js";
import { bring, t } from "./texts.js";
import { payment_texts } from "./texts_payments.en.js";

bring(payment_texts);

const TRIES = 20;
const PAUSE_MS = 1500;
const price = (amount) => t("price_usd", { amount: fmt.exactly(amount) });
const paid = (status) => !["open", "failed", "expired"].includes(status);

// `leave` keeps what the page needs when it comes back from the payment; `paidFor` shows the new balance.
export async function showPayments(place, { leave, paidFor }) {
  try {
    const { data } = await get("/api/portal/payments");
    if (!data.packages.length && !data.purchases.length) return void place.remove();
    const say = h("p", { role: "status" });
    const again = () => showPayments(place, { leave, paidFor });
    const save = h("input", { type: "checkbox", checked: data.automatic.saved });
    const buy = async (each) => {
      const tab = window.top !== window.self ? window.open("", "_blank") : null;
      try {
        const made = (await call("POST", "/api/portal/purchases", { body: { package: each.key, save_payment_method: save.checked } })).data;
        if (!tab) return void leave(made.url);
        tab.opener = null;
        tab.location = made.url;
        say.textContent = t("buy_other_tab");
        await waitFor(made.id, say, paidFor);
      } catch (error) { tab?.close(); await dialog(t("failed"), () => problem(error)); }
    };
    fill(place, h("h2", {}, t("buy_title")), say,
      data.packages.length > 0 && [h("div", { className: "actions" }, data.packages.map((each) => h("button", { className: "primary", "data-package": each.key, onclick: () => buy(each) }, t("buy", { name: each.name, price: price(each.amount_usd) })))), h("label", {}, save, ` ${t("buy_save")}`), automatic(data, again)],
      h("h3", {}, t("buy_caption")), data.purchases.length ? purchases(data.purchases) : empty(t("buy_none")));
    const returned = params().get("purchase");
    if (returned && !place.dataset.waited) {
      place.dataset.waited = "yes";
      await waitFor(returned, say, paidFor);
    }
  } catch (error) { fill(place, problem(error, () => showPayments(place, { leave, paidFor }))); }
}

function purchases(rows) {
  return table([{ key: "created_at", label: t("time"), show: (row) => fmt.time(row.created_at) }, { key: "credits", label: t("credits"), num: true, show: (row) => fmt.credits(row.credits) }, { key: "amount_usd", label: t("price"), num: true, show: (row) => price(row.amount_usd) }, { key: "status", label: t("status"), show: (row) => t(`status_${row.status}`) }], rows, { quiet: true, caption: t("buy_caption"), name: "purchases" });
}

// Stripe reports the payment to the server, soon but not at once.
async function waitFor(id, say, paidFor) {
  say.textContent = t("buy_waiting");
  for (let tries = 0; tries < TRIES && say.isConnected; tries += 1) {
    const { data } = await get(`/api/portal/purchases/${encodeURIComponent(id)}`);
    if (data.status !== "open") {
      const text = paid(data.status) ? t("buy_added", { credits: fmt.credits(data.credits) }) : t("buy_ended", { status: t(`status_${data.status}`) });
      say.textContent = text;
      return void (paid(data.status) && await paidFor(text));
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  say.textContent = t("buy_late");
}

function automatic({ automatic: rule, packages, purchases: bought }, again) {
  const failed = bought.find((each) => each.automatic)?.status === "failed";
  const act = (method, path, body) => async () => {
    try {
      await call(method, path, { body });
      await again();
    } catch (error) { await dialog(t("failed"), () => problem(error)); }
  };
  const below = h("input", { inputmode: "decimal", required: true, pattern: "[0-9]+(\\.[0-9]+)?", size: "6", value: rule.below ?? "" });
  const choice = h("select", {}, packages.map((each) => h("option", { value: each.key, selected: each.credits === rule.credits }, each.name)));
  const form = h("form", { className: "bar", onsubmit: (event) => { event.preventDefault(); act("PUT", "/api/portal/top-up", { below: exact(below.value), package: choice.value })(); } }, h("label", {}, `${t("top_up_when_below")} `, below), h("label", {}, `${t("top_up_buy")} `, choice), h("button", { className: "primary" }, t("top_up_save")));
  return [h("h3", {}, t("top_up_title")), failed && h("p", { className: "notice", role: "alert" }, t("top_up_failed")),
    h("p", {}, rule.below === null ? t(rule.saved ? "top_up_off" : "top_up_hint") : t("top_up_on", { credits: fmt.credits(rule.credits), below: fmt.credits(rule.below) })),
    rule.saved && form, h("div", { className: "actions" }, rule.below !== null && h("button", { onclick: act("DELETE", "/api/portal/top-up") }, t("top_up_stop")), rule.saved && h("button", { className: "danger", onclick: act("DELETE", "/api/portal/payment-method") }, t("top_up_forget")))];
}
