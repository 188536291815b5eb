/** Perennial as a test runs it: the real app on port 0, quick to retry, its log lines kept. */
import { Writable } from "node:stream";
import pino from "pino";
import { type App, startApp } from "../../src/app.ts";
import { applyProfile } from "../../src/config/profiles.ts";
import { configSchema } from "../../src/config/schema.ts";

/** For an upstream that breaks nearly every reply: no bound on the retries of all requests together. */
export const UNBOUND = { min: 1_000_000 };

export interface TestPerennial extends App {
  /** Base URL for clients, with `/v1`. */
  readonly baseUrl: string;
  /** The log, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into log lines of every shape
  readonly log: any[];
  /** The log line of the exchange that has ended last; waits for it. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  exchangeLog(count?: number): Promise<any>;
}

/** @param settings as in the YAML file. */
export async function startPerennial(
  baseUrl: string | undefined,
  settings: Record<string, unknown> = {},
): Promise<TestPerennial> {
  const { upstream, retry, ...rest } = settings as { upstream?: object; retry?: object };
  const config = configSchema.parse(
    applyProfile({
      port: 0,
      ...(baseUrl === undefined ? {} : { upstreams: [{ baseUrl, ...upstream }] }),
      // Long enough under load; tests of what stays down make it shorter.
      retry: { outage: "2s", ...(retry ?? { backoff: { initial: "1ms", jitter: false } }) },
      ...rest,
    }),
  );
  const log: object[] = [];
  const sink = new Writable({
    write(line, _encoding, done) {
      log.push(JSON.parse(String(line)));
      done();
    },
  });
  const { level = "debug" } = (settings.log ?? {}) as { level?: string };
  const app = await startApp(config, pino({ level }, sink));
  return {
    ...app,
    baseUrl: `${app.url}/v1`,
    log,
    async exchangeLog(count = 1) {
      for (let waited = 0; waited < 5_000; waited += 5) {
        const ends = log.filter((line) => "outcome" in line);
        if (ends.length >= count) return ends.at(-1);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      throw new Error(`no ${count} exchanges have ended`);
    },
  };
}
