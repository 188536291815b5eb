/** `perennial chaos`: starts the sandbox upstream and tells how to use it, or lists the faults. */
import { type ChaosServer, createChaosServer } from "./chaos-server.ts";
import { createPersonality } from "./create-personality.ts";
import type { Framing } from "./framing.ts";
import { describeFaults, listFaults } from "./list-faults.ts";
import type { PersonalityName } from "./personality-name.ts";
import type { Rates } from "./upstreams.ts";

export interface RunChaosOptions {
  /** @defaultValue 8788 */
  readonly port?: number | undefined;
  /** @defaultValue "127.0.0.1" */
  readonly host?: string | undefined;
  /** Only print the faults. */
  readonly list?: boolean | undefined;
  /** As JSON: the list, or one line with the address once it listens. */
  readonly json?: boolean | undefined;
  /** Share of the requests to break at random, 0 to 1; or by upstream. */
  readonly rate?: number | Rates | undefined;
  /** What requests get that name no fault. */
  readonly fault?: string | undefined;
  readonly seed?: number | undefined;
  readonly framing?: Framing | undefined;
  /** The server to stand in for. @defaultValue none */
  readonly as?: PersonalityName | undefined;
  /** Base URL of the model server behind `chatchat-0.2`. */
  readonly model?: string | undefined;
}

/** @returns the running server; undefined when only the list was asked for */
export async function runChaos(options: RunChaosOptions, out: (line: string) => void): Promise<ChaosServer | undefined> {
  if (options.list) {
    out(options.json ? JSON.stringify(describeFaults(), undefined, 2) : listFaults());
    return undefined;
  }
  const { rate, seed, framing, as, model, fault } = options;
  const server = createChaosServer({
    as,
    modelUrl: model,
    fault,
    ...(rate === undefined ? {} : { rate }),
    ...(seed === undefined ? {} : { seed }),
    ...(framing === undefined ? {} : { framing }),
  });
  const { url, urlOf } = await server.listen(options.port ?? 8788, options.host ?? "127.0.0.1");
  if (options.json) {
    out(JSON.stringify({ url }));
    return server;
  }
  out(as === undefined ? `The sandbox upstream listens on ${url}` : `A stand-in for ${as} listens on ${url}`);
  out(`and is 26 upstreams more: ${urlOf("a")}, ${urlOf("b")}, … ${urlOf("z")}`);
  if (fault !== undefined) out(`Requests that name no fault get ${fault}.`);
  const shares = typeof rate === "object" ? Object.entries(rate) : [[undefined, rate ?? 0] as const];
  for (const [name, share] of shares) {
    const where = name === undefined ? "It" : `/${name}`;
    if (share > 0)
      out(`${where} breaks ${share * 100} % of the requests at random${seed === undefined ? "" : `, seed ${seed}`}.`);
  }
  out("");
  for (const line of as === undefined ? SANDBOX_HINTS : personalityHints(as)) out(line);
  out("All faults: perennial chaos --list");
  out("");
  out("Try:");
  out(`  curl -N ${url}${TRIES[as ?? "sandbox"].path} -H 'content-type: application/json' \\`);
  out(`    -d '${TRIES[as ?? "sandbox"].body}'`);
  return server;
}

const SANDBOX_HINTS = [
  "Choose a fault by the model name, or by a header that goes before it:",
  '  "model": "chaos/truncate:3"         cut after 3 events',
  '  "model": "chaos/empty+500+ok"       the first attempt is empty, the second a 500, the third whole; commas will do',
  '  "model": "chaos/503@a+empty@b"      at the upstream /a/v1, and at /b/v1; each counts by itself, and others are well',
  "  x-chaos: stall                      the same names, whatever the model",
];

function personalityHints(as: PersonalityName): string[] {
  const { hints } = createPersonality(as);
  return ["What you say chooses what it does:", ...hints.map((hint) => `  ${hint}`), "Faults go before that: x-chaos: stall"];
}

const TRIES = {
  sandbox: {
    path: "/chat/completions",
    body: '{"model":"chaos/truncate:5","stream":true,"messages":[{"role":"user","content":"Hello"}]}',
  },
  chatglm3: {
    path: "/chat/completions",
    body: '{"model":"chatglm3-6b","stream":true,"messages":[{"role":"user","content":"1+1=?"}]}',
  },
  "chatchat-0.2": { path: "/chat/chat", body: '{"query":"swallow-first","stream":true}' },
  "chatchat-0.3": {
    path: "/chat/chat/completions",
    body: '{"model":"chatglm3-6b","stream":true,"messages":[{"role":"user","content":"fail"}]}',
  },
};
