// The sentence that says what happened; it stays until it is closed or another page is opened.
import { announce, h } from "./dom.js";
import { t } from "./texts.js";

export function say(text) {
  hush();
  document.body.append(h("div", { id: "said" }, h("span", {}, text), h("button", { className: "small", onclick: hush, "aria-label": t("close") }, "✕")));
  announce(text);
}

export function hush() {
  document.getElementById("said")?.remove();
}
