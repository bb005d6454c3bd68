// The catalogue of the chosen language. A second language is another file like texts.en.js.
import { texts } from "./texts.en.js";

// Texts of a page that brings its own; they are loaded with the page.
export const add = (more) => Object.assign(texts, more);

export const has = (key) => key in texts;

export function t(key, values = {}) {
  const text = texts[key];
  if (text === undefined) throw new Error(`no text for ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}
