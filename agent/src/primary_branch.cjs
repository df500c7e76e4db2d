// ---------------------------------------------------------------------------------------- apps that fork for themselves

const ASKS_LOOKED_AT = 64; // a logger may ask with every line; a program decides by the first few

/**
 * `if (cluster.isPrimary) { …fork()… } else { …listen() }`: a worker runs the else branch only, and its owner should be
 * told. Many libraries ask the same question, so the sign is a file that asks it and has a call of fork().
 */
function watchPrimaryBranch() {
  const looked = new Set();
  let asks = 0;
  const settle = () => {
    for (const name of ['isPrimary', 'isMaster']) {
      const own = { configurable: true, enumerable: true, writable: true, value: false };
      if (name in cluster) Object.defineProperty(cluster, name, own);
    }
  };
  for (const name of ['isPrimary', 'isMaster']) {
    if (!(name in cluster)) continue;
    Object.defineProperty(cluster, name, {
      configurable: true,
      enumerable: true,
      get: () => {
        quietly(() => {
          const file = callerOf();
          if (file && !looked.has(file)) {
            looked.add(file);
            if (hasForkCall(file)) {
              settle();
              say({ act: 'primary_branch', file });
            }
          }
          asks += 1;
          if (asks === ASKS_LOOKED_AT) settle();
        });
        return false;
      },
      set: (value) => {
        settle();
        cluster[name] = value;
      },
    });
  }
}

/** The path of the file that reads the property; undefined for Node's own, which read all of them for ES modules. */
function callerOf() {
  const { prepareStackTrace, stackTraceLimit } = Error;
  let name;
  try {
    Error.stackTraceLimit = 8; // enough to get out of this file
    Error.prepareStackTrace = (_, sites) => sites.map((site) => site.getFileName());
    name = new Error().stack.find((file) => file !== __filename);
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
    Error.stackTraceLimit = stackTraceLimit;
  }
  if (typeof name !== 'string' || name.startsWith('node:')) return undefined;
  return name.startsWith('file:') ? require('url').fileURLToPath(name) : name;
}

function hasForkCall(file) {
  return /\bfork\s*\(/.test(require('fs').readFileSync(file, 'utf8'));
}
