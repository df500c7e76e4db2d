'use strict';
// app.cjs, of which a worker writes LINES_PER_SECOND lines of 100 bytes to stdout from one SIGUSR2 to the next, in
// pieces as loggers with a buffer write them. At the end it says to stderr how many they were.
require('./app.cjs');

const everyMs = 2;
const linesPerSecond = Number(process.env.LINES_PER_SECOND);
const line = `${'x'.repeat(99)}\n`;

let timer = null;
let began = 0;
let written = 0;

function write() {
  // What is due by now; a worker that could not write in time catches up, but not without end.
  const due = Math.floor(((performance.now() - began) * linesPerSecond) / 1000) - written;
  const lines = Math.min(due, Math.ceil((20 * everyMs * linesPerSecond) / 1000));
  process.stdout.write(line.repeat(lines));
  written += lines;
}

process.on('SIGUSR2', () => {
  if (timer) {
    clearInterval(timer);
    timer = null;
    process.stderr.write(`lines written: ${written}\n`);
  } else {
    began = performance.now();
    written = 0;
    timer = setInterval(write, everyMs);
  }
});
