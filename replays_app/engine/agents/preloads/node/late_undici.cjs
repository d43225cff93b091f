// Limits of undici's request(): its headersTimeout, and its signal's.
'use strict';

const { channel } = require('diagnostics_channel');
const late = require('./late.cjs');
const signals = require('./late_signals.cjs');

const FOR_HEADERS = 3; // undici's TIMEOUT_HEADERS of today

function hidden(object, name) {
  const symbol = Object.getOwnPropertySymbols(object).find((one) => one.description === name);
  return symbol && object[symbol];
}

// undici's own timer, of the socket's parser.
function headersTimeout(socket) {
  const parser = hidden(socket, 'parser');
  const timer = parser && parser.timeout;
  if (!timer || parser.timeoutType !== FOR_HEADERS || !('_timerArg' in timer)) return [];
  const fire = () => timer._onTimeout(timer._timerArg);
  return parser.timeoutValue > 0 && typeof timer._onTimeout === 'function' ? [{ ms: parser.timeoutValue, fire }] : [];
}

function watchSocket(socket, requests) {
  const read = socket.read;
  let decided, isHeld = false;

  const holds = late.orElse(false, (chunk) => {
    const waiting = [...requests.keys()].filter((request) => !request.completed && !request.aborted);
    const mark = waiting.length === 1 ? late.markIn(chunk) : undefined; // which one is clear then
    if (mark === undefined || mark.key === decided) return false;
    decided = mark.key;
    const [request] = waiting, entry = requests.get(request);
    if (entry === undefined) return false;
    const limits = [...(entry.flight ? entry.flight.limits() : []), ...headersTimeout(socket)];
    const limit = late.firstOf(limits, mark);
    if (limit === undefined) {
      for (const one of limits) if (one.took) one.took(mark.ms);
      return false;
    }
    if (entry.flight) entry.flight.land();
    isHeld = true;
    socket.unshift(chunk);
    late.givesUp(mark, limit, () => request.aborted || socket.destroyed).then((isOver) => {
      isHeld = false;
      if (!isOver) socket.emit('readable');
    });
    return true;
  });

  socket.read = function (size) {
    if (size === 0) return read.apply(this, arguments);
    if (isHeld) return null;
    const chunk = read.apply(this, arguments);
    return chunk !== null && holds(chunk) ? null : chunk;
  };
}

function watch() {
  const entries = new WeakMap(); // of requests: {flight, requests}
  const requestsOfSocket = new WeakMap();
  const on = (name, act) => channel(`undici:${name}`).subscribe(late.orElse(undefined, act));

  on('request:create', ({ request }) => {
    const signal = signals.takeHeard(), handler = hidden(request, 'handler');
    if (!handler || !('removeAbortListener' in handler)) return; // fetch's, or one in another's coat
    entries.set(request, { flight: handler.removeAbortListener ? signals.flightOf(signal) : undefined });
  });
  on('client:sendHeaders', ({ request, socket }) => {
    const entry = entries.get(request);
    if (entry && !requestsOfSocket.has(socket)) {
      requestsOfSocket.set(socket, new Map());
      watchSocket(socket, requestsOfSocket.get(socket));
    }
    const requests = requestsOfSocket.get(socket);
    if (!requests) return;
    requests.set(request, entry);
    if (entry) entry.requests = requests;
  });
  for (const name of ['request:headers', 'request:error']) {
    on(name, ({ request }) => {
      const { flight, requests } = entries.get(request) || {};
      if (flight) flight.land();
      if (requests) requests.delete(request);
    });
  }
}

module.exports = { watch };
