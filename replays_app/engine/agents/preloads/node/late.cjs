// Gives a client of Node its own timeout, at once, when the recorded answer took longer than that:
// the same as bootstrap/late.py does in Python.
//
// The gateway sends every answer at once, and says in a header how long it took when it was recorded.
// One that the client would not have waited for is held before the client reads a byte of it, and the
// client's own timer is fired. So it does what it does when nothing comes. A client that goes on
// nevertheless (it only notes the timeout) gets the answer then.
'use strict';

const net = require('net');

const HEADER = 'x-flakestorm-latency';
const HEAD_BYTES = 8192; // within which the gateway's header is; it is the first or second one
const TELLING_MS = 5000;
const TURNS = 50; // of the event loop, each of 1 ms or more, in which a client gives up
const later = setTimeout; // not what timers.cjs makes of it

let gateway; // host and port

function begin(address) {
  gateway = { host: address[0], port: address[1] };
}

// Never leaves the agent worse off than without all this.
function orElse(otherwise, act) {
  return function (...given) {
    try {
      return act.apply(this, given);
    } catch (error) {
      complain(error);
      return otherwise;
    }
  };
}

function complain(error) {
  process.stderr.write(`flakestorm: ${error}; in process ${process.pid}, a time limit sees no recorded latency\n`);
}

// `key` of the answer, and how long it took in the recording; undefined: it says nothing of that.
function readMark(value) {
  const [key, ms, more] = String(value).split(' ');
  return key && /^\d{1,12}$/.test(ms) && more === undefined ? { key, ms: Number(ms) } : undefined;
}

// Of the answer that begins with `chunk`.
function markIn(chunk) {
  if (!Buffer.isBuffer(chunk) || chunk[0] !== 0x48) return undefined; // H, of HTTP/1.1
  const text = chunk.latin1Slice(0, Math.min(chunk.length, HEAD_BYTES));
  const at = text.indexOf(`\r\n${HEADER}: `);
  if (at < 0 || at > text.indexOf('\r\n\r\n')) return undefined;
  const begins = at + HEADER.length + 4;
  return readMark(text.slice(begins, text.indexOf('\r\n', begins)));
}

// The limit that ends before the answer comes, if one does: {ms, fire, ready}, `ms` from the request
// on, `ready` to be waited for if it is there.
function firstOf(limits, mark) {
  return limits.filter((limit) => limit.ms < mark.ms).sort((one, other) => one.ms - other.ms)[0];
}

// Says to the gateway which limit it was. False: it knows nothing of such an answer.
function tell(mark, limit) {
  return new Promise((resolve) => {
    const connection = net.connect(gateway);
    const ms = Math.max(1, Math.round(limit.ms));
    let said = '';
    connection.setTimeout(TELLING_MS, () => connection.destroy());
    connection.on('data', (piece) => { said += piece.toString('latin1'); });
    connection.on('error', () => {});
    connection.on('close', () => resolve(said.startsWith('HTTP/1.1 204 ')));
    connection.write(`GET /late/${mark.key}/${ms} HTTP/1.1\r\nHost: gateway\r\n\r\n`);
  });
}

// Whether the client has given up, after its timer has fired. The gateway is told before that: what
// the agent does next may end the attempt.
async function givesUp(mark, limit, isOver) {
  if (limit.ready) await limit.ready();
  if (!(await tell(mark, limit))) return isOver();
  await new Promise((resolve) => setImmediate(() => {
    resolve(); // what the client throws is uncaught, as ever
    if (!isOver()) limit.fire();
  }));
  for (let turn = 0; turn < TURNS && !isOver(); turn += 1) await new Promise((resolve) => later(resolve, 1));
  return isOver();
}

module.exports = { HEADER, begin, complain, firstOf, givesUp, markIn, orElse, readMark };
