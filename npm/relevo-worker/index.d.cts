/** What `onDrain`'s listeners are told. */
export interface Drain {
  /** How long the drain may take, in milliseconds from now; what is left then is ended. */
  readonly deadlineMs: number;
}

/** A connection: what `net`, `tls`, `http` and `http2` call a socket. */
export interface SocketLike {
  destroy(error?: Error): unknown;
}

/** What JSON can carry. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined };

/** Who this process is. Every field is null outside of Relevo. */
export interface Worker {
  /** The position among the workers, from 0. The successor of this worker has the same. */
  readonly slot: number | null;
  /** The worker's number, never used twice in a service. */
  readonly id: number | null;
  /** The count of code loads, from 1. A reload makes the next. */
  readonly generation: number | null;
  /** The directory that the code was loaded from, links resolved. */
  readonly release: string | null;
}

/** Who this process is, read when it is asked for. */
export const worker: Worker;

/** Says that this worker is ready, for services that run with `--ready message`. Saying it twice does no harm. */
export function ready(): void;

/**
 * Asks for more time to become ready: `ms` milliseconds from now, where that is longer than what is left of
 * `--ready-timeout`. Relevo grants ten times `--ready-timeout` in all, and no more than an hour.
 *
 * @throws {TypeError} if `ms` is no number, or below 0
 */
export function extendReady(ms: number): void;

/**
 * Calls `listener` when this worker begins to drain: it accepts nothing more, finishes what it has, and ends then.
 * Stop here what would begin new work: timers, consumers of a queue, intervals. The worker does not end before the
 * returned promise has settled, or the deadline has passed. The connections are not yours to close: they are handed
 * over or finished.
 *
 * @throws {TypeError} if `listener` is no function
 */
export function onDrain(listener: (drain: Drain) => unknown): void;

/**
 * Keeps a connection with this worker for as long as it lives: it is never moved to another one, and, if it is an event
 * stream or a WebSocket, not told to go when the worker drains. It ends with its client, by you, or at the deadline.
 *
 * For apps that remember something of a connection in a place that nobody else can see, such as a Map of sockets.
 *
 * @throws {TypeError} if `socket` is no object
 */
export function keep(socket: SocketLike): void;

/**
 * Sends `message` to every other worker of this service, old and new generations alike. This worker does not get it.
 * Messages of one worker come in order; a worker that is starting or ending may miss some.
 *
 * @throws {TypeError} if `message` cannot be written as JSON
 * @throws {RangeError} if it is longer than 64 KiB as JSON
 */
export function broadcast(message: Json): void;

/**
 * Calls `listener` with every message that another worker has broadcast from now on.
 *
 * @throws {TypeError} if `listener` is no function
 */
export function onBroadcast(listener: (message: any, from: number) => unknown): void;
