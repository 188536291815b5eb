/** The sandbox's one answer: fixed text with characters of one to four bytes, in the pieces a model would send. */

export const TOKENS: readonly string[] = [
  "A stream",
  " is a small",
  " promise:",
  " the first word",
  " arrives before",
  " the last one",
  " is known.",
  " In Chinese",
  " one says",
  " 细水",
  "长流",
  ":",
  " a thin stream",
  " runs long.",
  " Somewhere a café",
  " fills up",
  " while the words",
  " come in",
  " 🌊,",
  " and if the",
  " connection breaks,",
  " a good proxy",
  " says so;",
  " a better one has already",
  " begun again.",
];

export const ANSWER: string = TOKENS.join("");

/** What a reasoning model thinks first. */
export const REASONING_TOKENS: readonly string[] = [
  "The user asks",
  " about streams.",
  " Something about",
  " 流,",
  " and what happens",
  " when they break.",
];

const LOREM =
  "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua".split(
    " ",
  );

/** The n-th word of an endless filler text. */
export function lorem(n: number): string {
  return `${LOREM[n % LOREM.length]} `;
}
