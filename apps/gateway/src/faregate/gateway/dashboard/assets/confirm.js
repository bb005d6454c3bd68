// Changes: a form, a dry run that shows what will happen, one question, what happened.
import { call, exact, newKey } from "./api.js";
import { dialog, facts, fill, h, problem } from "./dom.js";
import { control, given } from "./forms.js";
import { fieldLabel, shown } from "./listing.js";
import { say } from "./said.js";
import { t } from "./texts.js";

export { difference, readable } from "./difference.js";

// `fields` are those of forms.js. `body(values)` and `path(values)` may be functions.
// `preview(answer, values)` shows the answer of the dry run, `said(answer, values)` is the sentence that stays afterwards.
export function confirmed({ title, fields = [], method, path, body, preview = outcome, said, done, danger = false, note = null }) {
  return dialog(title, (close) => {
    const inputs = Object.fromEntries(fields.map((field) => [field.name, control(field)]));
    const place = h("div", { "aria-live": "polite" });
    const key = newKey();
    const values = () => Object.fromEntries(fields.map((field) => [field.name, given(field, inputs[field.name])]));
    const content = () => (body ? body(values()) : fields.length ? filled(fields, values()) : undefined);
    const address = () => (typeof path === "function" ? path(values()) : path);
    const apply = async () => {
      try {
        const answer = await call(method, address(), { body: content(), headers: { "idempotency-key": key } });
        const text = said?.(answer.data, values()) || t("did", { title });
        close(answer.data);
        say(text);
        await done?.(answer.data);
        if (document.activeElement === document.body) document.getElementById("main")?.focus({ preventScroll: true });
      } catch (error) { fill(place, problem(error, apply)); }
    };
    const rehearse = async () => {
      try {
        const answer = await call(method, address(), { body: content(), dryRun: true });
        fill(place, ask(preview(answer.data, values())));
        place.firstChild.focus();
      } catch (error) { fill(place, problem(error)); }
    };
    const ask = (found) => h("div", { className: "notice", tabindex: "-1" }, h("h3", {}, t("will_happen")), found, h("p", {}, t("sure")),
      h("div", { className: "actions" }, h("button", { className: danger ? "danger" : "primary", onclick: apply }, t("confirm")), h("button", { onclick: () => close() }, t("cancel"))));
    const form = h("form", { className: "form", onsubmit: (event) => { event.preventDefault(); rehearse(); } }, note && h("p", {}, note),
      fields.map((field) => inputs[field.name].element), h("button", { className: "primary" }, t("preview")));
    form.addEventListener("input", () => fill(place));
    if (!fields.length) rehearse();
    return h("div", {}, fields.length ? form : note && h("p", {}, note), place);
  });
}

function filled(fields, values) {
  return Object.fromEntries(fields.filter((field) => values[field.name] !== "").map((field) =>
    [field.name, field.number ? exact(values[field.name]) : values[field.name]]));
}

// What a call answers, field by field.
export function outcome(answer) {
  const rows = Array.isArray(answer) ? answer : [answer];
  return rows.map((row) => facts(Object.entries(row || {}).filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => [fieldLabel(name), shown(value, name)])));
}
