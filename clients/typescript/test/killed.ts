/** A process that is killed as soon as its settlement lies in the spool. */

import { CreditsClient } from "../src/index.js";

const [baseUrl = "", apiKey = "", spoolDir = "", user = "", key = ""] = process.argv.slice(2);
const logger = { warn: () => undefined, error: () => undefined };
const credits = new CreditsClient({ baseUrl, apiKey, spoolDir, logger, retry: { attempts: 1 } });
const result = await credits.settleByQueue("ai_chat_v1", user, key, [
  { model: "gpt-4o", inputTokens: 1000, outputTokens: 100 },
]);
if (result.by === "spool") process.kill(process.pid, "SIGKILL");
