/** What a dialect asks to see whether an upstream answers: the same words in all of them. */

export const QUESTION = "你好，你是谁？";
