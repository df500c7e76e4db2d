// The command line.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const inRepository = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

export const help = `node bench/run.mjs [options]

Measures Relevo side by side with bare node, node's cluster and PM2, and says which
bars were reached. Exit code: 0, or 1 if a bar was missed, or 2 for wrong usage.

  --only NAME     one measure; may be given several times
  --runs N        runs of each peer (default 5; with --short 1)
  --requests N    connections of the measures that open one per request (default 100000)
  --seconds N     length of each run under keep-alive, mixed load, log lines (default 10) and scaling (default 60)
  --short         few requests, to see that everything works; no bars
  --peers-only    leave Relevo out if it has not been built
  --node PATH     the node that runs the apps (default: node 22 of fixtures/node)
  --relevo PATH   default: target/release/relevo
  --write         put the measures that were run into docs/benchmarks.md; the others stay
  --date DATE     the date to put there (default: today, UTC)
  --help
`;

// Throws an error with `usage` set when the command line is wrong.
export function readOptions(args, measureNames) {
  let values;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        'only': { type: 'string', multiple: true },
        'runs': { type: 'string' },
        'requests': { type: 'string' },
        'seconds': { type: 'string' },
        'short': { type: 'boolean', default: false },
        'peers-only': { type: 'boolean', default: false },
        'node': { type: 'string', default: inRepository('fixtures/node/node_modules/node22/bin/node') },
        'relevo': { type: 'string', default: inRepository('target/release/relevo') },
        'write': { type: 'boolean', default: false },
        'date': { type: 'string', default: new Date().toISOString().slice(0, 10) },
        'help': { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    throw wrong(error.message);
  }
  const runs = count('runs', values.runs ?? (values.short ? 1 : 5));
  const requests = values.requests && count('requests', values.requests);
  const seconds = values.seconds && count('seconds', values.seconds);
  for (const name of values.only ?? []) {
    if (!measureNames.includes(name)) throw wrong(`--only ${name}: there are ${measureNames.join(', ')}`);
  }
  if (values.write && (values.short || values['peers-only'] || runs < 5)) {
    throw wrong('--write needs Relevo, five runs or more, and no --short');
  }
  if (!values.help && !existsSync(values.node)) throw wrong(`no ${values.node}: run npm ci in fixtures/node, or name another with --node`);
  return {
    help: values.help,
    only: values.only ?? measureNames,
    runs,
    short: values.short,
    settings: { ...(requests && { requests }), ...(seconds && { wrkSeconds: seconds, lossSeconds: seconds, floodSeconds: seconds, scaleSeconds: seconds }) },
    peersOnly: values['peers-only'],
    tools: { node: values.node, relevo: values.relevo },
    write: values.write,
    date: values.date,
    document: inRepository('docs/benchmarks.md'),
  };
}

function count(name, text) {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw wrong(`--${name} ${text}: a number from 1 on is needed`);
  return number;
}

function wrong(message) {
  return Object.assign(new Error(message), { usage: true });
}
