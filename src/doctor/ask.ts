/** Asks an upstream one small thing, and writes down all that came. */
import { type ProbeOptions, probe } from "../call/probe.ts";
import { Failure, toFailure } from "../core/failure.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { Asked, Fetched } from "./facts.ts";
import { createTap } from "./tap.ts";

/** An answer that keeps itself alive with blanks or comments is over after so many times the patience. */
const PATIENCES = 3;

export async function ask(options: ProbeOptions, signal: AbortSignal): Promise<Asked> {
  const tap = createTap(options.upstream);
  const tooLong = new AbortController();
  const limitMs = options.timeoutMs * PATIENCES;
  const message = `its answer to a small question was not over after ${Math.round(limitMs / 1_000)} s`;
  const timer = setTimeout(() => tooLong.abort(new Failure("deadline_exceeded", message)), limitMs);
  const failure = await probe({ ...options, upstream: tap.upstream }, AbortSignal.any([signal, tooLong.signal])).then(
    () => undefined,
    toFailure,
  );
  clearTimeout(timer);
  return { path: options.path, failure, recording: await tap.recorded() };
}

/** Lists and pages are small; what is larger is no list of models. In bytes. */
const MAX_PAGE_BYTES = 2_097_152;

/** One GET, with the key of the configuration. */
export async function fetchSmall(upstream: Upstream, path: string, timeoutMs: number): Promise<Fetched> {
  const chunks: Buffer[] = [];
  let [bytes, at] = [0, Date.now()];
  const fetched: { -readonly [Key in keyof Fetched]: Fetched[Key] } = {
    path,
    status: undefined,
    headers: {},
    body: "",
    failure: undefined,
    at,
  };
  await new Promise<void>((resolve) => {
    const end = (failure?: Failure): void => {
      clearTimeout(timer);
      fetched.failure = failure;
      resolve();
    };
    const request = {
      method: "GET",
      path,
      headers: { accept: "application/json, text/html" },
      set: { "accept-encoding": "identity" },
      body: null,
      idempotent: true,
    };
    const timer = setTimeout(() => {
      call.abort();
      end(new Failure("deadline_exceeded", `no answer within ${timeoutMs / 1_000} s`));
    }, timeoutMs);
    const call = upstream.send(request, {
      onHead(status, headers) {
        at = Date.now();
        Object.assign(fetched, { status, headers, at });
      },
      onData(chunk) {
        bytes += chunk.length;
        if (bytes <= MAX_PAGE_BYTES) chunks.push(chunk);
        else {
          call.abort();
          end();
        }
      },
      onEnd: () => end(),
      onFailure: end,
    });
  });
  fetched.body = Buffer.concat(chunks).toString("utf8");
  return fetched;
}
