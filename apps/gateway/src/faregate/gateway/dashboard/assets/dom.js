// Elements, announcements, dialogs and downloads.
import { t } from "./texts.js";

const PROPERTIES = new Set(["value", "checked", "disabled", "selected", "hidden", "open"]);

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else element.setAttribute(name === "className" ? "class" : name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function announce(text) {
  const place = document.getElementById("announcer");
  if (place) place.textContent = text;
}

export function download(name, content, type) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const anchor = h("a", { href: url, download: name });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    announce(t("copied"));
  } catch {
    await dialog(t("copy_by_hand"), () => h("pre", { tabindex: "0" }, text));
  }
}

// Shows a dialog; resolves when it closes. `build(close)` returns its content.
export function dialog(title, build) {
  return new Promise((resolve) => {
    const id = `d${Math.random().toString(36).slice(2)}`;
    const before = document.activeElement;
    let result;
    const box = h("dialog", { "aria-labelledby": id });
    const close = (value) => { result = value; box.close(); };
    box.append(
      h("div", { className: "head" }, h("h2", { id }, title), h("span", { className: "fill" }),
        h("button", { className: "small", onclick: () => close(), "aria-label": t("close") }, "✕")),
      build(close),
    );
    box.addEventListener("close", () => { box.remove(); before?.focus?.(); resolve(result); });
    document.body.append(box);
    box.showModal();
  });
}

export function skeleton(tall = false) {
  return h("span", { className: tall ? "skeleton tall" : "skeleton", role: "img", "aria-label": t("loading") });
}

export function facts(pairs) {
  return h("dl", { className: "facts" }, pairs.filter((pair) => pair).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value ?? "—")]));
}

export function problem(error, retry) {
  return h("div", { className: "problem", role: "alert" },
    h("p", {}, h("strong", {}, error.status ? `${t("failed")} (${error.status})` : t("failed"))),
    h("p", {}, error.message),
    error.requestId && h("p", {}, `${t("request_id")} `, h("code", {}, error.requestId)),
    retry && h("button", { onclick: retry }, t("retry")));
}

export function empty(text, command) {
  return h("div", { className: "empty" }, h("p", {}, text), command && h("pre", { tabindex: "0" }, command));
}
