/**
 * The same broken streams, twice: the official OpenAI client straight at the upstream, and through Perennial.
 * Every cell is measured as it runs. Times are short, so that nobody waits 30 seconds for a stall to be noticed.
 */
import OpenAI from "openai";
import { VERSION } from "openai/version";
import pc from "picocolors";
import pino from "pino";
import { type App, startApp } from "../src/app.ts";
import { ANSWER } from "../src/chaos/answer.ts";
import { createChaosServer } from "../src/chaos/chaos-server.ts";
import { configSchema } from "../src/config/schema.ts";

/** A program that is still waiting after this long is counted as hung. */
const PATIENCE_MS = 2_500;

const FAULTS: [model: string, what: string][] = [
  ["ok", "nothing goes wrong"],
  ["close,ok", "closed before the answer"],
  ["429:1,ok", "rate limit, once"],
  ["empty,ok", "200 with no data, once"],
  ["role-only,ok", "a role and no text, once"],
  ["stall-first,ok", "headers, then silence, once"],
  ["error-event:0,ok", "an error as first event, once"],
  ["no-done", "no [DONE] at the end"],
  ["hold-open", "[DONE], socket stays open"],
  ["eof:12", "ends without a finish"],
  ["done-without-finish:12", "[DONE] without a finish"],
  ["truncate:12", "cut inside the body"],
  ["truncate:12,continue-right", "the same, and it can go on"],
  ["truncate:12,continue-restart", "the same, and it begins anew"],
  ["reset:12", "connection reset"],
  ["stall:12", "stops in the middle"],
  ["error-fastchat:12", "FastChat's error, [DONE]"],
  ["error-vllm-flat:12", "older vLLM's error, [DONE]"],
  ["empty", "200 with no data, always"],
  ["null", "200 with a body of null"],
];

/** The first of two upstreams fails; the second does not. Directly there is only the first. */
const FAILOVERS: [model: string, what: string][] = [
  ["close@a", "upstream down"],
  ["401@a", "its key is refused"],
  ["404@a", "it does not have the model"],
  ["429:3000@a", "rate limit, for 50 minutes"],
  ["stall-first@a", "headers, then silence"],
  ["empty@a", "200 with no data, always"],
];

interface Told {
  readonly verdict: "complete" | "error" | "silence" | "hang";
  readonly detail: string;
  readonly text: string;
}

/** What a program is told that does what every tutorial says. */
async function ask(client: OpenAI, model: string, signal: AbortSignal): Promise<Told> {
  let text = "";
  try {
    const stream = await client.chat.completions.create(
      {
        model: `chaos/${model}`,
        stream: true,
        temperature: 0,
        messages: [{ role: "user", content: `Why do streams break? (${model})` }],
      },
      { signal },
    );
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    if (signal.aborted) return { verdict: "hang", detail: `still waiting after ${PATIENCE_MS / 1_000} s`, text };
    // The loop ended without an error: the program believes that this is the answer.
    return text === ANSWER
      ? { verdict: "complete", detail: "complete", text }
      : { verdict: "silence", detail: "told complete; it is not", text };
  } catch (error) {
    if (signal.aborted) return { verdict: "hang", detail: `still waiting after ${PATIENCE_MS / 1_000} s`, text };
    const { name, code } = error as { name: string; code?: string };
    const kind = error instanceof OpenAI.APIError ? error.constructor.name : name;
    return { verdict: "error", detail: code ? `${kind} ${code}` : `${kind}: ${(error as Error).message}`, text };
  }
}

async function measure(client: OpenAI, model: string): Promise<Told> {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE_MS);
  try {
    return await ask(client, model, patience.signal);
  } finally {
    clearTimeout(timer);
  }
}

const MARK = { complete: pc.green("●"), error: pc.yellow("▲"), silence: pc.red("✖"), hang: pc.red("✖") };
const PAINT = { complete: pc.green, error: pc.yellow, silence: pc.red, hang: pc.red };
/** Two columns for what was told share what a terminal has left, within reason. */
const told = Math.max(20, Math.min(37, Math.floor(((process.stdout.columns ?? 132) - 60) / 2)));
const WIDTH = { fault: 28, told, text: 10 };

function column(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width);
}

/** How much of the answer arrived, as a bar of eight cells and a percentage. */
function bar(text: string): string {
  const share = text.length / ANSWER.length;
  const full = Math.round(share * 5);
  return `${"━".repeat(full)}${pc.dim("─".repeat(5 - full))} ${String(Math.round(share * 100)).padStart(3)}%`;
}

const cell = (told: Told): string =>
  `${MARK[told.verdict]} ${PAINT[told.verdict](column(told.detail, WIDTH.told - 2))} ${bar(told.text)}`;
const rule = (left: string, middle: string, right: string): string =>
  pc.dim(
    left +
      "─".repeat(WIDTH.fault + 2) +
      middle +
      "─".repeat(WIDTH.told + WIDTH.text + 3) +
      middle +
      "─".repeat(WIDTH.told + WIDTH.text + 3) +
      right,
  );
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const chaos = createChaosServer({ tokenDelayMs: 4 });
const { url, urlOf } = await chaos.listen(0, "127.0.0.1");

const inFrontOf = (upstreams: readonly object[]): Promise<App> =>
  startApp(
    configSchema.parse({
      port: 0,
      upstreams,
      recovery: "continue",
      timeouts: { firstToken: "500ms", idle: "500ms", alive: "700ms" },
      retry: { backoff: { initial: "50ms" } },
      drain: { timeout: "0" },
    }),
    pino({ level: "silent" }),
  );
// No retries of the SDK's own, so that the table shows the stream and not the second one behind it.
const clientOf = (baseURL: string): OpenAI => new OpenAI({ apiKey: "demo", baseURL, maxRetries: 0 });

const one = await inFrontOf([{ baseUrl: url, continuation: "assistant" }]);
const pair = ["a", "b"].map((name) => ({ name, baseUrl: urlOf(name), apiKey: `key-of-${name}` }));
const bars = pc.dim("│");
const tally = { direct: 0, through: 0 };
const rows = FAULTS.length + FAILOVERS.length;

/** Each of these streams, straight at the upstream and through Perennial. */
async function compare(streams: typeof FAULTS, direct: OpenAI, through: OpenAI): Promise<void> {
  for (const [model, what] of streams) {
    const alone = await measure(direct, model);
    // A sequence such as `empty,ok` counts attempts: one that stopped half-way is begun anew.
    if (model.endsWith(",ok") && alone.verdict !== "complete") await measure(direct, model);
    const proxied = await measure(through, model);
    for (const [side, told] of [
      ["direct", alone],
      ["through", proxied],
    ] as const) {
      if (told.verdict === "silence" || told.verdict === "hang") tally[side]++;
    }
    say(`${bars} ${column(what, WIDTH.fault)} ${bars} ${cell(alone)} ${bars} ${cell(proxied)} ${bars}`);
  }
}

say("");
say(`  ${pc.bold("What does a program learn when its stream breaks?")}  ${pc.dim(`openai-node ${VERSION}, measured now`)}`);
say(rule("┌", "┬", "┐"));
say(
  `${bars} ${pc.bold(column("the stream", WIDTH.fault))} ${bars} ${pc.bold(column("directly: it is told", WIDTH.told))} ${pc.bold(column("text", WIDTH.text))} ${bars} ${pc.bold(column("through Perennial: it is told", WIDTH.told))} ${pc.bold(column("text", WIDTH.text))} ${bars}`,
);
say(rule("├", "┼", "┤"));
await compare(FAULTS, clientOf(url), clientOf(`${one.url}/v1`));
say(rule("├", "┼", "┤"));
const blank = " ".repeat(WIDTH.told + WIDTH.text + 1);
say(`${bars} ${pc.bold(column("the first of two upstreams", WIDTH.fault))} ${bars} ${blank} ${bars} ${blank} ${bars}`);
for (const stream of FAILOVERS) {
  // A new one for each: it would remember that the first was down, or its key refused, and not ask it again so soon.
  const two = await inFrontOf(pair);
  await compare([stream], clientOf(urlOf("a")), clientOf(`${two.url}/v1`));
  await two.close();
}
say(rule("└", "┴", "┘"));
say(
  `  ${MARK.complete} whole answer   ${MARK.error} an error that the program can catch   ${MARK.silence} silence: cut short or hung, and nobody is told`,
);
say(
  `  Left in the dark: directly ${pc.bold(pc.red(`${tally.direct} of ${rows}`))}, through Perennial ${pc.bold(pc.green(`${tally.through} of ${rows}`))}.`,
);
say("");

await one.close();
await chaos.close();
process.exitCode = tally.through === 0 ? 0 : 1;
