// Limits by signals, in fetch and undici: AbortSignal.timeout, and an AbortController that a timer of
// the agent's aborts.
'use strict';

const late = require('./late.cjs');
const timers = require('./timers.cjs');

const NOISE_MS = 500; // less than this between a limit and its request is a busy machine's
const SETTLING_TURNS = 5; // in which an answer that came is read
const later = setTimeout;

const deadlines = new WeakMap(); // of signals, and of timers that abort one
const sources = new WeakMap(); // of signals that AbortSignal.any made
const flights = new WeakMap(); // of signals: the requests under way
let heard; // the signal that was given a listener last

class Deadline {
  constructor(ms, began, fire) {
    this._ms = ms;
    this._began = began;
    this._fire = fire;
    this._spent = []; // on answers that came in time, without anybody waiting: since when, in all
  }

  // As it is for a request that began then.
  limit(began) {
    const elapsed = began - this._began;
    const { ms: spent } = this._spent.findLast(({ at }) => at <= began) || { ms: 0 };
    return {
      ms: this._ms - spent - (elapsed < NOISE_MS ? 0 : elapsed),
      fire: this._fire,
      took: (ms) => this._spent.push({ at: performance.now(), ms: Math.max(this._spentMs, spent + ms) }),
    };
  }

  get _spentMs() {
    return this._spent.length ? this._spent[this._spent.length - 1].ms : 0;
  }
}

// A signal like those of Node, that can be made to abort earlier.
function watchTimeouts() {
  const { timeout } = AbortSignal;
  function watched(ms) {
    if (this !== AbortSignal || !Number.isInteger(ms) || ms < 0 || ms >= 2 ** 31) return timeout.call(this, ms);
    const controller = new AbortController();
    const fire = () => {
      clearTimeout(timer);
      controller.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
    };
    const timer = later(fire, ms);
    timer.unref();
    deadlines.set(controller.signal, new Deadline(ms, performance.now(), fire));
    return controller.signal;
  }
  AbortSignal.timeout = Object.defineProperties(watched, Object.getOwnPropertyDescriptors(timeout));
}

function watchCombined() {
  const { any } = AbortSignal;
  if (!any) return; // Node 18
  function watched(signals) {
    const list = Array.isArray(signals) ? [...signals] : signals;
    const made = any.call(this, list);
    if (Array.isArray(list)) sources.set(made, list);
    return made;
  }
  AbortSignal.any = Object.defineProperties(watched, Object.getOwnPropertyDescriptors(any));
}

function watchListeners() {
  const { addEventListener } = EventTarget.prototype;
  AbortSignal.prototype.addEventListener = function (type) {
    if (type === 'abort') heard = this;
    return addEventListener.apply(this, arguments);
  };
}

// And of nobody's afterwards.
function takeHeard() {
  const signal = heard;
  heard = undefined;
  return signal;
}

function leavesOf(signal) {
  return sources.has(signal) ? sources.get(signal).flatMap(leavesOf) : [signal];
}

function limitOfTimer([timer, set], began) {
  if (!deadlines.has(timer)) {
    deadlines.set(timer, new Deadline(timer._idleTimeout, set, () => timers.fireSoon(timer)));
  }
  return deadlines.get(timer).limit(began);
}

// A request that has a signal, from its beginning on.
class Flight {
  constructor(signal) {
    this.signal = signal;
    this._began = performance.now();
    this._leaves = leavesOf(signal);
    this.landed = new Promise((resolve) => { this._land = resolve; });
    for (const leaf of this._leaves) flights.set(leaf, (flights.get(leaf) || new Set()).add(this));
  }

  // Its answer has come, or it has failed.
  land() {
    this._land();
    for (const leaf of this._leaves) flights.get(leaf).delete(this);
  }

  limits() {
    const own = this._leaves.filter((leaf) => deadlines.has(leaf));
    const others = timers.thatAbort(this._leaves.filter((leaf) => !deadlines.has(leaf)));
    return [
      ...own.map((leaf) => deadlines.get(leaf).limit(this._began)),
      ...others.map((timer) => limitOfTimer(timer, this._began)),
    ].map((limit) => ({ ...limit, ready: () => this._alone() }));
  }

  // Of requests with one signal, those that are answered in time are not to hear of it.
  async _alone() {
    const others = this._leaves.flatMap((leaf) => [...flights.get(leaf)]).filter((flight) => flight !== this);
    if (!others.length) return;
    await Promise.all(others.map((flight) => flight.landed));
    for (let turn = 0; turn < SETTLING_TURNS; turn += 1) await new Promise((resolve) => later(resolve, 1));
  }
}

const flightOf = late.orElse(undefined, (signal) => (signal instanceof AbortSignal ? new Flight(signal) : undefined));
const limitsOf = late.orElse([], (flight) => flight.limits());

async function judged(response, flight) {
  const mark = late.readMark(response.headers.get(late.HEADER));
  const limits = mark === undefined ? [] : limitsOf(flight);
  flight.land();
  const limit = limits.length ? late.firstOf(limits, mark) : undefined;
  if (limit === undefined) {
    for (const one of limits) one.took(mark.ms);
  } else if (await late.givesUp(mark, limit, () => flight.signal.aborted)) {
    throw flight.signal.reason;
  }
  return response;
}

function watchFetch() {
  const real = globalThis.fetch;
  if (typeof real !== 'function') return;
  function watched(input, init = undefined) {
    const flight = init && init.signal ? flightOf(init.signal) : undefined;
    const asked = real.apply(this, arguments);
    return flight ? asked.then((response) => judged(response, flight), (error) => {
      flight.land();
      throw error;
    }) : asked;
  }
  globalThis.fetch = Object.defineProperties(watched, Object.getOwnPropertyDescriptors(real));
}

function watch() {
  watchTimeouts();
  watchCombined();
  watchListeners();
  watchFetch();
}

module.exports = { flightOf, takeHeard, watch };
