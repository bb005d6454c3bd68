// The schema as introspection describes it, and its description for people.

const KIND = "kind name ofType { kind name ofType { kind name ofType { kind name } } }";
const ASKED = `{ __schema { queryType { name } types { name kind description enumValues { name }
  fields { name description args { name description defaultValue type { ${KIND} } } type { ${KIND} } } } } }`;

export async function load(send) {
  const response = await send(ASKED);
  if (!response.ok) return null;
  const found = (await response.json()).data.__schema;
  const types = {};
  for (const each of found.types.filter((type) => !type.name.startsWith("__"))) {
    const fields = (each.fields ?? []).map((field) => ({
      ...field, type: named(field.type), shown: written(field.type),
      args: field.args.map((arg) => ({ ...arg, shown: written(arg.type) })),
    }));
    types[each.name] = { ...each, fields };
  }
  return { root: found.queryType.name, types };
}

function named(type) { return type.ofType ? named(type.ofType) : type.name; }

function written(type) {
  if (type.kind === "NON_NULL") return `${written(type.ofType)}!`;
  return type.kind === "LIST" ? `[${written(type.ofType)}]` : type.name;
}

export function describe(schema, name, place, insert) {
  const type = schema.types[name];
  const again = (other) => () => describe(schema, other, place, insert);
  const parts = [];
  if (name !== schema.root) parts.push(button(`← ${schema.root}`, again(schema.root)));
  parts.push(element("h3", name), element("p", type.description ?? ""));
  const list = document.createElement("dl");
  for (const field of type.fields) {
    const term = document.createElement("dt");
    const args = field.args.length ? `(${field.args.map((arg) => `${arg.name}: ${arg.shown}`).join(", ")})` : "";
    term.append(button(field.name, () => insert(field.name)), element("span", `${args}: `));
    const other = schema.types[field.type];
    term.append(other?.fields.length || other?.enumValues ? button(field.shown, again(field.type)) : element("span", field.shown));
    list.append(term, element("dd", field.description ?? ""));
  }
  for (const value of type.enumValues ?? []) list.append(element("dt", value.name));
  parts.push(list);
  place.replaceChildren(...parts);
}

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function button(text, act) {
  const made = element("button", text);
  made.type = "button";
  made.className = "link";
  made.addEventListener("click", act);
  return made;
}
