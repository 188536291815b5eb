/** The whole of Perennial in one call: the runtime, and a listener in front of it. */
import type { Logger } from "pino";
import type { Config } from "./config/schema.ts";
import { isSandboxed } from "./config/served-upstreams.ts";
import { createListener } from "./runtime/listener.ts";
import { openRuntime, type PreparedReload, type Reloaded } from "./runtime/runtime.ts";
import type { WorkerGroup } from "./runtime/worker-group.ts";

export interface App {
  /** Where clients reach it, such as `http://127.0.0.1:8787`. */
  readonly url: string;
  /** The built-in sandbox upstream answers, since none is configured. */
  readonly isSandbox: boolean;
  /**
   * New requests are served with this configuration; those that run keep the one they began with.
   * @throws ConfigError when it must not take the place of the old one, which then stays.
   */
  reload(config: Config): Promise<Reloaded>;
  /** The same in two steps: see Runtime.prepare. */
  prepare(config: Config): Promise<PreparedReload>;
  /** Stops accepting, lets streams finish for `drain.timeout`, tells the rest why they end, and closes everything. */
  close(): Promise<void>;
}

/**
 * @param group where other processes serve at the same address.
 * @throws when the address cannot be listened on.
 */
export async function startApp(started: Config, logger: Logger, group?: WorkerGroup): Promise<App> {
  const runtime = await openRuntime(started, logger, group);
  const listener = createListener(runtime, logger);
  const close = async (): Promise<void> => {
    await listener.close();
    await runtime.close();
  };
  const url = await listener.listen().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return {
    url,
    isSandbox: isSandboxed(started),
    async reload(config) {
      const reloaded = await runtime.reload(config);
      listener.update();
      return reloaded;
    },
    async prepare(config) {
      const { commit, cancel } = await runtime.prepare(config);
      const update = <T>(done: T): T => {
        listener.update();
        return done;
      };
      return { commit: () => commit().then(update), cancel };
    },
    close,
  };
}
