/** The words of the published tables, in the two languages of the documents. */
import type { Fault } from "../../src/chaos/fault.ts";
import { FAULTS_IN_CHINESE, GROUPS_IN_CHINESE } from "./faults-in-chinese.ts";
import type { CaseVerdict } from "./judge.ts";
import type { Whole } from "./score.ts";

export interface Words {
  readonly verdicts: Readonly<Record<CaseVerdict, string>>;
  /** The columns of the scores. */
  readonly scores: readonly string[];
  /** The columns of the README's scores. */
  readonly shortScores: readonly string[];
  readonly nothing: string;
  readonly plain: string;
  readonly noService: string;
  readonly fault: string;
  readonly whatItDoes: string;
  readonly rest: string;
  of(part: number, all: number): string;
  recovery(fault: string): string;
  atFirst(fault: string): string;
  group(title: string): string;
  summary(fault: Pick<Fault, "name" | "summary">): string;
  whole(told: Whole): string;
  measured(told: Measured): string;
}

export interface Measured {
  readonly date: string;
  readonly versions: readonly string[];
  /** Cases of each target in the chat API, and in the others. */
  readonly chat: number;
  readonly others: number;
}

/** What every continuation's summary begins with; its table says so in its head. */
const ASKED_FOR_THE_REST = "asked for the rest of an answer: ";

export const ENGLISH: Words = {
  verdicts: {
    whole: "whole",
    "typed error": "error",
    "bare status": "status",
    "transport error": "broken",
    hang: "hang",
    "torn event": "torn",
    "wrong text": "wrong",
    "silent truncation": "silent",
    "no service": "no service",
  },
  scores: ["target", "not misled", "delivered", "whole", "error", "broken or bare status", "misled", "recovered"],
  shortScores: ["between client and upstream", "not misled", "delivered"],
  nothing: "nothing",
  plain: "a proxy of bytes",
  noService: "no service",
  fault: "fault",
  whatItDoes: "what it does",
  rest: "the rest",
  of: (part, all) => `${part} of ${all}`,
  recovery: (fault) => `${fault}, then \`ok\``,
  atFirst: (fault) => `${fault} at the first`,
  group: (title) => title,
  summary: ({ summary }) => summary.replace(ASKED_FOR_THE_REST, ""),
  whole: ({ whole, can, misled, all }) => `whole ${whole} of the ${can} that can be had, misled ${misled} of ${all}`,
  measured: ({ date, versions, chat, others }) =>
    `The tables were written by it on ${date} with ${versions.join(" and ")}:\n${chat} cases for each target, and ${others} in the other APIs.`,
};

export const CHINESE: Words = {
  verdicts: {
    whole: "完整",
    "typed error": "错误",
    "bare status": "状态码",
    "transport error": "断开",
    hang: "挂起",
    "torn event": "残缺",
    "wrong text": "错文",
    "silent truncation": "静默",
    "no service": "没有服务",
  },
  scores: ["目标", "未被误导", "送达", "完整", "错误", "断开或只有状态码", "被误导", "恢复"],
  shortScores: ["客户端与上游之间", "未被误导", "送达"],
  nothing: "直连",
  plain: "只转发字节的代理",
  noService: "没有服务",
  fault: "故障",
  whatItDoes: "表现",
  rest: "剩下的部分",
  of: (part, all) => `${part} / ${all}`,
  recovery: (fault) => `先 ${fault}，后 \`ok\``,
  atFirst: (fault) => `第一个上游 ${fault}`,
  group: (title) => GROUPS_IN_CHINESE[title] ?? title,
  summary: ({ name, summary }) => FAULTS_IN_CHINESE[name] ?? summary.replace(ASKED_FOR_THE_REST, ""),
  whole: ({ whole, can, misled, all }) => `能拿到完整回答的 ${can} 项里拿到 ${whole} 项，${all} 项里被误导 ${misled} 项`,
  measured: ({ date, versions, chat, others }) =>
    `下面的表由它在 ${date} 写成，${versions.join("、")}：每个目标 ${chat} 项，其他 API 共 ${others} 项。`,
};
