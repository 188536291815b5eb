/** What a test has opened, so that all of it is closed again, however far the test came. */

export interface Closable {
  close(): unknown;
}

export interface Opened {
  /** @returns what it was given, now to be closed at the end. */
  add<T extends Closable>(each: T): T;
  /** The last first: a Perennial before its upstream. @throws what closing threw, after all were asked to close. */
  closeAll(): Promise<void>;
}

export function createOpened(): Opened {
  const opened: Closable[] = [];
  return {
    add(each) {
      opened.push(each);
      return each;
    },
    async closeAll() {
      const errors: unknown[] = [];
      for (const each of opened.splice(0).reverse()) {
        try {
          await each.close();
        } catch (error) {
          errors.push(error);
        }
      }
      if (errors.length === 1) throw errors[0];
      if (errors.length > 1) throw new AggregateError(errors, "several things did not close");
    },
  };
}
