'use strict';

// The agent is one file when it is delivered: its parts, which share one scope, in the order that src/order.txt gives.
// The binary is built with the same text (crates/relevo/build.rs).

const fs = require('fs');
const path = require('path');

const source = path.join(__dirname, 'src');

/** The agent's text. */
function joined() {
  const parts = fs.readFileSync(path.join(source, 'order.txt'), 'utf8').trim().split('\n');
  return parts.map((name) => fs.readFileSync(path.join(source, `${name}.cjs`), 'utf8')).join('\n');
}

module.exports = { joined };
