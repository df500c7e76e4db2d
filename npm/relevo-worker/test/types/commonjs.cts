// Compiled, never run: the same from CommonJS.
import relevo = require('relevo-worker');

relevo.onDrain(async (drain: relevo.Drain) => drain.deadlineMs);
relevo.broadcast(['to', 'all']);
const id: number | null = relevo.worker.id;
export = id;
