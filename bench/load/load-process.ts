/** The clients of the benchmark. Gets jobs as messages, one at a time, and answers each with what it measured. */
import { Agent, type ClientRequest, request } from "node:http";
import { type Fault, toPrompt } from "./ask.ts";
import type { Job, JobDone, Opened } from "./job.ts";
import { MarkReader, nowUs } from "./marks.ts";

const FAULTS: readonly Fault[] = ["cut", "500", "empty"];
const MAX_REASONS = 3;

class Clients {
  readonly #job: Job;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, maxFreeSockets: 10_000 });
  readonly #startedUs = nowUs();
  readonly #open = new Set<ClientRequest>();
  readonly #latencies: number[] = [];
  readonly #firstContents: number[] = [];
  readonly #reasons: string[] = [];
  #begun = 0;
  #healthy = 0;
  #healthyOpen = 0;
  #bad = 0;
  #events = 0;
  #over = false;

  constructor(job: Job) {
    this.#job = job;
  }

  run(): Promise<JobDone> {
    const { concurrency, endWithinMs } = this.#job;
    return new Promise((resolve) => {
      const finish = (): void => {
        if (this.#over) return;
        this.#over = true;
        clearTimeout(deadline);
        const wallMs = (nowUs() - this.#startedUs) / 1_000;
        for (const one of this.#open) one.destroy();
        this.#agent.destroy();
        resolve({
          opened: false,
          healthy: this.#healthy,
          bad: this.#bad,
          reasons: this.#reasons,
          events: this.#events,
          wallMs,
          latencies: Uint32Array.from(this.#latencies),
          firstContents: Uint32Array.from(this.#firstContents),
        });
      };
      const deadline = setTimeout(() => {
        this.#bad += this.#healthyOpen;
        if (this.#healthyOpen > 0) this.#reasons.push(`${this.#healthyOpen} had not ended after ${endWithinMs} ms`);
        finish();
      }, endWithinMs);
      const next = (): void => {
        if (this.#over) return;
        if (this.#mayBegin()) this.#begin(next);
        // Those that are broken on purpose may take their time.
        else if (this.#healthyOpen === 0) finish();
      };
      for (let i = 0; i < concurrency; i++) next();
    });
  }

  #mayBegin(): boolean {
    return this.#begun < this.#job.streams && (nowUs() - this.#startedUs) / 1_000 < this.#job.beginWithinMs;
  }

  #begin(onEnd: () => void): void {
    const { url, headers, model, ask, brokenEvery } = this.#job;
    const number = this.#begun++;
    const isBroken = brokenEvery > 0 && number % brokenEvery === brokenEvery - 1;
    const fault = isBroken ? FAULTS[Math.floor(number / brokenEvery) % FAULTS.length] : undefined;
    const marks = new MarkReader();
    const startedUs = nowUs();
    if (!isBroken) {
      this.#healthy++;
      this.#healthyOpen++;
    }
    let hasEnded = false;
    const end = (reason: string | undefined): void => {
      if (hasEnded || this.#over) return;
      hasEnded = true;
      this.#open.delete(outgoing);
      if (!isBroken) {
        this.#healthyOpen--;
        if (reason !== undefined) {
          this.#bad++;
          if (this.#reasons.length < MAX_REASONS) this.#reasons.push(reason);
        }
      }
      onEnd();
    };
    const outgoing = request(
      url,
      {
        method: "POST",
        agent: this.#agent,
        headers: { "content-type": "application/json", accept: "text/event-stream", authorization: "Bearer bench", ...headers },
      },
      (response) => {
        response.on("data", (read: Buffer) => this.#read(read, { marks, startedUs, isBroken }));
        response.on("error", (error) => end(error.message));
        response.on("end", () => end(response.statusCode === 200 ? judge(marks, ask.events) : `HTTP ${response.statusCode}`));
      },
    );
    this.#open.add(outgoing);
    outgoing.on("error", (error) => end(error.message));
    outgoing.end(JSON.stringify({ model, stream: true, messages: [{ role: "user", content: toPrompt({ ...ask, fault }) }] }));
  }

  #read(read: Buffer, stream: { marks: MarkReader; startedUs: number; isBroken: boolean }): void {
    const { marks, startedUs, isBroken } = stream;
    const now = nowUs();
    const before = marks.count;
    marks.feed(read, (atUs) => {
      this.#events++;
      if (!isBroken && now - this.#startedUs > this.#job.settleMs * 1_000) this.#latencies.push(Math.max(now - atUs, 0));
    });
    if (before > 0 || marks.count === 0 || isBroken) return;
    this.#firstContents.push(now - startedUs);
    if (this.#firstContents.length === this.#job.streams) {
      process.send?.({ opened: true, withinMs: (now - this.#startedUs) / 1_000 } satisfies Opened);
    }
  }
}

/** @returns what is wrong with it; undefined when it is whole */
function judge(marks: MarkReader, events: number): string | undefined {
  if (!marks.isInOrder) return "events lost, repeated or out of order";
  if (marks.count !== events) return `${marks.count} events of ${events}`;
  return marks.isDone ? undefined : "no [DONE]";
}

process.on("message", async (job: Job) => void process.send?.(await new Clients(job).run()));
process.on("disconnect", () => process.exit());
