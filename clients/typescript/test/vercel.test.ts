/** The middleware with the real AI SDK, against a real gateway. */

import assert from "node:assert/strict";
import { after, test } from "node:test";

import {
  embed,
  embedMany,
  generateText,
  stepCountIs,
  streamText,
  tool,
  wrapEmbeddingModel,
  wrapLanguageModel,
} from "ai";
import * as seven from "ai-7";
import { MockLanguageModelV4 } from "ai-7/test";
import { convertArrayToReadableStream, MockEmbeddingModelV3, MockLanguageModelV3 } from "ai/test";
import { z } from "zod";

import { InsufficientCreditsError, InvalidError } from "../src/index.js";
import {
  type CallCosts,
  creditsCharged,
  faregateEmbeddingMiddleware,
  faregateMiddleware,
  type MiddlewareOptions,
} from "../src/vercel-ai/index.js";
import { balanceOf, CHAT, clientOf, heldOf, operator, Said, until, userWith } from "./support.js";

type Result = Awaited<ReturnType<MockLanguageModelV3["doGenerate"]>>;
type StreamPart =
  Awaited<ReturnType<MockLanguageModelV3["doStream"]>>["stream"] extends ReadableStream<infer Part> ? Part : never;

const credits = clientOf();
after(() => credits.close());

const USAGE = usageOf(1000, 100);
const STOP = { unified: "stop", raw: undefined } as const;

function usageOf(input?: number, output?: number, raw?: NonNullable<Result["usage"]["raw"]>): Result["usage"] {
  return {
    inputTokens: { total: input, noCache: input, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: output, text: output, reasoning: undefined },
    ...(raw ? { raw } : {}),
  };
}

function resultOf(more: Partial<Result> = {}): Result {
  return {
    content: [{ type: "text", text: "Tap in, ride." }],
    finishReason: STOP,
    usage: USAGE,
    warnings: [],
    ...more,
  };
}

function partsOf(...end: StreamPart[]): StreamPart[] {
  return [
    { type: "stream-start", warnings: [] },
    { type: "response-metadata", id: "r", modelId: "gpt-4o" },
    { type: "text-start", id: "1" },
    { type: "text-delta", id: "1", delta: "Tap in, " },
    { type: "text-delta", id: "1", delta: "ride." },
    { type: "text-end", id: "1" },
    ...end,
  ];
}

const FINISH: StreamPart = { type: "finish", finishReason: STOP, usage: USAGE };

function streaming(parts: StreamPart[]): MockLanguageModelV3 {
  return new MockLanguageModelV3({
    modelId: "gpt-4o",
    doStream: async () => ({ stream: convertArrayToReadableStream(parts) }),
  });
}

function answering(result: Result | (() => Promise<Result>)): MockLanguageModelV3 {
  return new MockLanguageModelV3({
    modelId: "gpt-4o",
    doGenerate: typeof result === "function" ? result : async () => result,
  });
}

function charging(model: MockLanguageModelV3, options: Partial<MiddlewareOptions>) {
  return wrapLanguageModel({ model, middleware: faregateMiddleware(credits, { feature: CHAT, ...options }) });
}

function costsIn(metadata: unknown): CallCosts {
  return (metadata as { faregate: CallCosts }).faregate;
}

test("a call is charged by the usage that the model reports, and its result says what it cost", async () => {
  const user = await userWith(10);
  const model = answering(resultOf({ providerMetadata: { openai: { logprobs: [] } } }));
  const result = await generateText({ model: charging(model, { user }), prompt: "Hello" });

  assert.equal(result.text, "Tap in, ride.");
  const costs = costsIn(result.providerMetadata);
  assert.deepEqual(
    { ...costs, usageKey: "" },
    { usageKey: "", state: "settled", charged: "0.42", credits: "9.58", shortfall: "0" },
  );
  assert.deepEqual(result.providerMetadata?.["openai"], { logprobs: [] });
  assert.equal(creditsCharged(result)?.toString(), "0.42");
  assert.deepEqual([await balanceOf(user), await heldOf(user)], ["9.58", "0"]);
});

test("the credits are held before the model is called", async () => {
  const user = await userWith(10);
  const model = answering(async () => {
    assert.equal(await heldOf(user), "3");
    return resultOf();
  });
  await generateText({ model: charging(model, { user: () => user, estimate: () => 3 }), prompt: "Hello" });

  assert.equal(await balanceOf(user), "9.58");
});

test("without credits the model is not called", async () => {
  const user = await userWith(1);
  const model = answering(resultOf());
  await assert.rejects(
    generateText({ model: charging(model, { user }), prompt: "Hello" }),
    (error) => error instanceof InsufficientCreditsError && error.required.equals(2),
  );

  assert.equal(model.doGenerateCalls.length, 0);
});

test("of parallel calls exactly those run that the credits cover", async () => {
  const user = await userWith(14);
  let [running, refused] = [0, 0];
  const model = answering(async () => {
    running += 1;
    await until(async () => refused === 13, "the refusal of the others");
    return resultOf();
  });
  const call = () => generateText({ model: charging(model, { user }), prompt: "Hello" }).catch(() => (refused += 1));
  await Promise.all(Array.from({ length: 20 }, call));

  assert.deepEqual([running, refused], [7, 13]);
  assert.equal(await balanceOf(user), "11.06");
});

test("a call that fails is voided", async () => {
  const user = await userWith(10);
  const model = answering(() => Promise.reject(new Error("the model is away")));
  await assert.rejects(
    generateText({ model: charging(model, { user }), prompt: "Hello", maxRetries: 0 }),
    /the model is away/,
  );

  assert.deepEqual([await balanceOf(user), await heldOf(user)], ["10", "0"]);
});

test("each step of a run with tools is charged, and the result knows their sum", async () => {
  const user = await userWith(10);
  const steps = [
    resultOf({
      content: [{ type: "tool-call", toolCallId: "1", toolName: "fare", input: '{"zone":2}' }],
      finishReason: { unified: "tool-calls", raw: undefined },
    }),
    resultOf(),
  ];
  const model = answering(async () => steps.shift()!);
  const tools = { fare: tool({ inputSchema: z.object({ zone: z.number() }), execute: async ({ zone }) => zone * 2 }) };
  const result = await generateText({
    model: charging(model, { user }),
    prompt: "Hello",
    tools,
    stopWhen: stepCountIs(3),
  });

  assert.equal(result.steps.length, 2);
  assert.equal(creditsCharged(result)?.toString(), "0.84");
  assert.equal(await balanceOf(user), "9.16");
});

test("several calls within one use are settled together", async () => {
  const user = await userWith(10);
  const one = charging(answering(resultOf()), {});
  const other = charging(streaming(partsOf(FINISH)), {});
  const { value, result } = await credits.use(CHAT, user, {}, async () => {
    const first = await generateText({ model: one, prompt: "Hello" });
    const second = streamText({ model: other, prompt: "Again" });
    await second.consumeStream();
    return [costsIn(first.providerMetadata), costsIn(await second.providerMetadata)];
  });

  assert.deepEqual(
    value.map((costs) => [costs.usageKey, costs.state, costs.charged]),
    [
      [result.usageKey, "open", null],
      [result.usageKey, "open", null],
    ],
  );
  assert.equal(creditsCharged({ steps: [{ providerMetadata: { faregate: value[0] } }] }), null);
  assert.deepEqual([result.details.length, result.charged?.toString()], [2, "0.84"]);
  assert.equal(await balanceOf(user), "9.16");
});

test("a failed call within a use leaves the use to its caller", async () => {
  const user = await userWith(10);
  const away = charging(
    answering(() => Promise.reject(new Error("away"))),
    {},
  );
  const { result } = await credits.use(CHAT, user, {}, async () => {
    await assert.rejects(generateText({ model: away, prompt: "Hello", maxRetries: 0 }), /away/);
    return generateText({ model: charging(answering(resultOf()), {}), prompt: "Hello" });
  });

  assert.deepEqual([result.details.length, result.charged?.toString()], [1, "0.42"]);
});

test("a stream is charged at its end, and its last part says what it cost", async () => {
  const user = await userWith(10);
  const result = streamText({ model: charging(streaming(partsOf(FINISH)), { user }), prompt: "Hello" });
  let text = "";
  for await (const delta of result.textStream) text += delta;

  assert.equal(text, "Tap in, ride.");
  assert.equal(costsIn(await result.providerMetadata).charged, "0.42");
  assert.equal(creditsCharged({ steps: await result.steps })?.toString(), "0.42");
  assert.deepEqual([await balanceOf(user), await heldOf(user)], ["9.58", "0"]);
});

test("a stream that its reader leaves is charged for what came", async () => {
  const user = await userWith(10);
  const sent: unknown[] = [];
  const recording = clientOf({
    fetch: (input, init) => {
      sent.push(init?.body);
      return fetch(input, init);
    },
  });
  const estimate = [{ model: "gpt-4o", inputTokens: 1000 }];
  const middleware = faregateMiddleware(recording, { feature: CHAT, user, estimate });
  const model = wrapLanguageModel({ model: streaming(partsOf(FINISH)), middleware });
  const { stream } = await model.doStream({ prompt: [{ role: "user", content: [{ type: "text", text: "Hello" }] }] });
  const reader = stream.getReader();
  for (let part = await reader.read(); part.value?.type !== "text-delta"; part = await reader.read())
    assert.equal(part.done, false);
  await reader.cancel();

  await until(async () => (await heldOf(user)) === "0", "the settlement");
  await recording.close();
  assert.match(String(sent.at(-1)), /"input_tokens":1000,"output_tokens":2\}.*"usage_estimated":true/);
  assert.notEqual(await balanceOf(user), "10");
});

test("a call that is aborted while it runs is charged for its request; before, it is not sent and not charged", async () => {
  const user = await userWith(10);
  const during = new AbortController();
  const running = new MockLanguageModelV3({
    modelId: "gpt-4o",
    doGenerate: ({ abortSignal }) => {
      during.abort();
      return Promise.reject(abortSignal?.reason);
    },
  });
  const estimate = [{ model: "gpt-4o", inputTokens: 1000, outputTokens: 100 }];
  const call = { prompt: "Hello", abortSignal: during.signal };
  await assert.rejects(generateText({ ...call, model: charging(running, { user, estimate }) }), { name: "AbortError" });
  const charged = await balanceOf(user);

  const before = new AbortController();
  const model = answering(resultOf());
  const late = charging(model, {
    user: () => {
      before.abort();
      return user;
    },
  });
  const early = generateText({ model: late, prompt: "Hello", abortSignal: before.signal });
  await assert.rejects(early, { name: "AbortError" });

  assert.equal(model.doGenerateCalls.length, 0);
  assert.deepEqual([charged, await balanceOf(user), await heldOf(user)], ["9.7", "9.7", "0"]);
});

test("a stream that reports an error before anything came is voided", async () => {
  const user = await userWith(10);
  const failed: StreamPart[] = [
    { type: "stream-start", warnings: [] },
    { type: "error", error: new Error("overloaded") },
    { type: "finish", finishReason: { unified: "error", raw: undefined }, usage: usageOf() },
  ];
  const result = streamText({
    model: charging(streaming(failed), { user }),
    prompt: "Hello",
    onError: () => undefined,
  });
  await result.consumeStream();

  await until(async () => (await heldOf(user)) === "0", "the void");
  assert.equal(await balanceOf(user), "10");
});

test("who pays may come with the call", async () => {
  const user = await userWith(10);
  const model = charging(answering(resultOf()), { user: "nobody", metadata: { app: "web" } });
  const providerOptions = { faregate: { user, metadata: { page: "home" } } };
  const result = await generateText({ model, prompt: "Hello", providerOptions });
  const story = JSON.stringify(
    await operator("GET", `/api/credits-process/${costsIn(result.providerMetadata).usageKey}`),
  );

  assert.equal(await balanceOf(user), "9.58");
  assert.match(story, /"app":"web"/);
  assert.match(story, /"page":"home"/);
});

test("a call without a payer, or with a wrong one, is refused and says how to name one", async () => {
  const model = answering(resultOf());
  await assert.rejects(
    generateText({ model: charging(model, {}), prompt: "Hello" }),
    (error) => error instanceof InvalidError && /who pays\?/.test(error.message),
  );
  const providerOptions = { faregate: { user: 7 } };
  await assert.rejects(
    generateText({ model: charging(model, {}), prompt: "Hello", providerOptions }),
    /providerOptions.faregate.user must be a text/,
  );

  assert.equal(model.doGenerateCalls.length, 0);
});

test("what only the provider's own usage tells is charged as well", async () => {
  const user = await userWith(100);
  const raw = {
    input_tokens: 900,
    cache_read_input_tokens: 100,
    output_tokens: 100,
    server_tool_use: { web_search_requests: 2 },
  };
  const usage = {
    ...usageOf(1000, 100, raw),
    inputTokens: { total: 1000, noCache: 900, cacheRead: 100, cacheWrite: undefined },
  };
  const model = new MockLanguageModelV3({ modelId: "claude-sonnet-4-5", doGenerate: async () => resultOf({ usage }) });
  const { value } = await within(user, () => generateText({ model: charging(model, {}), prompt: "Hello" }));

  assert.deepEqual([value["web_searches"], value["cache_read_tokens"], value["input_tokens"]], [2, 100, 1000]);
});

test("where the provider's own totals differ, those of the SDK count", async () => {
  const user = await userWith(100);
  const usage = usageOf(3000, 100, { input_tokens: 900, output_tokens: 100 });
  const model = new MockLanguageModelV3({ modelId: "claude-sonnet-4-5", doGenerate: async () => resultOf({ usage }) });
  const { value } = await within(user, () => generateText({ model: charging(model, {}), prompt: "Hello" }));

  assert.equal(value["input_tokens"], 3000);
});

test("a model that reports no usage is charged by an estimate", async () => {
  const user = await userWith(100);
  const model = answering(
    resultOf({ usage: usageOf(), content: [{ type: "text", text: "Tap in, ride. ".repeat(20) }] }),
  );
  const { value } = await within(user, () =>
    generateText({ model: charging(model, {}), prompt: "Hello ".repeat(100) }),
  );

  assert.deepEqual([value["input_tokens"], value["output_tokens"]], [154, 70]);
});

test("a stream that outlives its use ends with an error instead of running unpaid", async () => {
  const user = await userWith(10);
  const model = charging(streaming(partsOf(FINISH)), {});
  const prompt = [{ role: "user" as const, content: [{ type: "text" as const, text: "Hello" }] }];
  const { value } = await credits.use(CHAT, user, {}, async () => model.doStream({ prompt }));

  await assert.rejects(async () => {
    for await (const _ of value.stream as unknown as AsyncIterable<unknown>);
  }, /has ended before its stream/);
});

test("a result may be observed without the middleware as well", async () => {
  const user = await userWith(10);
  const { result } = await credits.use(CHAT, user, {}, async (use) => {
    use.observe(await generateText({ model: answering(resultOf()), prompt: "Hello" }));
  });

  assert.deepEqual([result.details[0]?.model, result.charged?.toString()], ["gpt-4o", "0.42"]);
});

test("embeddings are charged by the tokens that the model reports, or by an estimate", async () => {
  const user = await userWith(10);
  const middleware = faregateEmbeddingMiddleware(credits, { feature: CHAT, user });
  const reports = [{ tokens: 1_000_000 }, undefined];
  const model = new MockEmbeddingModelV3({
    modelId: "text-embedding-3-small",
    maxEmbeddingsPerCall: 2,
    doEmbed: async ({ values }) => {
      const usage = reports.shift();
      return { embeddings: values.map(() => [0.5]), warnings: [], ...(usage ? { usage } : {}) };
    },
  });
  const wrapped = wrapEmbeddingModel({ model, middleware });
  const one = await embed({ model: wrapped, value: "Hello" });
  const { value } = await within(user, () => embedMany({ model: wrapped, values: ["Tap in, ride.", "你好,世界"] }));

  assert.deepEqual(one.embedding, [0.5]);
  assert.equal(costsIn(one.providerMetadata).charged, "2.4");
  assert.deepEqual([value["input_tokens"], value["output_tokens"] ?? 0], [9, 0]);
});

test("calls of version 7 of the AI SDK are charged alike", async () => {
  const user = await userWith(10);
  const provided = new MockLanguageModelV4({
    modelId: "gpt-4o",
    doGenerate: async () => ({ ...resultOf(), content: [{ type: "text", text: "Tap in, ride." }], warnings: [] }),
    doStream: async () => ({ stream: convertArrayToReadableStream(partsOf(FINISH)) as never }),
  });
  const middleware = faregateMiddleware(credits, { feature: CHAT, user }) as unknown as seven.LanguageModelMiddleware;
  const model = seven.wrapLanguageModel({ model: provided, middleware });
  const result = await seven.generateText({ model, prompt: "Hello" });
  const stream = seven.streamText({ model, prompt: "Hello" });
  let text = "";
  for await (const delta of stream.textStream) text += delta;

  assert.equal(text, "Tap in, ride.");
  assert.equal(creditsCharged(result)?.toString(), "0.42");
  assert.equal(creditsCharged({ steps: await stream.steps })?.toString(), "0.42");
  assert.deepEqual([await balanceOf(user), await heldOf(user)], ["9.16", "0"]);
});

/** Run a call within a use; return the tokens of its line. */
async function within(
  user: string,
  call: () => Promise<unknown>,
): Promise<{ value: Readonly<Record<string, unknown>> }> {
  const quiet = clientOf({ logger: new Said() });
  const { result } = await quiet.use(CHAT, user, {}, async () => void (await call()));
  await quiet.close();
  assert.equal(result.details.length, 1);
  return { value: result.details[0]!.tokens };
}
