// The same functions as `require('relevo-worker')`, whichever way an app and its libraries load them.
import api from './index.cjs';

export const { ready, onDrain, keep, broadcast, onBroadcast, worker } = api;
export default api;
