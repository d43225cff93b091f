// Timers that are set by setTimeout as the limit of a request: which request each is for.
'use strict';

const closures = require('./closures.cjs');

const SWEPT_AT = 256; // timers

const timersOfRequest = new WeakMap();
const aborting = new Map(); // timers that abort something, and when they were set
let touched; // the http.ClientRequest that did something last
let sweptAt = SWEPT_AT;

function isPending(timer) {
  return Boolean(timer) && timer._destroyed === false && timer._idleTimeout > 0 && typeof timer.refresh === 'function';
}

// It fires in the next turn, as it would have by itself: once, in its own context.
function fireSoon(timer) {
  timer._idleTimeout = 1;
  timer.refresh();
}

function timersOf(request) {
  return (timersOfRequest.get(request) || []).filter(isPending);
}

// got says to a timer for how long it is and for what. Of what is still to come, `request` (all of it)
// and `response` are under way when an answer comes; `socket` is the socket's own.
function keepGots(timer, ms, said) {
  if (said.length !== 4 || said[2] !== ms || (said[3] !== 'request' && said[3] !== 'response')) return;
  if (!Object.getOwnPropertySymbols(touched).some((symbol) => symbol.description === 'reentry')) return;
  timersOfRequest.set(touched, [...timersOf(touched), timer]);
}

function keepAborting(timer) {
  aborting.set(timer, performance.now());
  if (aborting.size < sweptAt) return;
  for (const one of aborting.keys()) if (!isPending(one)) aborting.delete(one);
  sweptAt = Math.max(SWEPT_AT, 2 * aborting.size);
}

// Those that abort one of the signals: [timer, when it was set].
function thatAbort(signals) {
  const pending = [...aborting].filter(([timer]) => isPending(timer));
  if (!pending.length || !signals.length) return [];
  const are = closures.thatAbort(pending.map(([timer]) => timer._onTimeout), signals);
  return pending.filter((_, index) => are[index]);
}

function watch() {
  const real = globalThis.setTimeout;
  const watched = function (callback, ms) {
    const timer = real.apply(this, arguments);
    if (touched) keepGots(timer, ms, arguments);
    if (closures.mayAbort(callback)) keepAborting(timer);
    return timer;
  };
  globalThis.setTimeout = Object.defineProperties(watched, Object.getOwnPropertyDescriptors(real));
}

let isWatching = false;

// When http is loaded, which is not needed to start. Between these two and its timers got does
// nothing else.
function watchRequests() {
  if (isWatching) return;
  isWatching = true;
  const { ClientRequest } = require('http');
  for (const name of ['once', 'emit']) {
    const real = ClientRequest.prototype[name];
    ClientRequest.prototype[name] = function () {
      touched = this;
      return real.apply(this, arguments);
    };
  }
}

module.exports = { fireSoon, isPending, thatAbort, timersOf, watch, watchRequests };
