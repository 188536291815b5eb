/** The servers that `perennial chaos --as` can stand in for. */

export const PERSONALITY_NAMES = ["chatglm3", "chatchat-0.2", "chatchat-0.3"] as const;

export type PersonalityName = (typeof PERSONALITY_NAMES)[number];
