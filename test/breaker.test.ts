/** An upstream that keeps failing rests, and a key that is refused or over its limit does. */
import { describe, expect } from "vitest";
import { chat, readStream, send } from "./support/client.ts";
import { chatAnswer, chatEvents, frame, jsonReply, NOBODY } from "./support/raw-upstream.ts";
import { replying, test } from "./support/several-upstreams.ts";
import type { Answer } from "./support/test.ts";

const whole = frame("chunked", chatEvents(["Hello"]));
const refusal = (status: string, headers = ""): string => jsonReply('{"error":{"message":"no"}}', status, headers);
const answeredBy = async (baseUrl: string, body: object = {}): Promise<unknown> =>
  (await chat(baseUrl, body)).headers["x-perennial-upstream"];

describe("an upstream that keeps failing", () => {
  test("is left alone for a while, then asked by one, and gets its requests again when that one is answered", async ({
    inFrontOf,
  }) => {
    let isBad = true;
    const flaky: Answer = (socket, request) => replying(isBad ? refusal("500 Oops") : whole)(socket, request);
    const { perennial, upstreams } = await inFrontOf([flaky, whole], { breaker: { failures: 3, rest: "3s" } });
    const asked = (): number => upstreams[0]?.requests.length ?? 0;
    for (let count = 0; count < 8; count++) expect(await answeredBy(perennial.baseUrl)).toBe("b");
    expect(asked(), "requests until it rested").toBe(3);
    await new Promise((resolve) => setTimeout(resolve, 3_100));
    await Promise.all(Array.from({ length: 6 }, () => chat(perennial.baseUrl)));
    expect(asked(), "one looked whether it is back").toBe(4);
    isBad = false;
    await expect.poll(() => answeredBy(perennial.baseUrl)).toBe("a");
    expect(await answeredBy(perennial.baseUrl)).toBe("a");
  });

  test("rests for the model that fails alone", async ({ inFrontOf }) => {
    const half: Answer = (socket, request) =>
      replying(request.json.model === "bad" ? refusal("500 Oops") : whole)(socket, request);
    const { perennial } = await inFrontOf([half, whole], { breaker: { failures: 2, rest: "1m" } });
    for (let count = 0; count < 3; count++) expect(await answeredBy(perennial.baseUrl, { model: "bad" })).toBe("b");
    expect(await answeredBy(perennial.baseUrl, { model: "good" })).toBe("a");
  });

  test("does not rest for what is not its fault", async ({ inFrontOf }) => {
    const { perennial, upstreams } = await inFrontOf([refusal("400 Bad"), whole], { breaker: { failures: 2, rest: "1m" } });
    for (let count = 0; count < 5; count++) expect((await chat(perennial.baseUrl)).status).toBe(400);
    expect(upstreams[0]?.requests).toHaveLength(5);
  });

  test("is asked on where nothing can take its place, unless that was asked for", async ({ inFrontOf }) => {
    const retry = { maxAttempts: 1 };
    const alone = await inFrontOf([refusal("500 Oops")], { retry });
    for (let count = 0; count < 7; count++) expect((await chat(alone.perennial.baseUrl)).status).toBe(500);
    expect(alone.upstreams[0]?.requests).toHaveLength(7);
    const resting = await inFrontOf([refusal("500 Oops")], {
      retry: { maxAttempts: 2, outage: "200ms", backoff: { initial: 0 } },
      breaker: { failures: 2, rest: "5s" },
    });
    await chat(resting.perennial.baseUrl);
    const seen = await chat(resting.perennial.baseUrl);
    expect(seen.status).toBe(503);
    expect(JSON.parse(seen.body)).toMatchObject({ error: { code: "circuit_open" } });
    expect(Number(seen.headers["retry-after"])).toBeGreaterThan(0);
  });
});

describe("several keys of one upstream", () => {
  const byKey =
    (replies: Record<string, string | Buffer>): Answer =>
    (socket, { head }) =>
      void socket.write(replies[/Bearer (\S+)/.exec(head)?.[1] ?? ""] ?? refusal("401 Who"));
  const keysOf = (requests: readonly { readonly head: string }[] = []): (string | undefined)[] =>
    requests.map(({ head }) => /Bearer (\S+)/.exec(head)?.[1]);
  const settings = { apiKeys: ["k1", "k2"], priority: 0 };

  test.for(["401 Who", "402 Pay", "403 No", "429 Many"])(
    "%s: the next key is used, and the first no more",
    async (status, { inFrontOf }) => {
      const { perennial, upstreams } = await inFrontOf([{ reply: byKey({ k1: refusal(status), k2: whole }), settings }]);
      for (let count = 0; count < 6; count++) expect(readStream((await chat(perennial.baseUrl)).body).text).toBe("Hello");
      const used = keysOf(upstreams[0]?.requests);
      expect(used.filter((key) => key === "k1")).toHaveLength(1);
    },
  );

  test("a key comes back after its reset", async ({ inFrontOf }) => {
    let isOver = true;
    const limited: Answer = (socket, request) =>
      byKey({ k1: isOver ? refusal("429 Many", "retry-after: 1\r\n") : whole, k2: whole })(socket, request);
    const { perennial, upstreams } = await inFrontOf([{ reply: limited, settings }]);
    for (let count = 0; count < 4; count++) await chat(perennial.baseUrl);
    isOver = false;
    const before = keysOf(upstreams[0]?.requests).filter((key) => key === "k1").length;
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    for (let count = 0; count < 6; count++) await chat(perennial.baseUrl);
    expect(keysOf(upstreams[0]?.requests).filter((key) => key === "k1").length).toBeGreaterThan(before);
  });

  test("when all are refused another upstream is asked; what is no matter of keys is not asked of another key", async ({
    inFrontOf,
  }) => {
    const { perennial } = await inFrontOf([
      { reply: refusal("402 Pay"), settings },
      { reply: whole, settings: { priority: 1 } },
    ]);
    expect(await answeredBy(perennial.baseUrl)).toBe("b");
    const failing = await inFrontOf([
      { reply: refusal("404 None"), settings },
      { reply: whole, settings: { priority: 1 } },
    ]);
    expect(await answeredBy(failing.perennial.baseUrl)).toBe("b");
    expect(failing.upstreams[0]?.requests).toHaveLength(1);
  });

  test("are not shown, and a client's own does not go there", async ({ inFrontOf }) => {
    const { perennial, upstreams } = await inFrontOf([{ reply: byKey({ k1: whole, k2: whole }), settings }]);
    await chat(perennial.baseUrl, {}, { headers: { authorization: "Bearer mine" } });
    await send(`${perennial.baseUrl}/models`);
    expect(keysOf(upstreams[0]?.requests)).not.toContain("mine");
    expect(upstreams[0]?.requests).toHaveLength(2);
    await perennial.exchangeLog(2);
    expect(JSON.stringify(perennial.log)).not.toMatch(/"k[12]"|Bearer/);
  });
});

test("nobody waits for one that has begun to rest while another can be asked", async ({ inFrontOf }) => {
  let isOut = true;
  const bad: Answer = (socket) => socket.write(refusal("500 Oops"));
  const once: Answer = (socket, request) => {
    replying(isOut ? refusal("503 Busy") : whole)(socket, request);
    isOut = false;
  };
  const { perennial, upstreams } = await inFrontOf([bad, once], {
    breaker: { failures: 2, rest: "1h" },
    retry: { maxAttempts: 9, backoff: { initial: "400ms", jitter: false } },
  });
  // The second is out when the first fails, so that the first is to be asked again after a while.
  const first = chat(perennial.baseUrl);
  await expect.poll(() => upstreams.map(({ requests }) => requests.length)).toEqual([1, 1]);
  // By which it rests.
  const second = chat(perennial.baseUrl);
  for (const { headers } of await Promise.all([first, second])) expect(headers["x-perennial-upstream"]).toBe("b");
});

describe("an upstream that is asked how it is", () => {
  test("is not asked by a client while it is down, and /readyz says whether there is one that is up", async ({ inFrontOf }) => {
    let isDown = true;
    const flaky: Answer = (socket, request) => replying(isDown ? refusal("503 Busy") : whole)(socket, request);
    const { perennial, upstreams } = await inFrontOf([
      { reply: flaky, settings: { health: { every: "1s", path: "/alive" } } },
      whole,
    ]);
    const asks = (path: string): number => upstreams[0]?.requests.filter(({ head }) => head.includes(` /v1${path} `)).length ?? 0;
    await expect.poll(() => perennial.log.map(({ msg }) => msg).join()).toContain("does not answer its health checks");
    for (let count = 0; count < 3; count++) expect(await answeredBy(perennial.baseUrl)).toBe("b");
    expect(asks("/chat/completions")).toBe(0);
    expect((await send(`${perennial.url}/readyz`)).status).toBe(200);
    isDown = false;
    await expect.poll(() => answeredBy(perennial.baseUrl)).toBe("a");
  });

  test("gets its first question again when it is back, before a client asks it", async ({ inFrontOf }) => {
    let isDown = false;
    const answer = jsonReply(chatAnswer("Hello"));
    const flaky: Answer = (socket) => socket.write(isDown ? refusal("503 Busy") : answer);
    const { perennial, upstreams } = await inFrontOf([flaky], { health: { every: "50ms" }, warmup: {} });
    const questions = (): number => upstreams[0]?.requests.filter(({ head }) => head.startsWith("POST")).length ?? 0;
    await expect.poll(async () => (await send(`${perennial.url}/readyz`)).status).toBe(200);
    isDown = true;
    await expect.poll(() => perennial.log.map(({ msg }) => msg).join()).toContain("health checks");
    isDown = false;
    const before = questions();
    await expect.poll(questions).toBeGreaterThan(before);
    await expect.poll(async () => (await send(`${perennial.url}/readyz`)).status).toBe(200);
  });

  test("is not warm because another one is", async ({ inFrontOf }) => {
    const { perennial } = await inFrontOf([{ reply: NOBODY, settings: { warmup: {} } }, whole]);
    expect(await answeredBy(perennial.baseUrl)).toBe("b");
    await perennial.exchangeLog();
    expect(perennial.log.filter(({ msg }) => msg === "the upstream is warm")).toEqual([]);
  });

  test("makes /readyz red where there is no other, and is alive when it only refuses", async ({ inFrontOf }) => {
    const health = { every: "50ms" };
    const down = await inFrontOf([refusal("503 Busy")], { health });
    await expect.poll(async () => (await send(`${down.perennial.url}/readyz`)).status).toBe(503);
    const refusing = await inFrontOf([refusal("401 Who")], { health });
    await expect.poll(() => refusing.upstreams[0]?.requests.length).toBeGreaterThan(1);
    expect((await send(`${refusing.perennial.url}/readyz`)).status).toBe(200);
  });
});
