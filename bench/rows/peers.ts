/** Other gateways: the pinned versions and the recipes of `npm run conformance`, installed when they are asked for. */
import { PEERS } from "../../test/support/peers/peers.ts";
import { familyOf, fineCpuMs } from "../measure/processes.ts";
import { CHAT, type Row } from "./row.ts";

/** Longer than any load here lasts: what is measured is the way of good streams. In milliseconds. */
const PATIENCE = { silenceMs: 120_000, totalMs: 600_000 };
/** LiteLLM's recipe serves models of such names. */
const MODEL = "chaos/bench";

const TITLES: Readonly<Record<string, string>> = { litellm: "LiteLLM", portkey: "Portkey", envoy: "Envoy" };

/** By the name that `--with` takes. nginx has a row of its own, without retries. */
export const GATEWAYS: Readonly<Record<string, Row>> = Object.fromEntries(
  PEERS.filter(({ name }) => name in TITLES).map((peer) => [
    peer.name,
    {
      name: `${TITLES[peer.name]} ${peer.version()}`,
      async start(upstream) {
        peer.install((line) => console.log(line));
        const { url, headers, pid, stop } = await peer.start(`${upstream}/v1`, PATIENCE);
        const pids = (): readonly number[] => (pid === undefined ? [] : familyOf(pid));
        return {
          url: url.replace(/\/v1$/, CHAT),
          headers,
          model: MODEL,
          readyMs: fineCpuMs(pids()),
          pids,
          async stop() {
            const trouble = await stop();
            if (trouble !== "") console.error(`${peer.name}: ${trouble}`);
          },
        };
      },
    } satisfies Row,
  ]),
);

/** A gateway that runs already: `NAME=URL`, or `NAME=URL,PID` for its CPU and memory as well. */
export function peerAt(text: string): Row {
  const [, name, url, pid] = /^([^=]+)=(https?:\/\/[^,]+)(?:,(\d+))?$/.exec(text) ?? [];
  if (name === undefined || url === undefined) throw new Error(`--peer ${text}: expected NAME=URL or NAME=URL,PID`);
  return {
    name,
    async start() {
      return {
        url: /\/chat\/completions$/.test(url) ? url : `${url.replace(/\/+$/, "")}/chat/completions`,
        headers: {},
        model: "bench",
        readyMs: undefined,
        pids: () => (pid === undefined ? [] : familyOf(Number(pid))),
        async stop() {},
      };
    },
  };
}
