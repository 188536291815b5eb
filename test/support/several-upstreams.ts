/** `test` with Perennial in front of several upstreams, each of which answers as told. */

import type { TestPerennial } from "./perennial.ts";
import { NOBODY, type RawUpstream } from "./raw-upstream.ts";
import { type Answer, test as bare, type Reply, withRows } from "./test.ts";

export type Settings = Record<string, unknown>;

/** An upstream named a, b or c: how it answers, and its settings. One that answers `NOBODY` is not there. */
export type Told = Reply | { readonly reply: Reply; readonly settings: Settings };

export interface Several {
  readonly perennial: TestPerennial;
  /** Those that are there. */
  readonly upstreams: readonly RawUpstream[];
}

/** Perennial in front of these, the first one preferred. */
export type InFrontOf = (replies: readonly Told[], settings?: Settings) => Promise<Several>;

export const replying =
  (reply: Reply): Answer =>
  (socket, request) => {
    if (typeof reply === "function") reply(socket, request);
    else socket.write(reply as string);
  };

export const test = withRows(
  bare.extend(
    "inFrontOf",
    ({ startUpstream, startPerennial }): InFrontOf =>
      async (replies, settings = {}) => {
        const upstreams: RawUpstream[] = [];
        const configured: Settings[] = [];
        for (const [index, told] of replies.entries()) {
          const { reply, settings: own } =
            typeof told === "object" && "reply" in told ? told : { reply: told as Reply, settings: {} as Settings };
          if (reply !== NOBODY) upstreams.push(await startUpstream(replying(reply)));
          const baseUrl = reply === NOBODY ? `${NOBODY}/v1` : upstreams.at(-1)?.baseUrl;
          configured.push({ name: "abc"[index], baseUrl, ...own });
        }
        const perennial = await startPerennial(undefined, { upstreams: configured, ...settings });
        return { perennial, upstreams };
      },
  ),
);
