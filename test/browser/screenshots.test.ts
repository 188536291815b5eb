/** The pictures in README and docs: real streams through the real server, over an hour that is wound past. */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { createChaosServer } from "../../src/chaos/chaos-server.ts";
import { chat } from "../support/client.ts";
import { jsonReply, NOBODY } from "../support/raw-upstream.ts";
import type { Tools } from "../support/test.ts";
import { test } from "./browser.ts";

const IMAGES = process.env.PERENNIAL_TEST_IMAGES ?? ".cache/browser";
const SLOW = { timeout: 30_000 };
const MODELS = ["qwen2.5-72b-instruct", "deepseek-v3", "glm-4-9b-chat", "gpt-4o-mini"];
/** What breaks in each of 55 minutes, beside what does not: a rough patch half an hour ago. */
const BREAKS: readonly (readonly [minute: number, faults: readonly string[]])[] = [
  [6, ["empty,ok"]],
  [13, ["no-done"]],
  [19, ["429:0,ok"]],
  [26, ["close,ok", "empty,ok", "503,ok", "truncate:9"]],
  [27, ["close,ok", "close,ok", "empty,ok", "eof:12", "503,ok"]],
  [28, ["empty,ok", "role-only,ok"]],
  [38, ["no-done", "empty,ok"]],
  [44, ["error-fastchat:0,ok"]],
  [52, ["status-401", "empty,ok"]],
];

const shoot = (page: Page, name: string, options: object = {}): Promise<unknown> =>
  page.screenshot({ path: join(IMAGES, `dashboard-${name}.png`), animations: "disabled", ...options });

/** An hour of streams in a few seconds: only the clock on the wall is another. */
async function liveThroughAnHour(baseUrl: string): Promise<void> {
  const now = Date.now;
  try {
    for (let minute = 1; minute <= 55; minute++) {
      Date.now = () => now() - (56 - minute) * 60_000;
      const faults = BREAKS.find(([at]) => at === minute)?.[1] ?? [];
      const calm = 5 + Math.round(3 * Math.sin(minute / 4) + 2 * Math.sin(minute * 1.7));
      const asked = [...Array.from({ length: Math.max(2, calm) }, () => "ok"), ...faults];
      await Promise.all(asked.map((fault, n) => ask(baseUrl, fault, minute + n)));
    }
  } finally {
    Date.now = now;
  }
}

function ask(baseUrl: string, fault: string, n: number): Promise<unknown> {
  const messages = [{ role: "user", content: `${n} ${Math.random()}` }];
  return chat(baseUrl, { model: MODELS[n % MODELS.length], messages }, { headers: { "x-chaos": fault } }).catch(() => {});
}

async function startBusy({ closing, startPerennial }: Pick<Tools, "closing" | "startPerennial">) {
  const chaos = closing(createChaosServer({ tokenDelayMs: 3 }));
  const { port } = await chaos.listen();
  const now = Date.now;
  Date.now = () => now() - 60 * 60_000;
  const settings = { upstream: { name: "vllm", profile: "vllm" }, drain: { timeout: "0" }, log: { level: "silent" } };
  const perennial = await startPerennial(`http://127.0.0.1:${port}/v1`, settings);
  Date.now = now;
  await liveThroughAnHour(perennial.baseUrl);
  return perennial;
}

test("the front page, by day and by night", async ({ closing, startPerennial, openPage }) => {
  const perennial = await startBusy({ closing, startPerennial });
  for (const [name, options] of [
    ["light", { colorScheme: "light", locale: "en-GB" }],
    ["dark-zh", { colorScheme: "dark", locale: "zh-CN" }],
  ] as const) {
    const { page, errors } = await openPage(perennial.url, {
      ...options,
      viewport: { width: 1280, height: 1120 },
      deviceScaleFactor: 1.5,
    });
    await page.locator(".rows .row").nth(5).waitFor(SLOW);
    const running = ["slow:300", "slow:450", "slow:380", "empty,slow:350"].map((fault, n) => ask(perennial.baseUrl, fault, n));
    await page.locator('.row[data-state="flowing"]').nth(2).waitFor(SLOW);
    await pause(2_200);
    await shoot(page, name);
    expect(errors).toEqual([]);
    void Promise.all(running);
  }
});

test("upstreams in trouble", async ({ startUpstream, startPerennial, closing, openPage }) => {
  const chaos = closing(createChaosServer({ tokenDelayMs: 3 }));
  const { port } = await chaos.listen();
  const refusing = await startUpstream((socket, { head }) => {
    if (head.includes("k-1")) socket.write(jsonReply("{}", "401 Unauthorized"));
    else socket.write(jsonReply("{}", "500 Internal Server Error"));
  });
  const upstreams = [
    { name: "gpu-1", baseUrl: `${NOBODY}/v1`, profile: "vllm", health: { every: "1s" } },
    { name: "gpu-2", baseUrl: refusing.baseUrl, apiKeys: ["k-1", "k-2"], maxConnections: 64 },
    { name: "cloud", baseUrl: `http://127.0.0.1:${port}/v1` },
  ];
  const settings = { upstreams, breaker: { failures: 1, rest: "90s" }, retry: {}, drain: { timeout: "0" } };
  const perennial = await startPerennial(undefined, { ...settings, log: { level: "silent" } });
  for (let n = 0; n < 12; n++) await ask(perennial.baseUrl, "ok", n);
  const { page, errors } = await openPage(perennial.url, { viewport: { width: 1280, height: 900 }, deviceScaleFactor: 1.5 });
  const running = ["slow:400", "slow:300"].map((fault, n) => ask(perennial.baseUrl, fault, n));
  await page.locator('[data-condition="out"]').waitFor(SLOW);
  await page.locator('.row[data-state="flowing"]').nth(1).waitFor(SLOW);
  await pause(1_500);
  await shoot(page, "upstreams");
  expect(errors).toEqual([]);
  void Promise.all(running);
});

test('a stream\'s own page, a phone, and "Try it"', async ({ startPerennial, openPage }) => {
  const perennial = await startPerennial(undefined, { retry: {} });
  const { page } = await openPage(perennial.url, { deviceScaleFactor: 1.5, viewport: { width: 1280, height: 730 } });
  await page.locator('[data-way="through"][data-verdict="complete"]').waitFor(SLOW);
  await page.locator("[data-fault=eof]").click();
  await page.locator('[data-way="through"][data-verdict="error"]').waitFor(SLOW);
  await page.locator("[data-fault=empty]").click();
  await page.locator('[data-way="through"][data-verdict="complete"]').waitFor(SLOW);
  await pause(1_300);
  await shoot(page, "try-it");
  await page.locator('[data-way="through"] .verdict a').click();
  await page.locator(".facts").waitFor(SLOW);
  await shoot(page, "stream");
  const phone = await openPage(perennial.url, { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true });
  await phone.page.locator(".rows .row").first().waitFor(SLOW);
  await shoot(phone.page, "phone");
});
