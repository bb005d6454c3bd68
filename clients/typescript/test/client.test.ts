/** The client against a real gateway, over a line that can fail. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import {
  AccessRefusedError,
  CreditsClient,
  type CreditsClientOptions,
  currentUse,
  HoldClosedError,
  InsufficientCreditsError,
  InvalidError,
  KeyConflictError,
  RateLimitedError,
  UnauthenticatedError,
  UnavailableError,
  UnknownFeatureError,
  UnknownUsageKeyError,
  UnreadableReplyError,
  type UseResult,
} from "../src/index.js";
import { Broker } from "../src/transport/broker.js";
import {
  balanceOf,
  BROKER_URL,
  CHAT,
  clientOf,
  directory,
  heldOf,
  KEY,
  Line,
  operator,
  QUICK,
  REPLY,
  Said,
  until,
  URL_OF_GATEWAY,
  userWith,
} from "./support.js";

const USED = [{ model: "gpt-4o", inputTokens: 1000, outputTokens: 100 }];
const credits = clientOf();
after(() => credits.close());

async function onLine(
  options: Partial<CreditsClientOptions>,
  work: (client: CreditsClient, line: Line, said: Said) => Promise<void>,
): Promise<void> {
  const line = await Line.open();
  const said = new Said();
  const client = clientOf({ baseUrl: line.url, logger: said, ...options });
  try {
    await work(client, line, said);
  } finally {
    await client.close({ patienceSeconds: 0 });
    await line.close();
  }
}

function charged(result: UseResult): string {
  return `${result.state} ${result.charged}`;
}

test("a use is held, run and settled with what its replies report", async () => {
  const user = await userWith(10);
  const { value, result } = await credits.use(CHAT, user, { metadata: { page: "home" } }, async (use) => {
    assert.equal(await heldOf(user), "2");
    assert.equal(currentUse(), use);
    return use.observe(REPLY).model;
  });

  assert.equal(value, "gpt-4o");
  assert.equal(charged(result), "settled 0.42");
  assert.deepEqual([result.credits?.toString(), result.balance?.toString(), result.flags], ["9.58", "9.58", []]);
  assert.deepEqual(
    result.details.map((line) => [line.model, line.credits.toString(), line.tokens["input_tokens"]]),
    [["gpt-4o", "0.42", 1000]],
  );
  assert.equal(currentUse(), undefined);
  assert.equal(await heldOf(user), "0");
});

test("several replies and own counts are settled together, the same reply once", async () => {
  const user = await userWith(10);
  const { result } = await credits.use(CHAT, user, {}, (use) => {
    for (const id of ["a", "b", "a"]) use.observe({ id, object: "chat.completion", ...REPLY });
    use.add("gpt-4o-mini", { inputTokens: 10, outputTokens: 1 });
  });

  assert.deepEqual(result.details.map((line) => line.model).sort(), ["gpt-4o", "gpt-4o", "gpt-4o-mini"]);
});

test("a use that fails before anything is observed is voided, and its error passed on", async () => {
  const user = await userWith(10);
  const failure = new RangeError("the model is away");
  let key = "";
  await assert.rejects(
    credits.use(CHAT, user, {}, (use) => {
      key = use.usageKey;
      throw failure;
    }),
    (error) => error === failure,
  );

  assert.equal((await operator("GET", `/api/credits-process/${key}`)).status, "voided");
  assert.deepEqual([await balanceOf(user), await heldOf(user)], ["10", "0"]);
});

test("a use that fails later is charged for what it used until then", async () => {
  const user = await userWith(10);
  await assert.rejects(
    credits.use(CHAT, user, {}, (use) => {
      use.observe(REPLY);
      throw new Error("too late");
    }),
  );

  assert.equal(await balanceOf(user), "9.58");
});

test("a use can be voided by its callback", async () => {
  const user = await userWith(10);
  const { result } = await credits.use(CHAT, user, {}, (use) => {
    use.observe(REPLY);
    use.void("the answer was empty");
  });

  assert.equal(charged(result), "voided 0");
  assert.equal(await balanceOf(user), "10");
});

test("without credits the callback does not run", async () => {
  const user = await userWith(1);
  let ran = false;
  await assert.rejects(
    credits.use(CHAT, user, { estimate: "2.5" }, () => {
      ran = true;
    }),
    (error) =>
      error instanceof InsufficientCreditsError &&
      error.balance.equals(1) &&
      error.required.equals("2.5") &&
      error.requestId !== null,
  );

  assert.equal(ran, false);
});

test("of many uses at once exactly those run that the credits cover", async () => {
  const user = await userWith(14);
  let [ran, refused] = [0, 0];
  const uses = Array.from({ length: 30 }, () =>
    credits
      .use(CHAT, user, {}, async (use) => {
        ran += 1;
        await until(async () => refused === 23, "the refusal of the others");
        use.observe(REPLY);
      })
      .catch((error: unknown) => {
        assert.ok(error instanceof InsufficientCreditsError);
        refused += 1;
      }),
  );
  await Promise.all(uses);

  assert.equal(ran, 7);
  assert.equal(await balanceOf(user), "11.06");
});

test("refusals are typed by their code and name the field", async () => {
  const user = await userWith(10);
  const key = randomUUID();
  await credits.start(CHAT, user, { key });
  await credits.settle(CHAT, user, key, USED);

  await assert.rejects(credits.start("no_such_feature", user), UnknownFeatureError);
  await assert.rejects(credits.start(CHAT, await userWith(10), { key }), KeyConflictError);
  await assert.rejects(credits.void(key, user), HoldClosedError);
  await assert.rejects(credits.extend(randomUUID(), user, 60), UnknownUsageKeyError);
  await assert.rejects(
    credits.start(CHAT, user, { ttlSeconds: -1 }),
    (error) => error instanceof InvalidError && error.param === "ttl_seconds",
  );
  await assert.rejects(clientOf({ apiKey: "fg_wrong_0123456789" }).start(CHAT, user), UnauthenticatedError);
  const { key: narrow } = await operator("POST", "/api/keys", { name: `narrow-${key}`, scopes: ["credits:process"] });
  await assert.rejects(clientOf({ apiKey: narrow }).balance(user), AccessRefusedError);
});

test("wrong values are refused before a call, and named", async () => {
  const user = await userWith(10);
  const wrong: [string, () => unknown][] = [
    ["baseUrl", () => clientOf({ baseUrl: "credits.example.com" })],
    ["apiKey", () => clientOf({ apiKey: "schlüssel" })],
    ["apiKey", () => new CreditsClient({ baseUrl: URL_OF_GATEWAY, apiKey: process.env["NO_SUCH_KEY"]! })],
    ["brokerUrl", () => clientOf({ brokerUrl: "http://broker" })],
    ["user", () => credits.start(CHAT, "")],
    ["feature", () => credits.start(undefined as never, user)],
    ["estimate", () => credits.start(CHAT, user, { estimate: 0.5 })],
    ["estimate", () => credits.start(CHAT, user, { estimate: -1 })],
    ["usages[0].inputTokens", () => credits.settle(CHAT, user, "k", [{ model: "gpt-4o", inputTokens: -1 }])],
    ["events", () => credits.recordEvents(["call"] as never)],
  ];
  for (const [param, call] of wrong) {
    await assert.rejects(
      async () => call(),
      (error) => error instanceof InvalidError && error.param === param,
      param,
    );
  }
});

test("what holds no usage is refused, and nothing is observed after the end", async () => {
  const user = await userWith(10);
  const use = await credits.open(CHAT, user);
  assert.throws(() => use.observe({ foo: 1 }), UnreadableReplyError);
  assert.throws(() => use.observe("Hello"), UnreadableReplyError);
  assert.throws(() => use.result, InvalidError);
  use.observe(REPLY);
  const result = await use.end();

  assert.equal(await use.end(), result);
  assert.equal(use.result, result);
  assert.throws(() => use.observe(REPLY), /has ended/);
  assert.equal(await balanceOf(user), "9.58");
});

test("the phases one by one, each of which may be repeated", async () => {
  const user = await userWith(10);
  const go = await credits.start(CHAT, user, { ttlSeconds: 600, estimate: [{ model: "gpt-4o", inputTokens: 1000 }] });
  assert.equal(
    (
      await credits.start(CHAT, user, {
        key: go.usageKey,
        ttlSeconds: 600,
        estimate: [{ model: "gpt-4o", inputTokens: 1000 }],
      })
    ).hold.toString(),
    go.hold.toString(),
  );
  const expiry = await credits.extend(go.usageKey, user, 1200);
  assert.ok(expiry.getTime() > go.expiresAt!.getTime());

  for (const _ of [1, 2]) assert.equal(charged(await credits.settle(CHAT, user, go.usageKey, USED)), "settled 0.42");
  const other = await credits.start(CHAT, user);
  for (const _ of [1, 2])
    assert.equal(charged(await credits.void(other.usageKey, user, "she changed her mind")), "voided 0");
  assert.deepEqual([await balanceOf(user), await heldOf(user)], ["9.58", "0"]);
});

test("a settlement by queue is settled later: by the gateway's queue, or by a broker", async () => {
  const user = await userWith(10);
  const first = await credits.start(CHAT, user);
  const queued = await credits.settleByQueue(CHAT, user, first.usageKey, USED);
  const withBroker = clientOf({ brokerUrl: BROKER_URL });
  const { result } = await withBroker.use(CHAT, user, {}, (use) => use.observe(REPLY));
  await withBroker.close();

  assert.deepEqual([queued.state, queued.by, queued.charged], ["pending", "gateway", null]);
  assert.deepEqual([result.state, result.by], ["pending", "broker"]);
  await until(async () => (await balanceOf(user)) === "9.16", "both settlements");
});

test("a message that no queue takes is not confirmed", async () => {
  const broker = new Broker(BROKER_URL, 5);
  await assert.rejects(
    broker.publish(`none-${randomUUID()}`, "{}", undefined),
    (error) => error instanceof UnavailableError && /there is no queue/.test(error.message),
  );
  await broker.close();
});

test("a broker that is away is replaced by the gateway", async () => {
  const user = await userWith(10);
  const said = new Said();
  const client = clientOf({ brokerUrl: "amqp://127.0.0.1:1", logger: said });
  const { result } = await client.use(CHAT, user, {}, (use) => use.observe(REPLY));
  await client.close();

  assert.equal(result.by, "gateway");
  assert.match(said.lines.join("\n"), /the broker did not confirm/);
});

test("a quote holds nothing; a balance is exact", async () => {
  const user = await userWith("123456789.123456");
  const quote = await credits.quote(CHAT, user, { usages: USED });
  const balance = await credits.balance(user);

  assert.deepEqual(
    [quote.credits.toString(), quote.hold.toString(), quote.covered, quote.lines[0]?.model],
    ["0.42", "2", true, "gpt-4o"],
  );
  assert.deepEqual(
    [balance.balance.toString(), balance.free.toString(), balance.held.toString()],
    ["123456789.123456", "123456789.123456", "0"],
  );
  assert.deepEqual([(await credits.balance(`new-${randomUUID()}`)).status], ["new"]);
  assert.equal((await credits.quote(CHAT, await userWith(1))).covered, false);
});

test("a use in one call, and usage events", async () => {
  const user = await userWith(10);
  const key = randomUUID();
  for (const _ of [1, 2])
    assert.equal((await credits.recordUsage("paper", user, { key })).creditsCharged.toString(), "5");
  const event = { id: randomUUID(), user_id: user, service: "chat", meter: "calls", quantity: 3 };
  const result = await credits.recordEvents([event, event, { user_id: user, service: "chat" }, { service: "chat" }]);

  assert.equal(await balanceOf(user), "5");
  assert.deepEqual([result.accepted, result.duplicates, result.rejected.map((item) => item.index)], [2, 1, [3]]);
});

test("a failed call is repeated and counts once, wherever it failed", async () => {
  await onLine({}, async (client, line) => {
    const user = await userWith(10);
    line.failures.push("lost", "unanswered");
    const use = await client.open(CHAT, user);
    use.observe(REPLY);
    line.failures.push("unanswered", { status: 503 });
    const result = await use.end();

    assert.equal(charged(result), "settled 0.42");
    assert.deepEqual([line.calls("/start"), line.calls("/end-multimodel")], [3, 3]);
    assert.deepEqual([await balanceOf(user), await heldOf(user)], ["9.58", "0"]);
  });
});

test("a refusal is not repeated", async () => {
  await onLine({}, async (client, line) => {
    await assert.rejects(client.start("no_such_feature", await userWith(1)), UnknownFeatureError);
    assert.equal(line.paths.length, 1);
  });
});

test("Retry-After is waited for, and a longer one than the call may take ends it at once", async () => {
  await onLine({}, async (client, line) => {
    const user = await userWith(10);
    line.failures.push({ status: 429, retryAfter: "1" });
    const began = performance.now();
    await client.start(CHAT, user);
    assert.ok(performance.now() - began >= 1000);

    const again = performance.now();
    line.failures.push({ status: 429, retryAfter: "60" });
    await assert.rejects(client.start(CHAT, user), RateLimitedError);
    assert.ok(performance.now() - again < 30_000);
  });
});

test("after five failures the gateway is left alone for a while", async () => {
  await onLine({ retry: { attempts: 1 } }, async (client, line) => {
    line.cut = true;
    for (let call = 0; call < 8; call++) await assert.rejects(client.balance("ada"), UnavailableError);

    assert.equal(line.paths.length, 5);
  });
});

test("an answer that is not a gateway's is no answer", async () => {
  await onLine({}, async (client, line) => {
    line.failures.push({ status: 200 });
    await assert.rejects(client.balance("ada"), /check baseUrl/);
  });
});

test("a settlement that cannot be sent is stored on disk and sent by the next process", async () => {
  const spoolDir = await directory();
  const user = await userWith(10);
  await onLine({ spoolDir, retry: { ...QUICK, attempts: 1 } }, async (client, line) => {
    const { result } = await client.use(CHAT, user, {}, (use) => {
      use.observe(REPLY);
      line.cut = true;
    });
    assert.deepEqual([result.state, result.by], ["pending", "spool"]);
  });
  const [name] = await readdir(spoolDir);
  assert.equal((await stat(join(spoolDir, name!))).mode & 0o777, 0o600);
  assert.equal(await balanceOf(user), "10");

  const next = clientOf({ spoolDir });
  await until(async () => (await balanceOf(user)) === "9.58", "the settlement");
  await until(async () => (await readdir(spoolDir)).length === 0, "an empty spool");
  await next.close();
});

test("a settlement survives the kill of its process", async () => {
  const spoolDir = await directory();
  const user = await userWith(10);
  const line = await Line.open();
  const key = randomUUID();
  await credits.start(CHAT, user, { key });
  line.cut = true;
  const program = fileURLToPath(new URL("killed.js", import.meta.url));
  const process_ = spawn(process.execPath, [program, line.url, KEY, spoolDir, user, key], { stdio: "inherit" });
  const signal = await new Promise((resolve) => process_.on("exit", (_code, name) => resolve(name)));
  await line.close();

  assert.equal(signal, "SIGKILL");
  const next = clientOf({ spoolDir });
  assert.equal(await next.drain(), true);
  await next.close();
  await until(async () => (await balanceOf(user)) === "9.58", "the settlement");
});

test("what the gateway refuses for good is kept for the operator, and does not stop the rest", async () => {
  const spoolDir = await directory();
  const user = await userWith(10);
  await onLine({ spoolDir, retry: { ...QUICK, attempts: 1 } }, async (client, line, said) => {
    const go = await client.start(CHAT, user);
    line.cut = true;
    await client.settleByQueue(CHAT, "ada the first", randomUUID(), USED);
    await client.settleByQueue(CHAT, user, go.usageKey, USED);
    await writeFile(join(spoolDir, "0.entry.json"), "torn");
    line.cut = false;
    await until(() => client.drain(), "an empty spool");

    assert.match(await readFile(join(spoolDir, "refused.jsonl"), "utf8"), /^\{"reason":"[a-z_]+: user_id /);
    assert.match(said.lines.join("\n"), /refused .* permanently/);
    assert.ok((await readdir(spoolDir)).includes("0.entry.json.damaged"));
  });
  await until(async () => (await balanceOf(user)) === "9.58", "the good settlement");
});

test("while the gateway is away a feature runs on a bounded debt, which outlives the process", async () => {
  const spoolDir = await directory();
  const user = await userWith(10);
  const outage = { [CHAT]: { debtLimitCredits: 1, creditsPerUse: "0.5" } };
  await onLine({ spoolDir, outage, retry: { ...QUICK, attempts: 1 } }, async (client, line) => {
    line.cut = true;
    for (const _ of [1, 2]) {
      const { result } = await client.use(CHAT, user, {}, (use) => {
        assert.equal(use.authorization.onDebt, true);
        use.observe(REPLY);
      });
      assert.equal(result.by, "spool");
    }
    assert.equal(client.debt(CHAT).toString(), "1");
    await assert.rejects(client.start(CHAT, user), UnavailableError);
    await assert.rejects(client.start("paper", user), UnavailableError);
  });
  await onLine({ spoolDir, outage, retry: { ...QUICK, attempts: 1 } }, async (client, line) => {
    line.cut = true;
    await assert.rejects(client.start(CHAT, user), UnavailableError);
    assert.equal(client.debt(CHAT).toString(), "1");
  });
});

test("a stream is passed on and charged by what it reports", async () => {
  const user = await userWith(10);
  const { value, result } = await credits.use(CHAT, user, {}, async (use) => {
    let text = "";
    for await (const chunk of use.watch(chunks())) text += chunk.choices[0]?.delta.content ?? "";
    return text;
  });

  assert.equal(value, "Tap in, ride.");
  assert.equal(charged(result), "settled 0.42");
});

test("a stream that its reader leaves is charged for what came, and marked as estimated", async () => {
  const user = await userWith(10);
  const { result } = await credits.use(
    CHAT,
    user,
    { estimate: [{ model: "gpt-4o", inputTokens: 1000 }] },
    async (use) => {
      for await (const _ of use.watch(chunks())) break;
    },
  );
  const story = await operator("GET", `/api/credits-process/${result.usageKey}`);

  assert.deepEqual([result.details[0]?.tokens["input_tokens"], result.details[0]?.tokens["output_tokens"]], [1000, 2]);
  assert.match(JSON.stringify(story), /"usage_estimated":true/);
});

test("a stream that fails before anything came is not charged", async () => {
  const user = await userWith(10);
  const failing = { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error("no stream")) }) };
  await assert.rejects(
    credits.use(CHAT, user, {}, async (use) => {
      for await (const _ of use.watch(failing)) assert.fail("nothing comes");
    }),
    /no stream/,
  );

  assert.deepEqual([await balanceOf(user), await heldOf(user)], ["10", "0"]);
});

test("the hold of a use is extended while it runs", async () => {
  await onLine({}, async (client, line) => {
    const user = await userWith(10);
    const { result } = await client.use(CHAT, user, { ttlSeconds: 2 }, async (use) => {
      await until(async () => line.calls("/extend") >= 3, "three extensions");
      use.observe(REPLY);
    });

    assert.deepEqual([charged(result), result.flags], ["settled 0.42", []]);
  });
});

test("closing the client settles an open use with what was observed", async () => {
  const user = await userWith(10);
  const client = clientOf();
  const use = await client.open(CHAT, user);
  use.observe(REPLY);
  await client.close();

  assert.equal(charged(use.result), "settled 0.42");
  await assert.rejects(client.start(CHAT, user), /this client is closed/);
});

test("logs are sent in the background or at once, and wrong ones are counted", async () => {
  const user = await userWith(1);
  const said = new Said();
  const client = clientOf({ logger: said });
  const record = {
    feature_endpoint_id: CHAT,
    user_id: user,
    endpoint: "/chat",
    method: "POST",
    code: 201,
    status: "success",
  };
  assert.equal(client.logs.send({ ...record, payload: { prompt: "Hello" } }), true);
  assert.match((await client.logs.sendNow(record)) ?? "", /^[0-9a-f-]{36}$/);
  assert.equal(client.logs.send({ ...record, payload: "x".repeat(600_000) }), false);
  assert.equal(await client.logs.sendNow({ nothing: true }), null);
  await client.close();

  assert.equal(client.logs.dropped, 2);
  await until(async () => (await operator("GET", `/api/feature-usage-logs?user_id=${user}`)).length === 2, "two logs");
});

test("logs wait in the spool while the gateway is away", async () => {
  const spoolDir = await directory();
  const user = await userWith(1);
  const record = {
    feature_endpoint_id: CHAT,
    user_id: user,
    endpoint: "/chat",
    method: "POST",
    code: 201,
    status: "success",
  };
  await onLine({ spoolDir, retry: { ...QUICK, attempts: 1 } }, async (client, line) => {
    line.cut = true;
    assert.equal(await client.logs.sendNow(record), null);
    client.logs.send(record);
    await client.logs.close(5);
    assert.equal(client.logs.dropped, 0);
  });
  const next = clientOf({ spoolDir });
  await until(async () => (await operator("GET", `/api/feature-usage-logs?user_id=${user}`)).length === 2, "two logs");
  await next.close();
});

async function* chunks(): AsyncGenerator<{ choices: { delta: { content?: string } }[] }> {
  const chunk = { id: randomUUID(), object: "chat.completion.chunk", model: "gpt-4o" };
  yield { ...chunk, choices: [{ delta: { content: "Tap in, " } }] };
  yield { ...chunk, choices: [{ delta: { content: "ride." } }] };
  yield { ...chunk, choices: [], ...REPLY };
}
