// Single connections on raw sockets, with one request each, that can be kept.
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

// Connects and asks once. Resolves, when the whole answer is there, to who gave it and after how many milliseconds;
// the connection stays until `end()`.
export function connect(port, { timeoutMs = 10_000 } = {}) {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    const timer = setTimeout(() => over(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    let received = '';
    const over = (error) => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    // Whoever waits has its answer by then, or none is to come.
    socket.on('error', over);
    socket.on('close', () => over(new Error('closed without an answer')));
    socket.once('connect', () => socket.write('GET / HTTP/1.1\r\nHost: bench\r\n\r\n'));
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      if (!received.endsWith('\r\n\r\nhello\n')) return;
      clearTimeout(timer);
      resolve({ pid: Number(/^x-pid: (\d+)/im.exec(received)[1]), ms: performance.now() - began, end: () => socket.destroy() });
    });
  });
}

// So many connections, or until `isOver()`, one request each, at a steady pace whatever becomes of those before. Resolves
// to the milliseconds that each took; to Infinity for one that was not answered.
export async function visits(port, { count = Infinity, perSecond, isOver = () => false }) {
  const began = performance.now();
  const all = [];
  for (let n = 0; n < count && !isOver(); n += 1) {
    const early = began + (n * 1000) / perSecond - performance.now();
    if (early > 0) await pause(early);
    all.push(connect(port).then(({ ms, end }) => { end(); return ms; }, () => Infinity));
  }
  return Promise.all(all);
}
