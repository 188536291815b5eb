/** The words around the figures, in the two languages of the documents. The titles of columns are those of tables.ts. */
import type { Results } from "../measure/results.ts";

export interface Words {
  /** In place of the figures of a row in which a stream was not whole. */
  readonly void: string;
  title(title: string): string;
  circumstances(results: Results): string;
  without(row: string, why: string): string;
}

const loadsOf = ({ loads }: Results): string => loads.map((load) => load.toFixed(1)).join(", ");

export const ENGLISH: Words = {
  void: "void",
  title: (title) => title,
  circumstances(results) {
    const { date, machine, rounds, loadBefore, wasBusy } = results;
    const { cpu, cores, node, kernel } = machine;
    const busy = wasBusy ? "\n**Others were using this machine: these figures say little.**" : "";
    return `${date}, ${cores} cores of ${cpu}, Linux ${kernel}, Node ${node};
medians of ${rounds} rounds in turn (min…max).
Load average before it ${loadBefore.toFixed(1)}, before each round ${loadsOf(results)}, its own load included.${busy}`;
  },
  without: (row, why) => `Without ${row}: ${why}.`,
};

const TITLES_IN_CHINESE: Readonly<Record<string, string>> = {
  "CPU µs/event": "CPU µs/事件",
  "× byte proxy": "× 字节代理",
  "added p50 µs": "增加 p50 µs",
  "added p99 µs": "增加 p99 µs",
  "p99 µs under 5 % faults": "5 % 故障时 p99 µs",
  "burst events/s": "burst 事件/s",
  "burst CPU µs/event": "burst CPU µs/事件",
  "µs/short request": "µs/短请求",
  "KiB/quiet stream": "KiB/静止的流",
  "idle MB": "空闲 MB",
  "CPU to ready ms": "到就绪的 CPU ms",
  user: "用户态",
  system: "内核态",
  "events/s": "事件/s",
  "CPU µs/request": "CPU µs/请求",
  "KiB/stream": "KiB/流",
  "all open after ms": "全部打开用时 ms",
  "idle RSS MB": "空闲 RSS MB",
  "CPU for each event at 250 streams, µs": "250 条流时每个事件的 CPU，µs",
  "Added to an event's way at 250 streams, p99, µs": "250 条流时一个事件增加的延迟，p99，µs",
  "Events a second at full speed": "全速时每秒的事件数",
};

export const CHINESE: Words = {
  void: "作废",
  title: (title) => TITLES_IN_CHINESE[title] ?? title,
  circumstances(results) {
    const { date, machine, rounds, loadBefore, wasBusy } = results;
    const { cpu, cores, node, kernel } = machine;
    const busy = wasBusy ? "\n**测量时机器上还有别的程序在跑：这些数字说明不了什么。**" : "";
    return `${date}，${cpu} 的 ${cores} 个核，Linux ${kernel}，Node ${node}；
轮流跑 ${rounds} 轮，取中位数（最小…最大）。
开始前的平均负载为 ${loadBefore.toFixed(1)}，各轮之前为 ${loadsOf(results)}，包括测量本身的负载。${busy}`;
  },
  without: (row, why) => `没有 ${row}：${why}。`,
};
