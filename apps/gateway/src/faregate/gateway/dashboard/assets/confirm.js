// Changes: a form, a dry run that shows what will happen, one question, what happened.
import { call, exact, newKey } from "./api.js";
import { announce, dialog, fill, h, problem } from "./dom.js";
import { t } from "./texts.js";

// `fields`: [{name, label, value, number, required, options, type, rows}]. `body(values)` and `path(values)` may be functions.
// `preview(answer, values)` returns what a dry run would do; without it the change is asked for directly.
export function confirmed({ title, fields = [], method, path, body, preview, done, danger = false, note = null }) {
  return dialog(title, (close) => {
    const inputs = Object.fromEntries(fields.map((field) => [field.name, input(field)]));
    const place = h("div", { "aria-live": "polite" });
    const key = newKey();
    const values = () => Object.fromEntries(fields.map((field) => [field.name, inputs[field.name].value.trim()]));
    const content = () => {
      const given = values();
      if (body) return body(given);
      return fields.length ? Object.fromEntries(fields.filter((field) => given[field.name] !== "").map((field) => [field.name, field.number ? exact(given[field.name]) : given[field.name]])) : undefined;
    };
    const address = () => (typeof path === "function" ? path(values()) : path);
    const apply = async () => {
      try {
        const answer = await call(method, address(), { body: content(), headers: { "idempotency-key": key } });
        announce(t("done"));
        close(answer.data);
        done?.(answer.data);
      } catch (error) { fill(place, problem(error, apply)); }
    };
    const rehearse = async () => {
      let sent;
      try { sent = content(); } catch (error) { return void fill(place, problem(error)); }
      if (!preview) return void fill(place, ask(null));
      try {
        const answer = await call(method, address(), { body: sent, dryRun: true });
        fill(place, ask(preview(answer.data, values())));
      } catch (error) { fill(place, problem(error)); }
    };
    const ask = (shown) => h("div", { className: "notice" }, h("h3", {}, t("will_happen")), shown || h("p", {}, title), h("p", {}, t("sure")),
      h("div", { className: "actions" }, h("button", { className: danger ? "danger" : "primary", onclick: apply }, t("confirm")), h("button", { onclick: () => close() }, t("cancel"))));
    const form = h("form", { className: "form", onsubmit: (event) => { event.preventDefault(); rehearse(); } }, note && h("p", {}, note),
      fields.map((field) => h("label", {}, field.label, inputs[field.name])), h("button", { className: "primary" }, t(preview ? "preview" : "continue")));
    form.addEventListener("input", () => fill(place));
    return h("div", {}, form, place);
  });
}

function input(field) {
  if (field.options) return h("select", {}, field.options.map(([value, text]) => h("option", { value, selected: value === field.value }, text)));
  if (field.rows) return h("textarea", { rows: String(field.rows), required: field.required, className: "mono", spellcheck: "false", value: field.value ?? "" });
  return h("input", { value: field.value ?? "", required: field.required, type: field.type || "text", inputmode: field.number ? "decimal" : null, pattern: field.number ? "-?[0-9]+(\\.[0-9]+)?" : null, placeholder: field.placeholder });
}

// The differences of two objects, by their lines of JSON.
export function difference(before, after) {
  const lines = (value) => (value ? JSON.stringify(sorted(value), null, 2).split("\n") : []);
  const [old, now] = [lines(before), lines(after)];
  const gone = old.filter((line) => !now.includes(line));
  const added = now.filter((line) => !old.includes(line));
  if (!gone.length && !added.length) return h("p", {}, t("no_difference"));
  return h("pre", { className: "diff", tabindex: "0" }, gone.map((line) => h("del", {}, `− ${line}\n`)), added.map((line) => h("ins", {}, `+ ${line}\n`)));
}

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value && typeof value === "object") return Object.fromEntries(Object.keys(value).sort().map((name) => [name, sorted(value[name])]));
  return value;
}
