/** The doctor as tests ask it, and small servers for it to examine. */
import { configSchema } from "../../src/config/schema.ts";
import type { Verdict } from "../../src/doctor/report.ts";
import { examineAll } from "../../src/doctor/run-doctor.ts";
import { jsonReply, type RawRequest } from "./raw-upstream.ts";
import type { Answer } from "./test.ts";

export interface Examined {
  readonly model?: string;
  readonly upstream?: object;
  readonly env?: Record<string, string>;
  readonly patienceMs?: number;
}

/** For what is not silent: long enough for a machine under load. */
const PATIENT_MS = 30_000;

export async function examine(
  baseUrl: string,
  { model, upstream, env = {}, patienceMs = PATIENT_MS }: Examined = {},
): Promise<Verdict> {
  const config = configSchema.parse({ upstreams: [{ baseUrl, ...upstream }] });
  const [verdict] = await examineAll({ config, model, patienceMs, env }, new AbortController().signal);
  return verdict as Verdict;
}

/** `check: mark`, of those that are not as they should be. */
export function ills({ findings }: Verdict): Record<string, string> {
  return Object.fromEntries(findings.filter(({ mark }) => mark !== "ok").map(({ check, mark }) => [check, mark]));
}

export function saidOf({ findings }: Verdict, check: string): string {
  return findings.find((finding) => finding.check === check)?.says ?? "";
}

/** A server of a few routes. */
export function routes(table: Readonly<Record<string, (request: RawRequest) => Answer | string | Buffer>>): Answer {
  return (socket, request) => {
    const reply = table[request.head.split(" ", 2).join(" ")]?.(request) ?? "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    if (typeof reply === "function") reply(socket, request);
    else socket.write(reply);
  };
}

export const isStreamed = ({ json }: RawRequest): boolean => json.stream === true;
export const models = (): Buffer | string => jsonReply(JSON.stringify({ data: [{ id: "text-embedding-3" }, { id: "m" }] }));
