/** `test` with what nearly every test needs: an upstream that answers as told, and Perennial before it, both closed at the end. */
import type { Socket } from "node:net";
import { test as bare, type TestAPI, type TestContext } from "vitest";
import { type Closable, createOpened } from "./opened.ts";
import { startPerennial, type TestPerennial } from "./perennial.ts";
import { type RawRequest, type RawUpstream, sendFramed, startRawUpstream } from "./raw-upstream.ts";
import { type SpawnedPerennial, spawnPerennial } from "./spawn-perennial.ts";

export type Answer = (socket: Socket, request: RawRequest) => unknown;

/** Bytes as they are, events as a chunked stream, or whatever a test does with its socket. */
export type Reply = string | Buffer | readonly (string | Buffer)[] | Answer;

export interface Served {
  readonly upstream: RawUpstream;
  readonly perennial: TestPerennial;
}

type Settings = Record<string, unknown>;

/** @param replies to the requests in order, the last one again and again; a function answers them all. */
export type Serve = (replies: Answer | readonly Reply[], settings?: Settings) => Promise<Served>;

export interface Tools {
  /** Has a thing closed when the test is over, the last one first. */
  readonly closing: <T extends Closable>(each: T) => T;
  readonly startUpstream: (answer: Answer) => Promise<RawUpstream>;
  /** @param settings as in the YAML file. */
  readonly startPerennial: (baseUrl: string | undefined, settings?: Settings) => Promise<TestPerennial>;
  readonly serve: Serve;
  /** A process of its own: `perennial ARGS`. */
  readonly spawnPerennial: (args: readonly string[], env?: Record<string, string>) => Promise<SpawnedPerennial>;
}

/** As vitest has it, but rows keep their types: vitest takes a row of a text and a number for a list of either. */
export type TestFor<Extra> = <const Row>(
  rows: readonly Row[],
) => (name: string, run: (row: Row, context: TestContext & Extra) => unknown, timeoutMs?: number) => void;

const extended = bare
  .extend("closing", ({ task: _ }, { onCleanup }) => {
    const opened = createOpened();
    onCleanup(opened.closeAll);
    return opened.add as Tools["closing"];
  })
  .extend(
    "startUpstream",
    ({ closing }): Tools["startUpstream"] =>
      async (answer) =>
        closing(await startRawUpstream(answer)),
  )
  .extend(
    "startPerennial",
    ({ closing }): Tools["startPerennial"] =>
      async (baseUrl, settings) =>
        closing(await startPerennial(baseUrl, settings)),
  )
  .extend(
    "serve",
    ({ startUpstream, startPerennial }): Serve =>
      async (replies, settings = {}) => {
        const upstream = await startUpstream(typeof replies === "function" ? replies : inOrder(replies));
        const { profile } = (settings.upstream ?? {}) as { profile?: string };
        // Chatchat's routes are not under /v1.
        const baseUrl = profile === "chatchat" ? upstream.baseUrl.replace("/v1", "") : upstream.baseUrl;
        return { upstream, perennial: await startPerennial(baseUrl, settings) };
      },
  )
  .extend(
    "spawnPerennial",
    ({ closing }): Tools["spawnPerennial"] =>
      async (args, env) =>
        closing(await spawnPerennial(args, env)),
  );

export const test = extended as { readonly for: TestFor<Tools> } & typeof extended;

/** For a file that extends `test` with tools of its own. */
export function withRows<Extra>(own: TestAPI<Extra>): { readonly for: TestFor<Extra> } & TestAPI<Extra> {
  return own as { readonly for: TestFor<Extra> } & TestAPI<Extra>;
}

function inOrder(replies: readonly Reply[]): Answer {
  return (socket, request) => {
    const reply = replies[Math.min(request.number, replies.length) - 1] ?? [];
    if (typeof reply === "function") reply(socket, request);
    else if (typeof reply === "string" || Buffer.isBuffer(reply)) socket.write(reply);
    else sendFramed(socket, "chunked", reply as readonly (string | Buffer)[]);
  };
}
