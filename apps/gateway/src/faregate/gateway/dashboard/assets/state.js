// The state of the page: everything is in the address.

let navigate = () => {};
export function onNavigate(render) { navigate = render; }

export const params = () => new URLSearchParams(location.search);
// Read by both pages: the customers' page has no other state.
export const zone = () => params().get("tz") || Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

export function path() {
  return location.pathname.replace(/^\/dashboard\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);
}

// Kept when another page is opened: the zone, the range and the filters.
export const KEPT = ["tz", "range", "from", "to", "service", "model", "provider", "feature", "userId", "organizationId", "country", "device", "status", "meter"];

export function link(page, changes = {}, { keep = true } = {}) {
  const next = new URLSearchParams();
  if (keep) for (const name of KEPT) if (params().has(name)) next.set(name, params().get(name));
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") next.delete(name);
    else next.set(name, value);
  }
  const text = next.toString();
  const parts = (Array.isArray(page) ? page : [page]).map(encodeURIComponent).join("/");
  return `/dashboard/${parts}${text ? `?${text}` : ""}`;
}

export function change(changes, { replace = false } = {}) {
  const next = params();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "" || value === false) next.delete(name);
    else next.set(name, value === true ? "1" : value);
  }
  go(`${location.pathname}${next.toString() ? `?${next}` : ""}`, { replace });
}

export function go(address, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"]({}, "", address);
  navigate();
}
