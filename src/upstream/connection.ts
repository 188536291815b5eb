/** One connection of a pool, and what its calls must know of it: whether it died of having been kept too long. */
import type { Socket } from "node:net";
import { type buildConnector, Client, type Dispatcher } from "undici";

/** A call that is told on which connection it goes out. */
export interface ConnectedCall extends Dispatcher.DispatchHandler {
  /** Before anything else, and before it is known when the connection will be free. */
  onConnection(connection: Connection): void;
}

/** undici tells of a closed connection what it had read, of a reset one nothing, and of neither which bytes belonged to which request. */
export class Connection extends Client {
  readonly #socket: { current: Socket | undefined };

  /** @param options a pool's own, with which it makes its clients. */
  constructor(origin: URL, options: object, connect: buildConnector.connector) {
    const socket: { current: Socket | undefined } = { current: undefined };
    super(origin, {
      ...options,
      connect(target, callback) {
        connect(target, (...result) => {
          socket.current = result[1] ?? undefined;
          callback(...result);
        });
      },
    });
    this.#socket = socket;
  }

  override dispatch(options: Dispatcher.DispatchOptions, call: ConnectedCall): boolean {
    call.onConnection(this);
    return super.dispatch(options, call);
  }

  /**
   * A request goes out now.
   * @returns what tells later whether the connection had served others before, and has brought nothing since.
   */
  begin(): () => boolean {
    const socket = this.#socket.current;
    const before = socket?.bytesRead ?? 0;
    return () => before > 0 && socket?.bytesRead === before;
  }
}
