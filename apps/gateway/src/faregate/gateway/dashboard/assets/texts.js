// The catalogue of the chosen language. A second language is another file like texts.en.js.
import { texts } from "./texts.en.js";

export const has = (key) => key in texts;

// A page that is seldom opened brings its own texts.
export const bring = (more) => Object.assign(texts, more);

export function t(key, values = {}) {
  const text = texts[key];
  if (text === undefined) throw new Error(`no text for ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}
