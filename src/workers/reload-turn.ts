/** A worker's part in a reload: what it has prepared is committed once, or cancelled, however late it was ready. */
import type { PreparedReload, Reloaded } from "../runtime/runtime.ts";

export class ReloadTurn {
  /** Undefined again once it was committed: what is in force must not be cancelled with the next one that is refused. */
  #prepared: Promise<PreparedReload> | undefined;

  /** @throws what keeps it from being taken. */
  async prepare(prepared: Promise<PreparedReload>): Promise<void> {
    this.#prepared = prepared;
    await prepared;
  }

  async commit(): Promise<Reloaded> {
    const prepared = this.#take();
    if (prepared === undefined) throw new Error("there is nothing to commit");
    return (await prepared).commit();
  }

  /** Waits for what is being prepared still, which would stay open otherwise. */
  async cancel(): Promise<void> {
    const prepared = await this.#take()?.catch(() => undefined);
    await prepared?.cancel();
  }

  #take(): Promise<PreparedReload> | undefined {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    return prepared;
  }
}
