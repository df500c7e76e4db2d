// The same functions as `require('relevo-worker')`, whichever way an app and its libraries load them.
import api from './index.cjs';

export const { ready, extendReady, onDrain, keep, broadcast, onBroadcast, worker } = api;
export default api;
