// Which of some functions abort which signal: their variables are looked at, nothing is called.
'use strict';

const SHARED = Symbol.for('flakestorm.closures'); // in the global object, for the moment it takes
const CALLS = /((?:[A-Za-z_$][\w$]*\??\.)+)abort\(/g; // controller.abort(, this.limits.own.abort(
const SOURCE_LENGTH = 2000; // a limit's callback is short

function source(callback) {
  const text = Function.prototype.toString.call(callback);
  return text.length <= SOURCE_LENGTH ? text : '';
}

// Quick, for a first look at every timer.
function mayAbort(callback) {
  return typeof callback === 'function' && (callback.name === 'bound abort' || source(callback).includes('abort('));
}

class Look {
  constructor() {
    this._session = new (require('inspector').Session)();
    this._session.connect();
  }

  _ask(method, params) {
    let failed, answer;
    this._session.post(`Runtime.${method}`, params, (error, said) => { failed = error; answer = said; });
    if (failed || !answer) throw new Error(`${method}: ${failed ? failed.message : 'no answer'}`);
    return answer;
  }

  _parts(objectId) {
    const { result, internalProperties = [] } = this._ask('getProperties', { objectId, ownProperties: true });
    const byName = (list) => new Map(list.map(({ name, value }) => [name, value]));
    return { own: byName(result), hidden: byName(internalProperties) };
  }

  // The variables of a function, from the nearest scope on; the global one is left out.
  _scopes(hidden) {
    const scopes = hidden.get('[[Scopes]]');
    const list = scopes ? [...this._parts(scopes.objectId).own.values()] : [];
    return list.filter((it) => it && it.description !== 'Global').map((it) => this._parts(it.objectId).own);
  }

  _valueAt(scopes, path) {
    const scope = scopes.find((one) => one.has(path[0]));
    let value = scope && scope.get(path[0]);
    for (const name of path.slice(1)) value = value && value.objectId && this._parts(value.objectId).own.get(name);
    return value;
  }

  _controllers(callback, objectId) {
    const { hidden } = this._parts(objectId);
    if (callback.name === 'bound abort') return [hidden.get('[[BoundThis]]')];
    const paths = [...source(callback).matchAll(CALLS)].map(([, path]) => path.split(/\??\./).slice(0, -1));
    const scopes = paths.length ? this._scopes(hidden) : [];
    return paths.map((path) => this._valueAt(scopes, path));
  }

  _isOf(controller, signals) {
    if (!controller || controller.className !== 'AbortController') return false;
    const functionDeclaration = 'function (signals) { return signals.includes(this.signal); }';
    const { objectId } = controller, given = [{ objectId: signals.objectId }];
    return this._ask('callFunctionOn', { objectId, functionDeclaration, arguments: given }).result.value === true;
  }

  abort(callbacks, signals) {
    Object.defineProperty(globalThis, SHARED, { value: [signals, ...callbacks], configurable: true });
    try {
      const expression = `globalThis[Symbol.for('${SHARED.description}')]`;
      const { own } = this._parts(this._ask('evaluate', { expression }).result.objectId);
      return callbacks.map((callback, index) => {
        const found = this._controllers(callback, own.get(String(index + 1)).objectId);
        return found.some((controller) => this._isOf(controller, own.get('0')));
      });
    } finally {
      delete globalThis[SHARED];
      this._session.disconnect();
    }
  }
}

// For each of the callbacks, whether it aborts one of the signals.
function thatAbort(callbacks, signals) {
  return new Look().abort(callbacks, signals);
}

module.exports = { mayAbort, thatAbort };
