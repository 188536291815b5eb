/** The command line of the conformance run, and the command that shows one case again. */
import { parseArgs } from "node:util";
import { findFault } from "../../src/chaos/registry.ts";
import { type Case, type CaseFraming, FRAMINGS, listCases, modelOf } from "./cases.ts";
import { DIALECTS, type Dialect } from "./dialects.ts";
import type { AskStyle } from "./run-cases.ts";
import { listSetupCases } from "./setup-cases.ts";
import { givenTarget, PEER_NAMES, type Target } from "./targets.ts";

export const HELP = `Usage: npm run conformance -- [options]

Sends a request for every fault of the chaos server through each target, and judges what the client was told.
Targets: direct (the chaos server itself), nginx (when it is installed), perennial, and those you add.

  --with NAME,NAME     also these gateways, which are installed into .cache and started for the run: ${PEER_NAMES.join(", ")}, or all
  --target NAME=URL    also this gateway, by its base URL with /v1; may be given several times
  --only-target NAME   only this target; may be given several times
  --header 'K: V'      send this header to the gateways you add; may be given several times
  --key KEY            the API key to present (default: sk-conformance)
  --model-prefix TEXT  what your gateway wants before a model's name, such as openai/
  --path PATH          the path under the base URL, in place of the API's own; with one --dialect
  --dialect NAME       only this API: chat, completions, responses, messages; may be given several times
  --only FAULT         only this fault; may be given several times
  --case ID            only this case, as it was printed; may be given several times
  --patience SECONDS   how long a client waits in silence before it counts as hung (default: 6; 15 with --with)
  --list-models        print the names of the models that will be asked for, for gateways that want a list of them
  --json FILE          write every result, with what was received, and the command that shows it again
  --write              write docs/conformance.md and its Chinese sibling, also when a target is missing or added; with --with all, the tables of gateways
  --help               print this

To test a gateway of yours:
  1. perennial chaos --port 8788
  2. point the gateway at http://127.0.0.1:8788/v1; let model names that begin with chaos/ through as they are
     (--list-models prints all of them), and switch on what it has against failures
  3. npm run conformance -- --target mine=http://127.0.0.1:4000/v1 --only-target mine
With --target or --with, all targets are compared in the upstream's usual framing only.

Failover, and answers that go on after a break: only targets that are set up for it here are tried (direct, nginx with two servers,
perennial). A gateway of yours has a setup of your own: point it at two upstreams of one chaos server, http://127.0.0.1:8788/a/v1 and
/b/v1, and ask for models such as chaos/503@a, which fail at the first.

Patience: an upstream that stalls stays silent for ten minutes, so that only the gateway's own timeouts can end it. A client that hears
nothing for --patience seconds has been left hanging. Give your gateway timeouts that are shorter, or --patience that is longer than them.

No service: where a healthy request is answered with an error too, the errors around it prove nothing, and count neither as
"not misled" nor as "delivered". A gateway may keep its upstream out for 2 s after a failure before that is said of it.

The exit code is 1 when Perennial broke its contract in any case.
`;

export class UsageError extends Error {}

const DEFAULT_KEY = "sk-conformance";
const DEFAULT_PATIENCE = "6";
/** Others are slower than Perennial, and have fewer timeouts: several attempts of theirs take longer than that. */
const PATIENCE_WITH_PEERS = "15";

export interface Options extends ReturnType<typeof readOptions> {}

export function readOptions(args?: string[]) {
  const many = { type: "string", multiple: true, default: [] as string[] } as const;
  const { values } = parseArgs({
    ...(args === undefined ? {} : { args }),
    options: {
      only: many,
      case: many,
      target: many,
      with: many,
      "only-target": many,
      header: many,
      dialect: many,
      key: { type: "string", default: DEFAULT_KEY },
      "model-prefix": { type: "string", default: "" },
      path: { type: "string" },
      patience: { type: "string" },
      json: { type: "string" },
      write: { type: "boolean", default: false },
      "list-models": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  for (const name of values.only) {
    if (findFault(name) === undefined) throw new UsageError(`There is no fault "${name}"; perennial chaos --list names them.`);
  }
  const given = values.target.map(readTarget);
  const peers = readPeers(values.with);
  const names = ["direct", "nginx", "perennial", ...peers, ...given.map(({ name }) => name)];
  for (const name of values["only-target"]) {
    if (!names.includes(name)) throw new UsageError(`There is no target "${name}": ${names.join(", ")}.`);
  }
  const dialects = values.dialect.map((name) => {
    if (!DIALECTS.includes(name as Dialect)) throw new UsageError(`There is no API "${name}": ${DIALECTS.join(", ")}.`);
    return name as Dialect;
  });
  if (values.path !== undefined && (dialects.length !== 1 || !values.path.startsWith("/")))
    throw new UsageError("--path begins with a slash, and needs one --dialect, whose path it is.");
  const patience = values.patience ?? defaultPatience(peers);
  const patienceMs = Number(patience) * 1000;
  if (!(patienceMs > 0)) throw new UsageError(`"${patience}" is no number of seconds.`);
  const plain: AskStyle = { key: values.key, patienceMs };
  const style: AskStyle = {
    ...plain,
    headers: Object.fromEntries(values.header.map(readHeader)),
    modelPrefix: values["model-prefix"],
    ...(values.path === undefined ? {} : { path: values.path }),
  };
  return { ...values, patience, peers, given, dialects, plain, style };
}

function defaultPatience(peers: readonly string[]): string {
  return peers.length > 0 ? PATIENCE_WITH_PEERS : DEFAULT_PATIENCE;
}

/** In the order of the table, whatever the order of the question. */
function readPeers(lists: readonly string[]): string[] {
  const asked = lists.flatMap((list) => list.split(","));
  for (const name of asked) {
    // nginx is there without being asked for.
    if (name !== "all" && name !== "nginx" && !PEER_NAMES.includes(name))
      throw new UsageError(`There is no recipe for "${name}": ${PEER_NAMES.join(", ")}, all.`);
  }
  return PEER_NAMES.filter((name) => asked.includes(name) || asked.includes("all"));
}

function readTarget(text: string): Target {
  const [, name, url] = /^([^=]+)=(https?:\/\/.+)$/.exec(text) ?? [];
  if (name === undefined || url === undefined) throw new UsageError(`"${text}" is not NAME=URL.`);
  return givenTarget(name, url);
}

function readHeader(text: string): [string, string] {
  const [, name, value] = /^([\w!#$%&'*+.^`|~-]+):\s*(.*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new UsageError(`"${text}" is not "Name: value".`);
  return [name.toLowerCase(), value];
}

/** What these options ask for. */
export function casesFor({ only, given, peers, dialects, case: ids }: Options): Case[] {
  const chosen = { dialects: dialects.length > 0 ? dialects : DIALECTS, ...(only.length > 0 ? { only } : {}) };
  const listed = (framings: readonly CaseFraming[]): Case[] => listCases({ ...chosen, framings });
  const setups = listSetupCases(chosen);
  if (ids.length === 0) return [...listed(given.length + peers.length > 0 ? ["default"] : FRAMINGS), ...setups];
  const all = [...listed(FRAMINGS), ...listed(["default"]), ...setups];
  return ids.map((id) => {
    const found = all.find((one) => one.id === id);
    if (found === undefined) throw new UsageError(`There is no case "${id}"; a run prints their names.`);
    return found;
  });
}

/** Every model that will be asked for, once. */
export function listModels(options: Options): string[] {
  // A gateway that is added is not tried with what it would have to be set up for.
  const cases = casesFor(options).filter(({ setup }) => setup === undefined);
  const specs = ["ok", ...cases.map(({ spec }) => spec)];
  return [...new Set(specs)].map((spec) => options["model-prefix"] + modelOf(spec));
}

/** The command that asks this one case of this target again. */
export function commandFor(target: string, { id }: Case, options: Options): string {
  const { given, peers, header, path, dialects, "model-prefix": prefix, key, patience } = options;
  const words = ["npm run conformance --"];
  const flag = (name: string, value: string): void => void words.push(`--${name} ${quote(value)}`);
  const own = given.find(({ name }) => name === target);
  if (own !== undefined) {
    flag("target", `${target}=${own.urls.get("default")}`);
    for (const text of header) flag("header", maskValue(text));
    if (prefix !== "") flag("model-prefix", prefix);
    if (path !== undefined) words.push(`--dialect ${dialects[0]} --path ${quote(path)}`);
  }
  if (peers.includes(target)) flag("with", target);
  if (key !== DEFAULT_KEY) words.push('--key "$KEY"');
  if (patience !== defaultPatience(peers.filter((name) => name === target))) flag("patience", patience);
  flag("only-target", target);
  flag("case", id);
  return words.join(" ");
}

/** A header may hold a key, and what is printed ends in reports. */
function maskValue(header: string): string {
  const name = header.split(":", 1)[0] ?? "";
  return /(^|[-_])(key|token|secret|cookie|authorization)$/i.test(name) ? `${name}: …` : header;
}

function quote(text: string): string {
  return /^[\w./:=@+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
