/**
 * The requests of one connection, in their order. Answers leave in the order of the requests (RFC 9112, 9.3.2): what
 * cannot be read gets its refusal after the answers of the requests before it, or as the answer of the request in whose
 * middle it stands; after an answer that closes the connection, nothing more is read (9.6). A request is worked on once the
 * connection has taken the answers before it: so it holds one answer at a time, and one that reads nothing asks for no more.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { HttpRefusal } from './http-refusal.ts';
import { hasBody } from './request-head.ts';

/** Requests of one connection that were received and are not answered. */
export const PIPELINED_MAX = 100;
/** How long a client that was told of a close has to read it and to close, too, before the connection is dropped. */
const LINGER_MS = 1_000;
/** From when on a client that has ended its side is asked whether it is still there, and how often. */
const GONE_CHECK_AFTER_MS = 1_000;
const GONE_CHECK_EVERY_MS = 250;

export interface Turn {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Answers the request with this, whatever its handler does; without effect once it has been answered. */
  readonly refuse: (refusal: HttpRefusal) => void;
  /** Called once those before it have been answered, or the connection has gone; not for the first. */
  readonly go: () => void;
}

/**
 * On the socket itself and not in a WeakMap: collections of young garbage take the values of an old WeakMap for alive, and
 * every connection would live on, with its requests, until the next full collection.
 */
const CONVERSATION = Symbol('conversation');

interface WithConversation extends Socket {
  [CONVERSATION]?: Conversation;
}

export class Conversation {
  readonly #socket: Socket;
  /** Those whose answer is not out, the oldest first. */
  readonly #waiting: Turn[] = [];
  /** A request that was answered before its body had come, which is read and thrown away. No other is kept. */
  #unread: IncomingMessage | null = null;
  #closing = false;
  #broken = false;
  #goneCheck: NodeJS.Timeout | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.once('close', () => {
      if (this.#goneCheck !== null) clearTimeout(this.#goneCheck);
      // Of a response that never had the connection, Node does not say that it is closed.
      for (const { go } of this.#waiting.splice(0)) go();
    });
  }

  static of(socket: WithConversation): Conversation {
    const known = socket[CONVERSATION];
    if (known !== undefined) return known;
    const made = new Conversation(socket);
    socket[CONVERSATION] = made;
    return made;
  }

  /** An answer that closes the connection is on its way: nothing behind it is a request. */
  get isClosing(): boolean {
    return this.#closing;
  }

  /** Whether more requests wait for their answers than one connection may have. */
  get isFull(): boolean {
    return this.#waiting.length > PIPELINED_MAX;
  }

  /** No request waits for its answer. */
  get isIdle(): boolean {
    return this.#waiting.length === 0;
  }

  /** The body of a request that waits for its answer is still to come. */
  get isReadingBody(): boolean {
    return this.#waiting.at(-1)?.request.complete === false;
  }

  /** A request has come. Until its response is closed. Returns whether it is its turn. */
  begin(turn: Turn): boolean {
    this.#waiting.push(turn);
    turn.response.once('close', () => {
      const at = this.#waiting.indexOf(turn);
      if (at < 0) return;
      this.#waiting.splice(at, 1);
      this.#unread = turn.request.complete ? null : turn.request;
      if (at === 0) this.#waiting[0]?.go();
    });
    return this.#waiting.length === 1;
  }

  /** The answer says that the connection closes: what waits behind it is not processed. */
  closeAfter({ request, response }: Pick<Turn, 'request' | 'response'>): void {
    this.#closing = true;
    const at = this.#waiting.findIndex((turn) => turn.response === response);
    if (at >= 0) this.#waiting.splice(at + 1);
    if (request.complete || !hasBody(request)) return;
    // Node would drop the connection with the answer. A client that still sends would get a reset for it, and may never
    // see why (RFC 9112, 9.6).
    this.#socket.destroySoon = endAndLinger;
    // What a handler was reading is read on, to nobody.
    response.once('finish', () => request.resume());
  }

  /**
   * What comes next cannot be read. `answer` is called where it is a request's place, when its turn has come; it has to
   * close the connection.
   */
  break(refusal: HttpRefusal, answer: () => void): void {
    // Every later packet is a new error of the parser's.
    if (this.#broken || this.#closing) return;
    this.#broken = true;
    const last = this.#waiting.at(-1);
    if (last === undefined) {
      // In the middle of a body that nobody wanted, its request has been answered.
      if (this.#unread !== null && !this.#unread.complete) this.#socket.destroy();
      else answer();
    } else if (last.request.complete) {
      // Before Node's own listener, which may end the connection.
      last.response.prependOnceListener('finish', () => {
        if (!this.#closing) answer();
      });
    } else if (last.response.headersSent) {
      last.response.once('finish', () => closeGently(this.#socket));
    } else {
      last.refuse(refusal);
    }
  }

  /** Behind what is answered, nothing on this connection is HTTP any more. */
  get isBroken(): boolean {
    return this.#broken;
  }

  /**
   * The client has ended its side. It may wait for its answers (RFC 9112, 9.6: a half-closed connection), or have gone:
   * only sending it something tells. Fast answers need no such question; before a slow one it is asked by 100
   * (Continue), which clients pass over that did not ask for it (RFC 9110, 15.2).
   */
  clientEnded(): void {
    if (this.#waiting.length === 0) return;
    this.#goneCheck = setTimeout(() => this.#checkGone(), GONE_CHECK_AFTER_MS);
  }

  #checkGone(): void {
    const first = this.#waiting[0];
    if (first === undefined || this.#socket.destroyed) return;
    // RFC 9110, 15.2: nothing of the kind to HTTP/1.0. What is being sent already says the same.
    if (first.request.httpVersionMinor > 0 && !first.response.headersSent) first.response.writeContinue();
    this.#goneCheck = setTimeout(() => this.#checkGone(), GONE_CHECK_EVERY_MS);
  }
}

/** Ends our side with these last bytes; drops the connection when the client has ended its own, or soon. */
export function closeGently(socket: Socket, lastBytes = ''): void {
  if (socket.destroyed) return;
  const drop = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(drop));
  if (socket.writable) socket.end(lastBytes);
  // What is still to come is read and thrown away.
  socket.resume();
}

function endAndLinger(this: Socket): void {
  closeGently(this);
}
