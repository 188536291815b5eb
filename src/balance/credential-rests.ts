/** Until when a key of ours is of no use at its upstream: refused, out of money, or over a limit. */
import type { KeyRest } from "../core/upstream-state.ts";

/** A key that was refused may be mended, and an account filled, in milliseconds. */
const REFUSED_MS = 600_000;
/** Where a limit does not say when it is over. */
const LIMITED_MS = 60_000;
/** Clients name the models. */
const MAX_PARTS = 1_000;

/** What says something of the key that was used, and nothing of another. */
const ABOUT_KEY: ReadonlySet<number> = new Set([401, 402, 403, 429]);

export function isAboutKey({ code, status }: { readonly code: string; readonly status: number }): boolean {
  return (code === "upstream_status" || code === "upstream_error_event") && ABOUT_KEY.has(status);
}

export class CredentialRests {
  /** On the clock of `performance.now()`; a limit is one of its model, as far as is known. */
  readonly #limitedUntil = new Map<string, number>();
  #refusedUntil = 0;
  #refusedWith = 0;

  /** @param part a model, or a path. */
  isResting(part: string): boolean {
    const now = performance.now();
    return this.#refusedUntil > now || (this.#limitedUntil.get(part) ?? 0) > now;
  }

  /** For those who watch; undefined while it is used. */
  get rests(): KeyRest | undefined {
    const now = performance.now();
    if (this.#refusedUntil > now) {
      return { why: "refused", status: this.#refusedWith, waitMs: Math.round(this.#refusedUntil - now), parts: undefined };
    }
    const limits = [...this.#limitedUntil.values()].filter((until) => until > now);
    if (limits.length === 0) return undefined;
    return { why: "limited", status: 429, waitMs: Math.round(Math.min(...limits) - now), parts: limits.length };
  }

  /** @param failure that is about the key. */
  rest(part: string, { status, retryAfterMs }: { readonly status: number; readonly retryAfterMs: number | undefined }): void {
    const now = performance.now();
    if (status !== 429) {
      this.#refusedUntil = now + (retryAfterMs ?? REFUSED_MS);
      this.#refusedWith = status;
      return;
    }
    this.#limitedUntil.delete(part);
    const [oldest] = this.#limitedUntil.keys();
    if (oldest !== undefined && this.#limitedUntil.size >= MAX_PARTS) this.#limitedUntil.delete(oldest);
    this.#limitedUntil.set(part, now + (retryAfterMs ?? LIMITED_MS));
  }

  /** It was taken. */
  works(part: string): void {
    this.#refusedUntil = 0;
    this.#limitedUntil.delete(part);
  }
}
