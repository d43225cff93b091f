// Leads the connections of Node's HTTP clients to the gateway, also of those that know no proxy: the
// same as bootstrap/clients.py does in Python, whose comments say why. Nothing but Node is needed.
'use strict';

let onHttp = () => {}; // a client of the http module connects

function begin(settings) {
  const net = require('net');
  const hostname = require('os').hostname().toLowerCase();
  const [gatewayHost, gatewayPort] = settings.gateway;
  const ports = new Set(settings.ports);
  const localPorts = new Set(settings.local_ports);
  const http = new Set(); // where a client of HTTP is about to connect to

  function nameOf(host) {
    return String(host || 'localhost').replace(/^\[|\]$/g, '').split('%')[0].replace(/\.$/, '').toLowerCase();
  }

  function isLocal(name) {
    const plain = name.startsWith('::ffff:') ? name.slice(7) : name;
    return ['localhost', '::1', '0.0.0.0', '::', hostname].includes(plain) || plain.startsWith('127.') ||
      plain.endsWith('.localhost');
  }

  function leads(options) {
    const name = nameOf(options.host), port = Number(options.port);
    if (!port || (name === gatewayHost && port === gatewayPort)) return false;
    if (isLocal(name)) return localPorts.has(port) || localPorts.has(0); // 0: any
    return options._agentKey !== undefined || http.has(`${name}:${port}`) || ports.has(port);
  }

  function led(options) {
    if (options._agentKey !== undefined) onHttp();
    return leads(options) ? { ...options, host: gatewayHost, port: gatewayPort } : options;
  }

  // `options`, or port and host, or a path; or all of it in an array that Node has made of these.
  const connect = net.Socket.prototype.connect;
  net.Socket.prototype.connect = function (...given) {
    const first = given[0];
    if (Array.isArray(first) && first[0] && !first[0].path) {
      first[0] = led(first[0]);
    } else if (first && typeof first === 'object' && !Array.isArray(first) && !first.path) {
      given[0] = led(first);
    } else if (typeof first === 'number' || (typeof first === 'string' && Number(first) >= 0)) {
      const host = typeof given[1] === 'string' ? given[1] : undefined;
      const options = led({ host, port: Number(first) });
      if (options.host === gatewayHost && options.port === gatewayPort) {
        given.splice(0, host === undefined ? 1 : 2, options);
      }
    }
    return connect.apply(this, given);
  };

  // Roots that a client brings itself are trusted beside the gateway's; NODE_EXTRA_CA_CERTS is for
  // those that bring none.
  const tls = require('tls');
  const createSecureContext = tls.createSecureContext;
  const root = require('fs').readFileSync(settings.ca, 'utf8');
  tls.createSecureContext = function (options, ...rest) {
    const own = options && options.ca;
    return createSecureContext.call(tls, own ? { ...options, ca: [].concat(own, root) } : options, ...rest);
  };
  require('module').syncBuiltinESMExports();

  // undici, and with it fetch, says so before it connects.
  require('diagnostics_channel').channel('undici:client:beforeConnect').subscribe((message) => {
    const to = message.connectParams || {};
    const port = to.port || (to.protocol === 'https:' ? 443 : 80);
    http.add(`${nameOf(to.hostname || to.host)}:${port}`);
  });
}

function beginLimits(settings) {
  require('./late.cjs').begin(settings.gateway);
  require('./late_signals.cjs').watch();
  require('./late_http.cjs').watch();
  require('./late_undici.cjs').watch();
  const timers = require('./timers.cjs');
  timers.watch();
  onHttp = timers.watchRequests;
}

function tryTo(act, otherwise) {
  try {
    act(JSON.parse(process.env.FLAKESTORM_CLIENTS));
    return true;
  } catch (error) {
    process.stderr.write(`flakestorm: ${error}; in process ${process.pid}, ${otherwise}\n`);
    return false;
  }
}

if (process.env.FLAKESTORM_CLIENTS) {
  const isLed = tryTo(begin, 'Node clients that ignore the proxy variables may go past the gateway');
  if (isLed) tryTo(beginLimits, 'time limits of Node clients see no recorded latencies');
}
