// Ordinary HTTP clients of Node, with nothing of ours: `node node.cjs CLIENT HTTP HTTPS` makes the
// four calls of python.py and prints the answers; `CLIENT late URL SECONDS…` as there; `serve PORT
// CLIENT HTTP HTTPS` is an agent that answers each request with its four calls.
'use strict';

const http = require('node:http');
const https = require('node:https');

function fourCalls(plain, secure) {
  return [
    ['POST', `${secure}/search`, { q: 'one' }],
    ['POST', `${secure}/search`, { q: 'two' }],
    ['GET', `${plain}/quote/ACME`, null],
    ['GET', `${secure}/news?topic=ACME`, null],
  ];
}

const HEADERS = { 'content-type': 'application/json' };

function byModules(timeout, how = {}) {
  return (method, url, body) => new Promise((resolve, reject) => {
    const module = url.startsWith('https:') ? https : http;
    const request = module.request(url, { method, headers: body ? HEADERS : {}, timeout, ...how }, (answer) => {
      const pieces = [];
      answer.on('data', (piece) => pieces.push(piece));
      answer.on('end', () => resolve(Buffer.concat(pieces).toString()));
    });
    request.on('timeout', () => request.destroy(Object.assign(new Error('slow'), { code: 'OWN_TIMEOUT' })));
    request.on('error', reject);
    request.end(body ? JSON.stringify(body) : undefined);
  });
}

// The limit set afterwards, and nothing said to `destroy`.
function bySetTimeout(timeout) {
  return (method, url) => new Promise((resolve, reject) => {
    const request = (url.startsWith('https:') ? https : http).request(url, { method, agent: false }, (answer) => {
      answer.setEncoding('utf8').on('data', resolve).resume();
    });
    request.setTimeout(timeout, () => request.destroy());
    request.on('error', reject);
    request.end();
  });
}

// What is told of its timeout, and waits nevertheless.
function byPatience(timeout) {
  return async (method, url) => {
    let told = 0;
    const ask = (resolve, reject) => {
      const request = http.request(url, { method, timeout }, (answer) => {
        answer.setEncoding('utf8').on('data', resolve).resume();
      });
      request.on('timeout', () => { told += 1; });
      request.on('error', reject);
      request.end();
    };
    return `${await new Promise(ask)}, told ${told} times`;
  };
}

function withAgents(timeout) {
  const ours = { keepAlive: true };
  const agents = { 'http:': new http.Agent(ours), 'https:': new https.Agent(ours) };
  return (method, url, body) => byModules(timeout, { agent: agents[new URL(url).protocol] })(method, url, body);
}

function withRoots(timeout) {
  return byModules(timeout, { ca: require('node:tls').rootCertificates });
}

function byFetch(timeout, makeSignal = AbortSignal.timeout) {
  return async (method, url, body) => {
    const signal = makeSignal.call(AbortSignal, timeout);
    const answer = await fetch(url, { method, signal, headers: HEADERS, body: body && JSON.stringify(body) });
    return answer.text();
  };
}

function withAnySignal(timeout) {
  return byFetch(timeout, (ms) => AbortSignal.any([new AbortController().signal, AbortSignal.timeout(ms)]));
}

// The limit that most code has: a timer that aborts, and is cleared when all went well.
function withController(timeout, ask) {
  return async (...call) => {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), timeout);
    try {
      return await ask(controller.signal)(...call);
    } finally {
      clearTimeout(timer);
    }
  };
}

function fetchWithController(timeout) {
  return withController(timeout, (signal) => byFetch(timeout, () => signal));
}

function undiciWithController(timeout) {
  require('undici'); // which takes longer than a call
  return withController(timeout, (signal) => byUndici(timeout, () => ({ signal })));
}

function byUndici(timeout, limit = (headersTimeout) => ({ headersTimeout })) {
  const { request } = require('undici');
  return async (method, url, body) => {
    const how = { method, ...limit(timeout), headers: HEADERS, body: body && JSON.stringify(body) };
    return (await request(url, how)).body.text();
  };
}

function byUndiciAgent(timeout) {
  const { Agent, request } = require('undici');
  const dispatcher = new Agent({ pipelining: 1, headersTimeout: timeout });
  return async (method, url, body) => {
    const how = { method, dispatcher, headers: HEADERS, body: body && JSON.stringify(body) };
    return (await request(url, how)).body.text();
  };
}

function byUndiciSignal(timeout) {
  return byUndici(timeout, (ms) => ({ signal: AbortSignal.timeout(ms) }));
}

function byAxios(timeout, how = {}) {
  const axios = require('axios');
  return async (method, url, data) => {
    const answer = await axios({ method, url, data, timeout, responseType: 'text', validateStatus: null, ...how });
    return String(answer.data);
  };
}

async function byGot(timeout, event = 'request') {
  const { got } = await import('got');
  const client = got.extend({ throwHttpErrors: false, retry: { limit: 0 }, timeout: { [event]: timeout } });
  return async (method, url, json) => (await client(url, { method, ...(json ? { json } : {}) })).body;
}

const CLIENTS = {
  modules: byModules,
  'modules with agents': withAgents,
  'modules with roots': withRoots,
  'modules by setTimeout': bySetTimeout,
  'modules with patience': byPatience,
  fetch: (timeout) => byFetch(timeout),
  'fetch with any signal': withAnySignal,
  'fetch with a controller': fetchWithController,
  undici: (timeout) => byUndici(timeout),
  'undici with an agent': byUndiciAgent,
  'undici with a signal': byUndiciSignal,
  'undici with a controller': undiciWithController,
  axios: (timeout) => byAxios(timeout),
  'axios without redirects': (timeout) => byAxios(timeout, { maxRedirects: 0 }),
  got: (timeout) => byGot(timeout),
  'got until the answer': (timeout) => byGot(timeout, 'response'),
  'got by the socket': (timeout) => byGot(timeout, 'socket'),
};

async function askAll(client, plain, secure) {
  const ask = await CLIENTS[client](10000);
  const calls = fourCalls(plain, secure);
  const answers = [];
  for (const call of calls.slice(0, -2)) answers.push(await ask(...call));
  return answers.concat(await Promise.all(calls.slice(-2).map((call) => ask(...call))));
}

async function late(client, url, seconds) {
  const began = Date.now();
  let said;
  try {
    said = await (await CLIENTS[client](seconds * 1000))('GET', url, null);
  } catch (error) {
    said = [error.name, error.code, error.message, error.event].join(' | ');
  }
  return [said, (Date.now() - began) / 1000];
}

function serve(port, client, plain, secure) {
  http.createServer((request, answer) => {
    request.resume();
    request.on('end', async () => {
      const output = (await askAll(client, plain, secure)).join(' | ');
      answer.setHeader('content-type', 'application/json');
      answer.end(JSON.stringify({ output }));
    });
  }).listen(Number(port), '127.0.0.1');
}

async function main([first, ...rest]) {
  if (first === 'serve') return serve(...rest);
  const said = [];
  if (rest[0] === 'late') {
    for (const limit of rest.slice(2)) said.push(await late(first, rest[1], Number(limit)));
  } else {
    said.push(...await askAll(first, ...rest));
  }
  process.stdout.write(JSON.stringify(said), () => process.exit(0));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
