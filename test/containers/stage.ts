/** The stage of a test: Perennial and an upstream in containers, on a network of their own, and what can be done to them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Container } from "dockerode";
import { GenericContainer, getContainerRuntimeClient, Network, type StartedNetwork, Wait } from "testcontainers";
import { ANSWER } from "../../src/chaos/answer.ts";
import { chat, type ReadStream, readStream, type Seen } from "../support/client.ts";
import { RUN_LABEL } from "./leftovers.ts";

/** The image under test, and the name of this run of the tests; run.ts sets both. */
export const IMAGE = fromRunner("PERENNIAL_TEST_IMAGE");
export const RUN = fromRunner("PERENNIAL_TEST_RUN");

/** Where the upstream is found by its name. */
export const UPSTREAM_URL = "http://upstream:8788/v1";

/** Quick to notice and to try again, so that no test waits for a default. */
const QUICK = {
  open: true,
  upstreams: [{ baseUrl: UPSTREAM_URL }],
  timeouts: { connect: "1s", firstToken: "2s", idle: "1s", alive: "4s" },
  retry: { maxAttempts: 2, backoff: { initial: "100ms", jitter: false } },
};

export interface Box {
  readonly id: string;
  pause(): Promise<void>;
  unpause(): Promise<void>;
  kill(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** As `docker stop`: the image's stop signal, and SIGKILL after `seconds`. */
  stop(seconds: number): Promise<void>;
  restart(): Promise<void>;
  start(): Promise<void>;
  /** Its address is gone, and its name; nobody is told. */
  disconnect(): Promise<void>;
  reconnect(): Promise<void>;
  /** Waits for its end. @returns the exit code */
  exited(): Promise<number>;
  /** @returns the exit code, and everything that the command has written */
  exec(...command: string[]): Promise<{ exitCode: number; output: string }>;
  /** Everything it has written. */
  log(): Promise<string>;
}

export interface PerennialBox extends Box {
  /** Base URL for clients on this machine, with `/v1`. */
  readonly baseUrl: string;
}

export interface Stage extends AsyncDisposable {
  readonly upstream: Box;
  readonly perennial: PerennialBox;
}

/** As the compose file hardens it: what works here works on a read-only root, without capabilities. */
class HardenedContainer extends GenericContainer {
  constructor(image: string) {
    super(image);
    this.hostConfig.ReadonlyRootfs = true;
    this.withDroppedCapabilities("ALL")
      .withSecurityOpt("no-new-privileges:true")
      .withLabels({ [RUN_LABEL]: RUN });
    // What has ended is still asked for its exit code and its log; the stage removes it.
    this.withAutoRemove(false);
  }
}

/** @param settings as in the YAML file, over {@link QUICK}. */
export async function openStage(settings: Record<string, unknown> = {}): Promise<Stage> {
  await using cleanup = new AsyncDisposableStack();
  const network = await openNetwork(cleanup);
  const [upstream, perennial] = await Promise.all([
    startUpstream(network, cleanup),
    startPerennial(network, { ...QUICK, ...settings }, cleanup),
  ]);
  const kept = cleanup.move();
  return { upstream, perennial, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

let networks = 0;

async function openNetwork(cleanup: AsyncDisposableStack): Promise<StartedNetwork> {
  const name = `${RUN}-${process.pid}-${++networks}`;
  return cleanup.use(await new Network({ nextUuid: () => name }).start());
}

async function startUpstream(network: StartedNetwork, cleanup: AsyncDisposableStack): Promise<Box> {
  const container = await new HardenedContainer(IMAGE)
    .withCommand(["chaos", "--host", "0.0.0.0", "--port", "8788"])
    .withNetwork(network)
    .withNetworkAliases("upstream")
    .withWaitStrategy(Wait.forLogMessage("The sandbox upstream listens on"))
    .start();
  return openBox(container.getId(), network, cleanup);
}

async function startPerennial(network: StartedNetwork, settings: object, cleanup: AsyncDisposableStack): Promise<PerennialBox> {
  const container = await new HardenedContainer(IMAGE)
    .withNetwork(network)
    .withExposedPorts(8787)
    .withBindMounts([{ source: writeConfig(settings, cleanup), target: "/etc/perennial/perennial.yaml", mode: "ro" }])
    .withWaitStrategy(Wait.forHttp("/healthz", 8787))
    .start();
  const box = await openBox(container.getId(), network, cleanup);
  return { ...box, baseUrl: `http://${container.getHost()}:${container.getMappedPort(8787)}/v1` };
}

/** JSON is YAML too. @returns the file's path, readable for the container's user. */
export function writeConfig(settings: object | string, cleanup: AsyncDisposableStack): string {
  const folder = mkdtempSync(join(tmpdir(), "perennial-containers-"));
  cleanup.defer(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "perennial.yaml");
  writeFileSync(file, typeof settings === "string" ? settings : JSON.stringify(settings), { mode: 0o644 });
  return file;
}

async function openBox(id: string, network: StartedNetwork, cleanup: AsyncDisposableStack): Promise<Box> {
  const client = await getContainerRuntimeClient();
  const container: Container = client.container.getById(id);
  const connection = client.network.getById(network.getId());
  cleanup.defer(() => container.remove({ force: true, v: true }));
  return {
    id,
    pause: () => container.pause(),
    unpause: () => container.unpause(),
    kill: (signal) => container.kill({ signal }),
    stop: (seconds) => container.stop({ t: seconds }),
    restart: () => container.restart({ t: 10 }),
    start: () => container.start(),
    disconnect: () => connection.disconnect({ Container: id, Force: true }),
    reconnect: () => connection.connect({ Container: id, EndpointConfig: { Aliases: ["upstream"] } }),
    exited: async () => (await container.wait()).StatusCode,
    exec: (...command) => client.container.exec(container, command),
    log: async () => String(await container.logs({ stdout: true, stderr: true, follow: false })),
  };
}

export interface Broken {
  readonly seen: Seen;
  readonly stream: ReadStream;
  /** From the break to the end that the client saw, in milliseconds. */
  readonly ms: number;
}

/** Asks for a stream of about 28 events, `delayMs` apart, and breaks something once its first words are here. */
export async function chatAndBreak(baseUrl: string, delayMs: number, breakIt: () => Promise<unknown>): Promise<Broken> {
  let broken: Promise<unknown> | undefined;
  let began = 0;
  const onRead = (body: string): void => {
    if (broken !== undefined || !body.includes(" is a small")) return;
    began = performance.now();
    broken = breakIt();
    // Awaited below; until then it is nobody's.
    broken.catch(() => {});
  };
  const seen = await chat(baseUrl, { model: `chaos/slow:${delayMs}` }, { onRead });
  const ms = performance.now() - began;
  await broken;
  return { seen, stream: readStream(seen.body), ms };
}

export const WHOLE = { text: ANSWER, done: true, finish: "stop", errorCode: undefined };

/** Whether `text` is a beginning of the answer: some of it, and not all. */
export function isPart(text: string): boolean {
  return text.length > 0 && text.length < ANSWER.length && ANSWER.startsWith(text);
}

function fromRunner(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: these tests are run by \`npm run test:containers\``);
  return value;
}
