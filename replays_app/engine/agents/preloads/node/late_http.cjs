// Limits of http and https, and of what is built on them: axios, got.
'use strict';

const { channel } = require('diagnostics_channel');
const late = require('./late.cjs');
const timers = require('./timers.cjs');

// Whether anything but Node itself hears of the socket's timeout.
function isHeard(socket, request) {
  return socket.listeners('timeout').some((listener) => {
    if (listener.name === 'emitRequestTimeout') return request.listenerCount('timeout') > 0;
    return !(listener.name === 'onTimeout' && String(listener).includes('freeSockets')); // an Agent's
  });
}

function limitsOf(socket, request) {
  const pending = timers.timersOf(request);
  const redirectable = request._redirectable; // of follow-redirects, so of axios: it has an own timer
  if (redirectable && timers.isPending(redirectable._timeout)) pending.push(redirectable._timeout);
  const limits = pending.map((timer) => ({ ms: timer._idleTimeout, fire: () => timers.fireSoon(timer) }));
  if (socket.timeout > 0 && isHeard(socket, request)) {
    limits.push({ ms: socket.timeout, fire: () => socket.emit('timeout') });
  }
  return limits;
}

function watchSocket(socket) {
  const emit = socket.emit;
  let decided; // the key of the answer that was held, or is not to be

  const holds = late.orElse(false, (chunk) => {
    const request = socket._httpMessage;
    if (!request || request.res || request.destroyed) return false;
    const mark = late.markIn(chunk);
    if (mark === undefined || mark.key === decided) return false;
    decided = mark.key;
    const limit = late.firstOf(limitsOf(socket, request), mark);
    if (limit === undefined) return false;
    socket.pause();
    socket.unshift(chunk);
    late.givesUp(mark, limit, () => request.destroyed || socket.destroyed)
      .then((isOver) => isOver || socket.resume());
    return true;
  });

  socket.emit = function (event, chunk) {
    return event === 'data' && holds(chunk) ? true : emit.apply(this, arguments);
  };
}

function watch() {
  const watched = new WeakSet();
  channel('http.client.request.start').subscribe(late.orElse(undefined, ({ request }) => {
    timers.watchRequests();
    const socket = request.socket;
    if (!socket || watched.has(socket)) return;
    watched.add(socket);
    watchSocket(socket);
  }));
}

module.exports = { watch };
