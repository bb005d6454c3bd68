/** Ids of uses, events and logs. */

import { randomBytes } from "node:crypto";

let last = 0n;

/** Return a new UUID of version 7 (RFC 9562), ordered by time and, within one process, by the order of the calls. */
export function newId(): string {
  const now = BigInt(Date.now()) << 12n;
  last = now > last ? now : last + 1n;
  const tail = randomBytes(8);
  tail[0] = (tail[0]! & 0x3f) | 0x80;
  const time = (last >> 12n).toString(16).padStart(12, "0");
  const counter = (last & 0xfffn).toString(16).padStart(3, "0");
  const hex = `${time}7${counter}${tail.toString("hex")}`;
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
