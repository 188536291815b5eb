/** One connection of a pool: knows whether it was closed while it was kept, and hides a 100 Continue, which undici treats as a broken response. */
import type { Socket } from "node:net";
import { type buildConnector, Client, type Dispatcher } from "undici";

/** A call that is told on which connection it goes out. */
export interface ConnectedCall extends Dispatcher.DispatchHandler {
  /** Before anything else, and before it is known when the connection will be free. */
  onConnection(connection: Connection): void;
}

/** What can be told of a connection since a request went out on it. */
export interface Turn {
  /** It has brought nothing. */
  isSilent(): boolean;
  /** It had served others before, and has brought nothing since. */
  isStale(): boolean;
}

/** What has gone over the wire since the last request went out. */
interface WireState {
  socket: Socket | undefined;
  /** A request has gone out, and of its response nothing has come but a 100. */
  awaitsHead: boolean;
  /** Why the connection broke; a reset that undici does not tell of is here as well. */
  error: Error | undefined;
}

const CONTINUE = /^HTTP\/1\.1 100(?: [^\r\n]*)?\r\n(?:[^\r\n]+\r\n)*\r\n/;
const CONTINUE_START = "HTTP/1.1 100";
/** No 100 comes near it. */
const MAX_CONTINUE_BYTES = 4_096;

/** undici tells of a closed connection what it had read, of a reset one nothing, and of neither which bytes belonged to which request. */
export class Connection extends Client {
  readonly #line: WireState;

  /** @param options a pool's own, with which it makes its clients. */
  constructor(origin: URL, options: object, connect: buildConnector.connector) {
    const line: WireState = { socket: undefined, awaitsHead: false, error: undefined };
    super(origin, {
      ...options,
      connect(target, callback) {
        connect(target, (...result) => {
          const socket = result[1] ?? undefined;
          line.socket = socket;
          line.error = undefined;
          if (socket !== undefined) hideContinue(socket, line);
          // Before undici's own listener, which takes a reset for the end of a body whose end is the connection's.
          socket?.on("error", (error) => {
            if (line.socket === socket) line.error = error;
          });
          callback(...result);
        });
      },
    });
    this.#line = line;
  }

  override dispatch(options: Dispatcher.DispatchOptions, call: ConnectedCall): boolean {
    call.onConnection(this);
    return super.dispatch(options, call);
  }

  /** What broke it; the body that it was bringing then is not whole. */
  get error(): Error | undefined {
    return this.#line.error;
  }

  /** A request goes out now. */
  begin(): Turn {
    const { socket } = this.#line;
    this.#line.awaitsHead = true;
    const before = socket?.bytesRead ?? 0;
    const isSilent = (): boolean => (socket?.bytesRead ?? 0) === before;
    return { isSilent, isStale: () => before > 0 && isSilent() };
  }
}

/**
 * Some servers send a 100 Continue that was not asked for, which a client must be able to take (RFC 9110 §15.2); undici closes the connection.
 * So what `socket.read` gives to undici is looked at until a response begins that is something else.
 */
function hideContinue(socket: Socket, line: WireState): void {
  const read = socket.read.bind(socket);
  let held: Buffer | undefined;
  socket.read = (size) => {
    let chunk: Buffer | null = read(size);
    if (chunk === null || !line.awaitsHead) return chunk;
    if (held !== undefined) chunk = Buffer.concat([held, chunk]);
    held = undefined;
    while (CONTINUE_START.startsWith(chunk.toString("latin1", 0, CONTINUE_START.length))) {
      const text = chunk.toString("latin1", 0, MAX_CONTINUE_BYTES);
      const [head] = CONTINUE.exec(text) ?? [];
      if (head !== undefined) {
        chunk = chunk.subarray(head.length);
        continue;
      }
      // Nothing is taken away that undici might read in another way.
      if (text.length === MAX_CONTINUE_BYTES || /\n\r?\n/.test(text)) break;
      held = chunk;
      return socket.read(size);
    }
    line.awaitsHead = false;
    return chunk;
  };
}
