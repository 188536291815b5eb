/**
 * Where Perennial may be kinder than a strict reader, and where it says so. A stream with nothing worse in it may be called whole or not;
 * what its client gets must be right in both cases. Whatever is odd and not listed here makes a stream that must not be called whole.
 */
export const LENIENCIES: ReadonlyMap<string, string> = new Map([
  ["words on a line that is no event", "SSE: unknown fields are ignored; docs/architecture.md, native routes excepted"],
  ["[DONE] on a line that is no event", "it proves nothing, and its loss is repaired like any other missing terminator"],
  ["a line that is cut", "the body ended in a line: judged by what came before it"],
  ["an event without its blank line at the end", "a last event that parses lacks no more than its blank line"],
  ["blank data", "a keep-alive of sorts"],
  ["a ping", "dropped"],
  ["an event name", "no part of the dialect; the name is dropped"],
  ["[DONE] and more", "clients compare the beginning only"],
  ["[DONE] where the dialect has none", "servers that imitate the dialect send it"],
  ["no choices", "usage, prompt filters"],
  ["an odd choice", "not an object: skipped"],
  ["an odd block", "of a type that is not said: forwarded as it came"],
  ["an odd index", "some servers write their numbers as text"],
  ["another word for a finish", "docs/architecture.md, `When is a chat completion whole?`"],
  ["a null in words", "a Python server's None that became text"],
  ["more after a finish, then [DONE]", "only the terminator proves that no more was to come"],
  ["fewer choices than asked, then [DONE]", "only the terminator proves that no more was to come"],
  ["finished, then something odd", "every choice had finished before it"],
  ["finished, then a cut", "the finish is the proof, not the terminator"],
  ["no content", "a model may have nothing to say: the empty rule in docs/architecture.md"],
  ["an unknown event", "forwarded as it came"],
  ["a name that is not the type", "responses: every client goes by the type"],
  ["no type", "the event's name says it"],
  ["a sequence number that came before", "gateways that do not number their events"],
  ["no sequence number", "gateways that do not number their events"],
  ["a reset", "what the upstream had sent may be lost with the connection"],
]);
