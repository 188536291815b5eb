/** `perennial init` writes a file that works, and `perennial try` says how one answer went. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect } from "vitest";
import { createChaosServer } from "../src/chaos/chaos-server.ts";
import { runTry } from "../src/cli/run-try.ts";
import { loadConfig } from "../src/config/load.ts";
import { type InitContext, type InitOptions, runInit } from "../src/doctor/run-init.ts";
import { WHOLE } from "./support/events.ts";
import { slowly } from "./support/replies.ts";
import { test } from "./support/test.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "perennial-init-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const KEY = "S3CRET-key";

describe("init", () => {
  const context = (more: Partial<InitContext> = {}): InitContext & { said: string[] } => {
    const said: string[] = [];
    return { env: { MY_KEY: KEY }, ask: undefined, write: (text) => said.push(text), patienceMs: 10_000, said, ...more };
  };
  const options = (more: Partial<InitOptions>): InitOptions => ({ out: join(folder, "perennial.yaml"), force: false, ...more });

  test("asks three questions, and writes what fits, with its reasons and without the key", async ({ closing }) => {
    const chaos = closing(createChaosServer({ as: "chatglm3", firstRequestMs: 0, tokenDelayMs: 0 }));
    const { url } = await chaos.listen();
    const answers = [url, "MY_KEY", ""];
    const asked: string[] = [];
    const ask = async (question: string): Promise<string> => {
      asked.push(question);
      return answers.shift() ?? "";
    };
    const told = context({ ask });
    expect(await runInit(options({}), told)).toBe(0);
    expect(asked).toHaveLength(3);
    const text = readFileSync(join(folder, "perennial.yaml"), "utf8");
    expect(text).toContain("# it looks like ChatGLM3");
    expect(text + told.said.join("")).not.toContain(KEY);
    const { config } = loadConfig({ file: join(folder, "perennial.yaml"), env: { MY_KEY: KEY }, flags: {}, cwd: folder });
    expect(config).toMatchObject({ port: 8787, upstreams: [{ baseUrl: url, apiKey: KEY, profile: "chatglm3" }] });
    expect(chaos.requests[0]?.headers.authorization).toBe(`Bearer ${KEY}`);
  });

  test("takes flags in place of questions, and writes settings that mend", async ({ closing }) => {
    const chaos = closing(createChaosServer({ tokenDelayMs: 0 }));
    const { url } = await chaos.listen();
    const flags = { upstream: url, port: 9_000, model: "chaos/done-without-finish" };
    expect(await runInit(options(flags), context())).toBe(0);
    const { config } = loadConfig({ file: join(folder, "perennial.yaml"), env: {}, flags: {}, cwd: folder });
    expect(config).toMatchObject({ port: 9_000, upstreams: [{ finish: "done", nonStreaming: "viaStream" }] });
  });

  test("writes over nothing unless told to, and says 1 where the server is not there", async () => {
    writeFileSync(join(folder, "perennial.yaml"), "port: 1\n");
    const flags = { upstream: "http://nowhere.invalid/v1" };
    await expect(runInit(options(flags), context())).rejects.toThrow("--force");
    expect(readFileSync(join(folder, "perennial.yaml"), "utf8")).toBe("port: 1\n");
    expect(await runInit(options({ ...flags, force: true }), context())).toBe(1);
    expect(readFileSync(join(folder, "perennial.yaml"), "utf8")).toContain("nowhere.invalid");
  });

  test("without a terminal wants the upstream by flag", async () => {
    await expect(runInit(options({}), context())).rejects.toThrow("--upstream URL");
    await expect(runInit(options({ upstream: "here" }), context())).rejects.toThrow("baseUrl");
  });
});

describe("try", () => {
  async function tryOut(url: string, model?: string, terminal = { isTerminal: false, showsText: false }) {
    const [text, told]: string[][] = [[], []];
    const context = { write: (each: string) => text?.push(each), tell: (each: string) => told?.push(each), ...terminal };
    const code = await runTry({ prompt: "Hello!", url, model }, context);
    return { code, text: text?.join(""), told: told?.join("") };
  }

  test("shows the text and that it was whole, also after a retry", async ({ startPerennial }) => {
    const { url } = await startPerennial(undefined);
    const whole = await tryOut(url);
    expect(whole).toMatchObject({ code: 0, told: expect.stringMatching(/● whole: \d+ characters, \d+ a second, .* 1 attempt,/) });
    expect(whole.text?.length).toBeGreaterThan(50);
    expect((await tryOut(url, "chaos/empty,ok")).told).toContain("2 attempts");
  });

  test("on a terminal shows how it goes, and wipes out no word of the text", async ({ startUpstream }) => {
    const upstream = await startUpstream(slowly(WHOLE, 300));
    const url = upstream.baseUrl.replace("/v1", "");
    const both = await tryOut(url, "m", { isTerminal: true, showsText: true });
    // Cleared once, before the first word; the last line says how it went.
    expect(both.told?.split("\u001b[K").at(-1)).toMatch(/^\n● whole: 12 characters/);
    const piped = await tryOut(url, "m", { isTerminal: true, showsText: false });
    expect(piped.told).toMatch(/… [1-9]\d* characters, \d+ a second/);
  });

  test("says what was wrong, and 1", async ({ startPerennial, startUpstream }) => {
    const { url } = await startPerennial(undefined);
    const cut = await tryOut(url, "chaos/eof");
    expect(cut).toMatchObject({ code: 1, told: expect.stringContaining("✖ stream_truncated: Incomplete stream:") });
    expect(await tryOut(url, "chaos/401")).toMatchObject({ code: 1, told: expect.stringContaining("✖ HTTP 401") });
    const gone = await startUpstream(() => {});
    await gone.close();
    expect((await tryOut(gone.baseUrl.replace("/v1", ""))).told).toContain("nothing listens");
  });
});
