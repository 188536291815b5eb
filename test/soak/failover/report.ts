/** What a failover soak found, and what of it is not as it must be. */
import type { FailoverTally } from "./failover-tally.ts";

export interface FailoverSoak {
  readonly command: string;
  readonly concurrency: number;
  /** The one at a fault rate of 50 %, the other at 5 %. */
  readonly failing: {
    readonly tally: FailoverTally;
    readonly seconds: number;
    readonly requests: { readonly a: number; readonly b: number };
    /** Retries beyond `retry.budget`. */
    readonly refused: number;
  };
  /** One of two goes down, and comes back. */
  readonly down: {
    readonly tally: FailoverTally;
    readonly seconds: number;
    /** Of all requests, what it got before. */
    readonly steadyShare: number;
    /** Upstream requests for each client request while it was down. */
    readonly amplification: number;
    readonly asksWhileDown: number;
    readonly clients: number;
    /** Undefined where it did not get its share back in time. */
    readonly backAfterMs: number | undefined;
  };
}

const MUST_BE_WHOLE = 0.999;
const MOST_REQUESTS = 1.2;

const number = (value: number): string => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
const percent = (share: number): string => `${(share * 100).toFixed(2)} %`;

function savedShare({ early }: FailoverTally): number {
  return early.whole / Math.max(1, early.whole + early.failed);
}

function clientShare({ failing: { tally, requests } }: FailoverSoak): number {
  return (requests.a + requests.b) / tally.ended;
}

export function problemsOf({ failing, down }: FailoverSoak): string[] {
  const problems = [...failing.tally.problems, ...down.tally.problems];
  const must = (isTrue: boolean, problem: string): void => {
    if (!isTrue) problems.push(problem);
  };
  must(savedShare(failing.tally) >= MUST_BE_WHOLE, "fewer than 99.9 % of what broke before its first word arrived whole");
  must(down.tally.whole === down.tally.ended, "a client noticed that one upstream was down");
  must(down.amplification <= MOST_REQUESTS, `more than ${MOST_REQUESTS} upstream requests for each client request`);
  must(down.backAfterMs !== undefined, "the one that was down did not get its share back within 30 s");
  for (const { failures } of [failing.tally, down.tally])
    must(!failures.has("circuit_open"), "a request was turned away although an upstream was well");
  return problems;
}

/** As it stands in docs/soak.md. */
export function tableOf(soak: FailoverSoak): string {
  const { failing, down } = soak;
  const { tally } = failing;
  const rows = [
    ["**one fails at 50 %, the other at 5 %**: clients", number(tally.ended)],
    ["whole", number(tally.whole)],
    [
      "broke before their first word, at the first attempt",
      number(tally.early.whole + tally.early.interrupted + tally.early.failed),
    ],
    [
      "of those whole; not answered",
      `${number(tally.early.whole)} (${percent(savedShare(tally))}); ${number(tally.early.failed)}`,
    ],
    ["of those broken in mid-text by a later attempt, and told", number(tally.early.interrupted)],
    ["broken in mid-text by the first attempt, and told", number(tally.interruptedAtOnce)],
    ["upstream requests for each client's", clientShare(soak).toFixed(3)],
    ["requests to the one at 50 %, to the other", `${number(failing.requests.a)}, ${number(failing.requests.b)}`],
    ["retries refused by `retry.budget`", number(failing.refused)],
    ["streams per second", number(tally.ended / failing.seconds)],
    [`**one of two is down for ${down.seconds} s**: clients meanwhile`, number(down.clients)],
    ["clients that noticed, of all", `${number(down.tally.ended - down.tally.whole)} of ${number(down.tally.ended)}`],
    ["upstream requests for each client's", down.amplification.toFixed(3)],
    ["requests to the one that was down", number(down.asksWhileDown)],
    [
      "its share before; back after",
      `${percent(down.steadyShare)}; ${down.backAfterMs === undefined ? "never" : `${(down.backAfterMs / 1_000).toFixed(1)} s`}`,
    ],
  ];
  return [`\`${soak.command}\``, "", "| | |", "| --- | --- |", ...rows.map((row) => `| ${row.join(" | ")} |`)].join("\n");
}
