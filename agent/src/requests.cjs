// -------------------------------------------------------------------------------------------------------- requests

let requestsLeft; // before the limit is reached; undefined as long as there is none
let requestLimit = 0;
const sessionsCounted = new WeakSet(); // servers whose HTTP/2 sessions are

/** `limit_requests`: says once when so many have been asked. Nothing runs per request where there is no limit. */
function limitRequests(limit) {
  if (!Number.isSafeInteger(limit) || limit < 1) return;
  if (requestsLeft === undefined) {
    subscribe('http.server.request.start', countRequest);
    for (const server of servers.live()) countSessionsOf(server);
  }
  [requestLimit, requestsLeft] = [limit, limit];
}

function countRequest() {
  requestsLeft -= 1;
  if (requestsLeft === 0) say({ act: 'requests_reached', n: requestLimit });
}

/** HTTP/2 publishes no requests. A listener on a session is one that the app does not see. */
function countSessionsOf(server) {
  if (typeof server.updateSettings !== 'function' || sessionsCounted.has(server)) return;
  sessionsCounted.add(server);
  server.on('session', (session) => quietly(() => session.on('stream', () => quietly(countRequest))));
}
