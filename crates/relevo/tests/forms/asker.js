'use strict';
// A client for what needs TLS or HTTP/2. Each line on stdin asks for one request on a connection of
// its own, and is answered by one line:
//
//   https PORT    the body
//   resume PORT   the body and `resumed` or `full`: TLS 1.2, with the session of the first such
//                 connection to this port
//   http2 PORT    the body, over cleartext HTTP/2
//
// What fails is answered by `! ` and why.
const http2 = require('node:http2');
const https = require('node:https');
const readline = require('node:readline');

const host = '127.0.0.1';
const sessions = new Map();

const read = (stream, done) => {
  let body = '';
  stream.setEncoding('utf8').on('data', (part) => { body += part; }).on('end', () => done(body.trim()));
};

const kinds = {
  https: (port) => new Promise((resolve, reject) => {
    https.get({ host, port, agent: false, rejectUnauthorized: false }, (response) => read(response, resolve))
      .on('error', reject);
  }),

  resume: (port) => new Promise((resolve, reject) => {
    const session = sessions.get(port);
    const request = https.get({ host, port, session, agent: false, rejectUnauthorized: false, maxVersion: 'TLSv1.2' });
    request.on('error', reject).on('response', (response) => {
      const { socket } = response;
      if (!session) sessions.set(port, socket.getSession());
      const how = socket.isSessionReused() ? 'resumed' : 'full';
      read(response, (body) => resolve(`${body} ${how}`));
    });
  }),

  http2: askByHttp2,
};

function askByHttp2(port) {
  return new Promise((resolve, reject) => {
    const session = http2.connect(`http://${host}:${port}`).on('error', reject);
    const stream = session.request({ ':path': '/' }).on('error', reject);
    read(stream, (body) => {
      session.close();
      resolve(body);
    });
  });
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [kind, port] = line.split(' ');
    const answer = await kinds[kind](Number(port)).catch((error) => `! ${error.message} (${error.code})`);
    console.log(answer);
  }
})();
