// The same trial for all: `relevo prove` drives each peer while it is reloaded by its own command.
import { run } from '../lib/children.mjs';

const reloads = 5;

export const proved = {
  name: 'proved',
  title: 'Lost under `relevo prove`',
  what: ({ lossSeconds }) => `${reloads} reloads, by the peer's own command, within ${lossSeconds} s or more of \`relevo prove\` and its usual 44 clients. `
    + '*Race*: part of those reset or closed: sent just as the server closed the idle connection. *Idle closes* lose nothing by themselves',
  peers: ['cluster', 'pm2', 'nginx', 'relevo-auto', 'relevo-kernel', 'relevo-round-robin'],
  columns: {
    begun: ['requests', 0],
    lost: ['lost', 0],
    wrong: ['wrong', 0],
    refused: ['refused', 0],
    reset: ['reset', 0],
    closed: ['closed', 0],
    late: ['late', 0],
    raced: ['race', 0],
    idleCloses: ['idle closes', 0],
    failed: ['failed reloads', 0],
  },

  async sample(peer, { lossSeconds, tools }) {
    const words = ['prove', `http://127.0.0.1:${peer.ports[0]}/`, '--json', '--reloads', String(reloads), '--seconds', String(lossSeconds), '--on-reload', peer.reloadCommand];
    const { stdout, stderr } = await run(tools.relevo, words, { timeoutMs: 300_000 });
    const report = JSON.parse(stdout);
    if (report.error) throw new Error(`${report.error.reason}\n${stderr}`);
    const { begun, wrong, refused, reset, closed, late, raced } = report.requests;
    return {
      begun,
      lost: wrong + refused + reset + closed + late,
      wrong,
      refused,
      reset,
      closed,
      late,
      raced,
      idleCloses: report.connections.closed_idle,
      failed: report.disturbances.filter(({ succeeded }) => !succeeded).length,
    };
  },

  bars: ['auto', 'kernel', 'round-robin'].flatMap((balance) => [
    { text: `${balance}: requests lost`, value: (m) => m[`relevo-${balance}`].lost, atMost: 0, worst: true },
    { text: `${balance}: idle connections closed`, value: (m) => m[`relevo-${balance}`].idleCloses, atMost: 0, worst: true },
    { text: `${balance}: reloads that failed`, value: (m) => m[`relevo-${balance}`].failed, atMost: 0, worst: true },
  ]),
};
