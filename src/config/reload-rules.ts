/** What a configuration may change while Perennial runs, and what only a restart can. */
import { isDeepStrictEqual } from "node:util";
import { ConfigError } from "./config-error.ts";
import { isLoopback } from "./loopback.ts";
import type { Config } from "./schema.ts";

/**
 * @param listeningHost the one that is open until the next start, whatever is configured since.
 * @throws ConfigError when `next` must not take the place of `running`.
 */
export function refuseReload(listeningHost: string, running: Config, next: Config): void {
  refuseUnprotected(listeningHost, next);
  refuseSandbox(running, next);
}

/** Names of the settings, at the top level, in which two configurations differ. */
export function changedSettings(before: object, after: object): string[] {
  const pick = (settings: object, key: string): unknown => (settings as Record<string, unknown>)[key];
  return Object.keys(after).filter((key) => !isDeepStrictEqual(pick(before, key), pick(after, key)));
}

/** The same for those that have no effect until the next start. */
export function settingsForRestart(started: Config, next: Config): string[] {
  return changedSettings(fixedOf(started), fixedOf(next));
}

/** Settings, or parts of them, that stay until the next start. */
function fixedOf({ host, port, workers, drain, log, tls, store }: Config): object {
  return { host, port, workers, drain, log: log.format, tls: tls !== false, store };
}

/** What is in force where `running` was reloaded: for a process that starts now, beside others that go on. */
export function withFixed(started: Config, { log, tls, ...running }: Config): Config {
  const { host, port, workers, drain, store } = started;
  const isSecure = started.tls !== false;
  return {
    ...{ ...running, host, port, workers, drain, store },
    log: { ...log, format: started.log.format },
    tls: isSecure ? tls || started.tls : false,
  };
}

/**
 * The schema lets a loopback host do without keys, but until the next start the old host is the one that is open.
 * @throws ConfigError
 */
function refuseUnprotected(listeningHost: string, { auth, open }: Config): void {
  if (isLoopback(listeningHost) || auth.keys.length > 0 || open) return;
  throw new ConfigError([
    `auth.keys: ${listeningHost} can be reached from other machines, and stays open until a restart: keep a key, or set open: true`,
  ]);
}

/**
 * The sandbox's answers are invented. Users of an upstream must not get them because a file was emptied, or a deployment went wrong.
 * @throws ConfigError
 */
function refuseSandbox(running: Config, next: Config): void {
  if (running.upstreams.length === 0 || next.upstreams.length > 0) return;
  throw new ConfigError([
    "upstreams: there is none any more, and the built-in sandbox would answer with invented text; restart Perennial if that is meant",
  ]);
}
