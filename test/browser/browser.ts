/** A page in Chromium that remembers whatever should not have happened, and a test that has one. */
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { test as bare } from "../support/test.ts";
import { findChromium } from "./chromium.ts";

export interface Watched {
  readonly page: Page;
  /** Errors in the console, exceptions, and requests that failed. */
  readonly errors: string[];
  /** Requests to anywhere but the address that was opened. */
  readonly elsewhere: string[];
}

/** @param url of Perennial. */
export type OpenPage = (url: string, options?: BrowserContextOptions & { readonly path?: string }) => Promise<Watched>;

export const test = bare
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads from the pattern what is needed
  .extend("browser", { scope: "file" }, async ({}, { onCleanup }): Promise<Browser> => {
    const executablePath = findChromium() as string;
    // Root has no sandbox for Chromium, and a container often little shared memory.
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
    onCleanup(() => browser.close());
    return browser;
  })
  .extend("openPage", ({ browser, closing }): OpenPage => {
    return async (url, { path = "/dashboard", ...options } = {}) => {
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-GB", ...options });
      closing({ close: () => context.close() });
      const page = await context.newPage();
      const watched: Watched = { page, errors: [], elsewhere: [] };
      page.on("console", (message) => {
        if (message.type() === "error" || message.type() === "warning") watched.errors.push(message.text());
      });
      page.on("pageerror", (error) => watched.errors.push(String(error)));
      page.on("request", (request) => {
        if (new URL(request.url()).origin !== new URL(url).origin) watched.elsewhere.push(request.url());
      });
      await page.goto(url + path);
      return watched;
    };
  });
