/** The connections to Redis, or Valkey: one for commands, one for what others publish. What cannot be done now is not waited for. */
import { Redis, type RedisOptions } from "ioredis";
import { explainConnection } from "./explain-connection.ts";

export interface RedisLinkOptions {
  /** `redis://` or `rediss://`, with a user and a password where the server wants them. */
  readonly url: string;
  /** The authorities that are trusted for it, PEM; undefined for the well-known ones. */
  readonly ca?: string | undefined;
  /** Told when it is lost, and when it is back; first of all, whether it is there. */
  onChange(isUp: boolean, reason: string): void;
  /** It is there, and refuses: it is full, or not all is allowed. */
  onRefusal(reason: string): void;
}

/** A server in the same network answers within a few; in milliseconds. */
const COMMAND_MS = 1_000;
const CONNECT_MS = 2_000;
const RECONNECT_MS = 1_000;
/** What is on its way and not answered: beyond it nothing more is sent, or a server that hangs would fill the memory. */
const MAX_UNANSWERED_BYTES = 16 * 1024 ** 2;

export class RedisLink {
  readonly #commands: Redis;
  readonly #subscriber: Redis;
  readonly #onChange: RedisLinkOptions["onChange"];
  readonly #onRefusal: RedisLinkOptions["onRefusal"];
  readonly #listeners = new Map<string, Set<(message: string) => void>>();
  #isUp: boolean | undefined;
  #lastError = "";
  #unanswered = 0;
  #isClosed = false;

  constructor({ url, ca, onChange, onRefusal }: RedisLinkOptions) {
    const options = {
      ...(ca !== undefined && /^rediss:/i.test(url) ? { tls: { ca } } : {}),
      commandTimeout: COMMAND_MS,
      connectTimeout: CONNECT_MS,
      // What is asked while it is away is not to be done when it is back.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      autoResubscribe: false,
      retryStrategy: () => RECONNECT_MS,
      lazyConnect: true,
    } satisfies RedisOptions;
    this.#onChange = onChange;
    this.#onRefusal = onRefusal;
    this.#commands = new Redis(url, options);
    this.#subscriber = new Redis(url, options);
    for (const redis of [this.#commands, this.#subscriber]) {
      redis.on("error", (error: Error) => {
        this.#lastError = explainConnection(error);
      });
      redis.on("close", () => this.#change(false));
    }
    this.#commands.on("ready", () => this.#onReady());
    this.#subscriber.on("ready", () => {
      const channels = [...this.#listeners.keys()];
      if (channels.length > 0) this.#subscriber.subscribe(...channels).catch(() => {});
      this.#onReady();
    });
    this.#subscriber.on("message", (channel: string, message: string) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener(message);
    });
  }

  get isUp(): boolean {
    return this.#isUp === true;
  }

  /** Resolves when it is there, or is known not to be. */
  async open(): Promise<void> {
    await Promise.all([this.#commands, this.#subscriber].map((redis) => redis.connect().catch(() => {})));
    if (this.#isUp === undefined) this.#change(false);
  }

  /**
   * @param bytes of what is sent, about.
   * @returns undefined where it could not be done.
   */
  async attempt<T>(work: (redis: Redis) => Promise<T>, bytes = 0): Promise<T | undefined> {
    if (!this.isUp || this.#unanswered + bytes > MAX_UNANSWERED_BYTES) return undefined;
    this.#unanswered += bytes;
    try {
      return await work(this.#commands);
    } catch (error) {
      this.#lastError = error instanceof Error ? error.message : String(error);
      // A server that does not answer is away as well, though its connection is not: a new one will tell.
      if (/timed out/i.test(this.#lastError)) this.#commands.disconnect(true);
      else if (this.#commands.status === "ready") this.#onRefusal(this.#lastError);
      return undefined;
    } finally {
      this.#unanswered -= bytes;
    }
  }

  publish(channel: string, message: string): void {
    void this.attempt((redis) => redis.publish(channel, message));
  }

  /** @returns what ends it. */
  subscribe(channel: string, listener: (message: string) => void): () => void {
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners.add(listener));
    // It would connect at once, and `open` not wait for it; all channels are subscribed to when it is there.
    if (listeners.size === 1 && this.#subscriber.status !== "wait") this.#subscriber.subscribe(channel).catch(() => {});
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0 || this.#listeners.get(channel) !== listeners) return;
      this.#listeners.delete(channel);
      this.#subscriber.unsubscribe(channel).catch(() => {});
    };
  }

  /** What is on its way may arrive, if that does not take long. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#commands.quit().catch(() => {});
    this.#commands.disconnect();
    this.#subscriber.disconnect();
  }

  #onReady(): void {
    if (this.#commands.status === "ready" && this.#subscriber.status === "ready") this.#change(true);
  }

  #change(isUp: boolean): void {
    if (this.#isUp === isUp || this.#isClosed) return;
    this.#isUp = isUp;
    this.#onChange(isUp, this.#lastError);
  }
}
