// Clients as they are met in the wild, on raw sockets, so that every request is accounted for:
//
//   new       a connection for each request
//   keep      one connection, requests with pauses between them
//   pipeline  four requests at once on one connection, again and again
//   upload    a body that arrives in pieces, on one connection
//
// A request is begun when its first byte is written. If no whole, right answer follows it is
// lost, in one of these ways:
//
//   refused   there was no connection to be had for it
//   race      sent on a connection that had been idle, which the server closed at that moment
//   behind    pipelined behind an answer that said `Connection: close`
//   cut       the connection ended while the request was being worked on
//   hung      no answer in time
//   wrong     another answer than the one to this request
//
// Apart from these are counted `idleCloses`: connections that the server closed, unannounced,
// while no request was open on them. The next request there would have been a race.
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const answerTimeoutMs = 5000;
// An answer takes less than a millisecond here: what is closed so soon after its first byte, and
// unanswered, was on its way when the server hung up.
const raceMs = 20;

export const lostWays = ['refused', 'race', 'behind', 'cut', 'hung', 'wrong'];

// Drives `port` for `seconds` with so many clients of each kind, and resolves to the account.
export async function drive(port, { seconds, clients }) {
  const account = { sent: 0, answered: 0, idleCloses: 0, politeCloses: 0, lost: Object.fromEntries(lostWays.map((way) => [way, 0])) };
  const state = { port, account, nextId: 0, over: false };
  const all = Object.entries(clients).flatMap(([kind, many]) => Array.from({ length: many }, () => behaviours[kind](state)));
  await pause(seconds * 1000);
  state.over = true;
  await Promise.all(all);
  return account;
}

const behaviours = {
  async new(state) {
    while (!state.over) {
      const connection = await Connection.open(state);
      if (connection) {
        await connection.request({ close: true });
        connection.end();
      }
      await pause(Math.random() * 5);
    }
  },
  keep: (state) => onOneConnection(state, 20, (connection) => connection.request()),
  pipeline: (state) => onOneConnection(state, 20, (connection) => connection.pipeline(4)),
  upload: (state) => onOneConnection(state, 20, (connection) => connection.upload({ pieces: 8, pieceBytes: 8192, pauseMs: 10 })),
};

// Repeats `exchange` with pauses, on one connection for as long as it lasts.
async function onOneConnection(state, pauseMs, exchange) {
  let connection = null;
  while (!state.over) {
    connection ??= await Connection.open(state);
    if (connection) await exchange(connection);
    else await pause(5);
    await pause(Math.random() * pauseMs);
    if (connection?.closed) connection = null;
  }
  connection?.end();
}

class Connection {
  #state;
  #socket;
  #received = Buffer.alloc(0);
  #open = [];          // requests begun and not settled, oldest first
  #saidClose = false;  // an answer announced the end of the connection
  #answers = 0;
  #left = false;       // we closed it ourselves
  closed = false;

  // Resolves to null when there is no connection to be had; the request it was for is lost.
  static open(state) {
    return new Promise((resolve) => {
      const socket = net.connect({ port: state.port, host: '127.0.0.1', noDelay: true });
      const failed = () => {
        clearTimeout(timer);
        state.account.sent += 1;
        state.account.lost.refused += 1;
        socket.destroy();
        resolve(null);
      };
      const timer = setTimeout(failed, answerTimeoutMs);
      socket.once('error', failed);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.removeListener('error', failed);
        resolve(new Connection(state, socket));
      });
    });
  }

  constructor(state, socket) {
    this.#state = state;
    this.#socket = socket;
    socket.on('data', (chunk) => this.#read(chunk));
    // A reset says nothing that the close after it does not say.
    socket.on('error', () => {});
    socket.on('end', () => this.#over());
    socket.on('close', () => this.#over());
  }

  request({ close = false } = {}) {
    if (this.closed) return undefined;
    const { id, done } = this.#begin();
    this.#socket.write(`GET / HTTP/1.1\r\nHost: bench\r\nX-Id: ${id}\r\n${close ? 'Connection: close\r\n' : ''}\r\n`);
    return done;
  }

  pipeline(many) {
    if (this.closed) return undefined;
    const requests = Array.from({ length: many }, () => this.#begin());
    this.#socket.write(requests.map(({ id }) => `GET / HTTP/1.1\r\nHost: bench\r\nX-Id: ${id}\r\n\r\n`).join(''));
    return Promise.all(requests.map(({ done }) => done));
  }

  async upload({ pieces, pieceBytes, pauseMs }) {
    if (this.closed) return;
    const { id, done } = this.#begin();
    const piece = Buffer.alloc(pieceBytes, 'u');
    this.#socket.write(`POST / HTTP/1.1\r\nHost: bench\r\nX-Id: ${id}\r\nContent-Length: ${pieces * pieceBytes}\r\n\r\n`);
    for (let sent = 0; sent < pieces && !this.closed; sent += 1) {
      this.#socket.write(piece);
      await pause(pauseMs);
    }
    await done;
  }

  end() {
    this.#left = true;
    this.#socket.destroy();
  }

  // `done` resolves when the request is answered or lost; it never rejects.
  #begin() {
    const request = { id: String(this.#state.nextId += 1), begun: performance.now(), onIdle: this.#answers > 0 && this.#open.length === 0 };
    request.done = new Promise((resolve) => { request.settle = resolve; });
    request.timer = setTimeout(() => this.#lose('hung'), answerTimeoutMs);
    this.#state.account.sent += 1;
    this.#open.push(request);
    return request;
  }

  #read(chunk) {
    this.#received = this.#received.length ? Buffer.concat([this.#received, chunk]) : chunk;
    for (let answer = this.#nextAnswer(); answer; answer = this.#nextAnswer()) {
      const request = this.#open.shift();
      if (!request || answer.status !== 200 || answer.id !== request.id) {
        if (request) this.#open.unshift(request);
        // Words that nobody asked for, a 408 for example, come before a hang-up.
        else this.#state.account.idleCloses += 1;
        this.#lose('wrong');
        return;
      }
      this.#answers += 1;
      this.#saidClose ||= answer.close;
      this.#state.account.answered += 1;
      clearTimeout(request.timer);
      request.settle();
    }
    // Nothing may follow such an answer: a client that sent more on it would be at fault itself.
    if (this.#saidClose && this.#open.length === 0) {
      this.#state.account.politeCloses += 1;
      this.closed = true;
      this.end();
    }
  }

  // The server answers with a Content-Length always.
  #nextAnswer() {
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return null;
    const head = this.#received.toString('latin1', 0, end);
    const length = Number(header(head, 'content-length') ?? 0);
    if (this.#received.length < end + 4 + length) return null;
    this.#received = this.#received.subarray(end + 4 + length);
    return {
      status: Number(head.slice(9, 12)),
      id: header(head, 'x-id'),
      close: header(head, 'connection')?.toLowerCase() === 'close',
    };
  }

  // The server has ended the connection.
  #over() {
    if (this.closed) return;
    this.closed = true;
    if (this.#open.length > 0) {
      const [first] = this.#open;
      const untouched = this.#received.length === 0;
      const young = performance.now() - first.begun < raceMs;
      if (this.#saidClose) this.#lose('behind');
      else this.#lose(first.onIdle && untouched && young ? 'race' : 'cut');
    } else if (!this.#left) {
      this.#state.account.idleCloses += 1;
    }
    this.#socket.destroy();
  }

  // All that is open on this connection is lost, and with it the connection.
  #lose(way) {
    this.closed = true;
    for (const request of this.#open.splice(0)) {
      this.#state.account.lost[way] += 1;
      clearTimeout(request.timer);
      request.settle();
    }
    this.end();
  }
}

const header = (head, name) => new RegExp(`^${name}:[ \\t]*(.*?)[ \\t]*$`, 'im').exec(head)?.[1];
