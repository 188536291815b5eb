/** The dashboard as somebody sees it who has never seen it: in a real browser, before the real server. */
import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { chat } from "../support/client.ts";
import { chatEvents, jsonReply, sendFramed } from "../support/raw-upstream.ts";
import { open } from "../support/replies.ts";
import { test, type Watched } from "./browser.ts";

const KEY = "k-0123456789";
const AXE = readFileSync(new URL(import.meta.resolve("axe-core/axe.min.js")), "utf8");
const SLOW = { timeout: 30_000 };

const seenIn = (page: Page, selector: string): Promise<string> => page.locator(selector).first().innerText();
const answerTo = (page: Page, question: string): Promise<string> =>
  page.locator(".answer", { hasText: question }).first().innerText();

/** What an assistive technology would stumble over. */
async function seriousFindings(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })");
  const { violations } = found as { violations: { id: string; impact: string; nodes: { html: string }[] }[] };
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

function expectNothingOdd({ errors, elsewhere }: Watched): void {
  expect(errors).toEqual([]);
  expect(elsewhere).toEqual([]);
}

test("a newcomer sees a break being mended within ten seconds, and the code that was told that nothing is the answer", async ({
  startPerennial,
  openPage,
}) => {
  const perennial = await startPerennial(undefined, { retry: {} });
  const watched = await openPage(perennial.url, { path: "/" });
  const { page } = watched;
  await page.locator('[data-way="through"][data-verdict="complete"]').waitFor({ timeout: 10_000 });
  expect(await page.locator('[data-way="direct"]').getAttribute("data-verdict")).toBe("silent");
  expect(await seenIn(page, '[data-way="through"] .verdict')).toMatch(/told “complete”, and it is.*mended unseen/s);
  expect(await seenIn(page, ".code .returned")).toContain('""');
  await expect.poll(() => answerTo(page, "What was saved?"), SLOW).toMatch(/1 answer\b/);
  expect(await answerTo(page, "Is it working?")).toContain("Perennial mended it");
  expect(await answerTo(page, "What broke?")).toContain("an empty answer");
  expect(await answerTo(page, "Whose fault?")).toContain("The upstream’s");
  for (const [fault, direct, through] of [
    ["eof", "silent", "error"],
    ["done", "silent", "error"],
    ["error", "silent", "error"],
    ["close", "error", "complete"],
  ] as const) {
    await page.locator(`[data-fault="${fault}"]`).click();
    await page.locator(`[data-way="direct"][data-verdict="${direct}"]`).waitFor(SLOW);
    await page.locator(`[data-way="through"][data-verdict="${through}"]`).waitFor(SLOW);
  }
  await page.locator('[data-way="through"] .verdict a').click();
  await expect.poll(() => seenIn(page, ".moments"), SLOW).toContain("Attempt 2: sandbox was asked.");
  expect(await seenIn(page, ".end")).toContain("recovered");
  expectNothingOdd(watched);
});

test("a stream appears while it runs, its break and its mending are seen, and it is found by its id", async ({
  startUpstream,
  startPerennial,
  openPage,
}) => {
  const upstream = await startUpstream((socket, request) =>
    request.number === 1
      ? sendFramed(socket, "chunked", [])
      : open(...chatEvents(["Hello"], { finish: null, done: false }))(socket, request),
  );
  const perennial = await startPerennial(upstream.baseUrl, { retry: { backoff: { initial: "3s", jitter: false } } });
  const watched = await openPage(perennial.url);
  const { page } = watched;
  await expect.poll(() => answerTo(page, "Is it working?"), SLOW).toContain("No request yet");
  const seen = chat(perennial.baseUrl, { model: "qwen2.5-72b", messages: [{ role: "user", content: "S3CRET" }] });
  await page.locator('.row[data-state="retrying"]').waitFor(SLOW);
  await page.locator('.row[data-state="flowing"]').waitFor(SLOW);
  expect(await seenIn(page, '.row[data-state="flowing"]')).toMatch(/qwen2.5-72b.*attempt 2.*5 chars/s);
  await page.locator('.row[data-state="flowing"]').click();
  await expect.poll(() => seenIn(page, ".moments"), SLOW).toContain("the gate opened");
  for (const socket of upstream.sockets) socket.end(chatEvents([" world"]).join(""));
  const { headers } = await seen;
  await page.locator(".end .outcome-recovered").waitFor(SLOW);
  await page.goBack();
  await page.getByRole("searchbox").fill(String(headers["x-perennial-id"]));
  await page.keyboard.press("Enter");
  await expect.poll(() => seenIn(page, ".moments"), SLOW).toMatch(/Attempt 1 failed.*an empty answer/s);
  expect(await page.content()).not.toMatch(/S3CRET|Hello/);
  await page.getByRole("searchbox").fill("no-such-id");
  await page.keyboard.press("Enter");
  await expect.poll(() => seenIn(page, ".stream"), SLOW).toContain("not known");
  expectNothingOdd(watched);
});

test("while an upstream is out the page says so, why, and who waits; and that it is over when it is", async ({
  startUpstream,
  startPerennial,
  openPage,
}) => {
  let isBusy = true;
  const upstream = await startUpstream((socket) =>
    isBusy ? socket.write(jsonReply("{}", "503 Busy")) : sendFramed(socket, "chunked", chatEvents(["Hello"])),
  );
  const perennial = await startPerennial(upstream.baseUrl, {
    retry: { outage: "60s", backoff: { initial: "4s", factor: 1, jitter: false } },
  });
  const watched = await openPage(perennial.url);
  const { page } = watched;
  const ask = () => chat(perennial.baseUrl, { model: "qwen<b>2.5" });
  const clients = [ask()];
  await page.locator('.row[data-state="retrying"]').waitFor(SLOW);
  clients.push(ask(), ask());
  await expect.poll(() => answerTo(page, "Is it working?"), SLOW).toMatch(/Not now.*main.*qwen<b>2\.5.*HTTP 503.*wait/s);
  expect(await seenIn(page, '[data-condition="partly"]')).toContain("partly out");
  await page.locator('.row[data-state="held"]').first().click();
  await expect.poll(() => seenIn(page, ".moments"), SLOW).toContain("it waits until one can");
  isBusy = false;
  await Promise.all(clients);
  await page.goBack();
  await expect.poll(() => answerTo(page, "Is it working?"), SLOW).toMatch(/Yes.*3 answers/s);
  expectNothingOdd(watched);
});

test("where keys are set one is asked for, and a wrong one does not open", async ({ serve, openPage }) => {
  const { perennial } = await serve([chatEvents(["Hello"])], { auth: { keys: [KEY] } });
  const watched = await openPage(perennial.url);
  const { page } = watched;
  const field = page.locator("input[name=key]");
  await field.fill("nonsense");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").waitFor(SLOW);
  expect(await seriousFindings(page)).toEqual([]);
  await field.fill(KEY);
  await page.keyboard.press("Enter");
  await page.locator(".answers").waitFor(SLOW);
  expect(await page.evaluate("document.cookie")).toBe("");
  await page.getByRole("button", { name: "Sign out" }).click();
  await field.waitFor(SLOW);
  expectNothingOdd(watched);
});

test("prompt and answer are shown where that is switched on; hostile names and texts are only text", async ({
  serve,
  openPage,
}) => {
  const evil = `<img src=x onerror="document.title='taken'"><script>document.title='taken'</script>`;
  const { perennial } = await serve([chatEvents([`answer ${evil}`])], { dashboard: { text: true } });
  const model = `${evil}${"wide".repeat(40)}`;
  const { headers } = await chat(perennial.baseUrl, { model, messages: [{ role: "user", content: `prompt ${evil}` }] });
  await chat(perennial.baseUrl, { model: "\u202egnp.\u0000exe" });
  for (const viewport of [
    { width: 1280, height: 900 },
    { width: 360, height: 740 },
  ]) {
    const watched = await openPage(perennial.url, { viewport });
    const { page } = watched;
    await page.locator(".rows .row").nth(1).waitFor(SLOW);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(viewport.width);
    await page.goto(`${perennial.url}/dashboard#/stream/${headers["x-perennial-id"]}`);
    await page.locator(".text").nth(1).waitFor(SLOW);
    expect(await page.locator(".text").allInnerTexts()).toEqual([expect.stringContaining(`prompt ${evil}`), `answer ${evil}`]);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(viewport.width);
    expect(await page.title()).toBe("Perennial");
    expect(await seriousFindings(page)).toEqual([]);
    expectNothingOdd(watched);
  }
});

test.for([
  ["light", "en-GB"],
  ["dark", "zh-CN"],
] as const)("it can be used by everybody: %s, %s", async ([colorScheme, locale], { startPerennial, openPage }) => {
  const perennial = await startPerennial(undefined);
  for (const model of ["ok", "empty,ok", "eof:3", "status-401", "no-done"]) {
    await chat(perennial.baseUrl, { model: `chaos/${model}` });
  }
  const watched = await openPage(perennial.url, { colorScheme, locale });
  const { page } = watched;
  await page.locator(".rows .row").nth(3).waitFor(SLOW);
  await page.locator("[data-fault=eof]").click();
  await page.locator('[data-way="through"][data-verdict="error"]').waitFor(SLOW);
  expect(await page.locator("html").getAttribute("lang")).toBe(locale === "zh-CN" ? "zh-CN" : "en");
  expect(await seriousFindings(page)).toEqual([]);
  await page.locator(".rows .row").first().click();
  await page.locator(".facts").waitFor(SLOW);
  expect(await seriousFindings(page)).toEqual([]);
  expectNothingOdd(watched);
});

test("by keyboard alone: the language, the colours, a fault, a stream", async ({ startPerennial, openPage }) => {
  const perennial = await startPerennial(undefined);
  await chat(perennial.baseUrl, { model: "chaos/empty,ok" });
  const { page } = await openPage(perennial.url);
  await page.locator(".rows .row").first().waitFor(SLOW);
  const tabTo = async (selector: string): Promise<void> => {
    for (let tabs = 0; tabs < 40; tabs++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate(`document.activeElement.matches(${JSON.stringify(selector)})`)) return;
    }
    throw new Error(`${selector} cannot be reached by the keyboard`);
  };
  await tabTo("button[lang]");
  await page.keyboard.press("Enter");
  expect(await seenIn(page, "h2")).toBe("工作正常吗？");
  await tabTo("[data-fault=eof]");
  await page.keyboard.press("Enter");
  await page.locator('[data-way="direct"][data-verdict="silent"]').waitFor(SLOW);
  await tabTo(".row");
  await page.keyboard.press("Enter");
  await page.locator(".moments").waitFor(SLOW);
});

test("on a phone nothing is wider than the screen", async ({ startPerennial, openPage }) => {
  const perennial = await startPerennial(undefined);
  for (const model of ["ok", "empty,ok", "eof:3"]) await chat(perennial.baseUrl, { model: `chaos/${model}` });
  const { page } = await openPage(perennial.url, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
  await page.locator(".rows .row").first().waitFor(SLOW);
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
  await page.getByRole("button", { name: "What broke" }).tap();
  await expect.poll(() => page.locator(".part-latest .row").count(), SLOW).toBe(2);
  await page.locator(".rows .row").first().tap();
  await page.locator(".facts").waitFor(SLOW);
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
});

test("2,000 streams in flight do not freeze it", async ({ startUpstream, startPerennial, openPage }) => {
  const piece = chatEvents(["word "], { finish: null, done: false });
  const upstream = await startUpstream(open(...piece));
  const perennial = await startPerennial(upstream.baseUrl, {
    upstream: { maxConnections: 3_000 },
    limits: { maxStreams: 3_000 },
    log: { level: "silent" },
    drain: { timeout: "0" },
  });
  const clients = Array.from({ length: 2_000 }, (_, n) => chat(perennial.baseUrl, { model: `m${n}` }).catch(() => {}));
  const drip = setInterval(() => {
    for (const socket of upstream.sockets) socket.write(piece.join(""));
  }, 2_000);
  try {
    const watched = await openPage(perennial.url);
    const { page } = watched;
    await expect.poll(() => seenIn(page, "#open-title .count"), { timeout: 60_000 }).toBe("2000");
    expect(await page.locator(".row").count()).toBeLessThan(100);
    // The longest that the page's own thread was busy, over five seconds of it.
    const longest = await page.evaluate(`(async () => {
      const seen = new PerformanceObserver(() => {});
      seen.observe({ type: "longtask" });
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      return Math.max(0, ...seen.takeRecords().map(({ duration }) => duration));
    })()`);
    expect(longest).toBeLessThan(1_000);
    await page.locator(".row").first().click();
    await page.locator(".facts").waitFor(SLOW);
    expectNothingOdd(watched);
  } finally {
    clearInterval(drip);
    for (const socket of upstream.sockets) socket.destroy();
    await Promise.all(clients);
  }
});
