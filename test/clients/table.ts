/** The measured table, in Markdown: one row for each client, one column for each thing that may happen to it. */
import { ANSWER } from "../../src/chaos/answer.ts";
import type { Cell, Column } from "./cells.ts";
import { SILENT, WHOLE } from "./expected.ts";
import type { Told } from "./job.ts";

/** What the program was told, in the words of {@link Expected}. */
export function describeTold({ told, type, code, text, retries }: Told): string {
  if (told === "complete") return text === ANSWER ? WHOLE : SILENT;
  return `${type}${code === null ? "" : ` ${code}`}${retries > 0 ? `, after ${retries} retries` : ""}`;
}

export interface Table {
  add(client: string, cell: Cell, told: Told): void;
  addCalls(client: string, calls: string): void;
  /** Rows of clients that were measured. */
  toMarkdown(clients: readonly string[]): string;
}

const COLUMNS: readonly (readonly [Column, string])[] = [
  ["eof", "without Perennial: ends early"],
  ["whole", "whole, recovered"],
  ["interrupted auto", "breaks in mid-text"],
  ["no text auto", "fails before any text, after a heartbeat"],
  ["http", "HTTP error"],
];

const LEGEND =
  "● the whole answer · ▲ an error (+ code: it has the failure code) · ✖ “complete”, with that much of the answer · " +
  "at the default settings · asks at 429: how often, with its own retries on";

export function createTable(): Table {
  const cells = new Map<string, Set<string>>();
  const calls = new Map<string, string>();
  const at = (client: string, column: string): Set<string> => {
    const key = `${client}\n${column}`;
    const found = cells.get(key) ?? new Set();
    cells.set(key, found);
    return found;
  };
  return {
    add(client, { column }, told) {
      at(client, column).add(column === "http" ? withoutCode(told) : shown(told));
    },
    addCalls(client, count) {
      calls.set(client, count);
    },
    toMarkdown(clients) {
      const row = (fields: readonly string[]): string => `| ${fields.join(" | ")} |`;
      const head = ["client", ...COLUMNS.map(([, title]) => title), "asks at 429"];
      const rows = clients.map((client) => {
        const fields = COLUMNS.map(([column]) => [...at(client, column)].join(" or ").replaceAll(" or ▲", " or") || "–");
        return row([client, ...fields, calls.get(client) ?? (fields.at(-1) === "–" ? "–" : "1")]);
      });
      return `${[row(head), row(head.map(() => "---")), ...rows].join("\n")}\n\n${LEGEND}.\n`;
    },
  };
}

function shown(told: Told): string {
  if (told.told === "complete") return told.text === ANSWER ? "●" : `✖ ${percent(told.text)}`;
  const code = told.code === null || isExit(told) ? "" : " + code";
  return `${withoutCode(told)}${code}${told.retries > 0 ? `, tried ${told.retries + 1} times` : ""}`;
}

/** Of an HTTP error the type alone: the codes are many. */
function withoutCode(told: Told): string {
  if (told.told === "complete") return shown(told);
  // Without the module, which is the client's.
  return isExit(told) ? `▲ ${told.type} ${told.code}` : `▲ ${told.type?.split(".").at(-1)}`;
}

/** curl's exit code is its type. */
function isExit({ type }: Told): boolean {
  return type === "exit code";
}

function percent(text: string): string {
  return `${Math.round((100 * text.length) / ANSWER.length)} %`;
}
