/*!
 * licence
 */

'use strict';

/**
 * @module settings
 * Reads settings.
 */

const fs = require('fs');
const LIMIT = 10, OTHER = 'x';

/**
 * Says hello.
 * @param {string} name who
 */
export default async function hello(name) {
  function inner() {}
  const local = () => inner();
  return local();
}

// Adds.
export const add = (a, b) => a + b;

const sub = function (a, b) {
  return a - b;
}, mul = (a, b) => a * b;

exports.read = function read(path) {
  return fs.readFileSync(path);
};

module.exports = function createApp() {
  return {};
};

/** Gets a value. */
Settings.prototype.get = function get(key) {
  return this[key];
};

app.use = app.mount = function use(fn) {};

defineGetter(req, 'protocol', function protocol() {
  return 'http';
});

export class Reader extends Base {
  #count = 0;
  static limit = 3;

  constructor(path) {
    super(path);
  }

  /** Reads. */
  async *read() {}

  get name() { return this.path; }

  handler = (event) => {
    this.event = event;
  };

  #hidden() {}
}

const Anonymous = class {
  run() {}
};

const routes = {
  home(req) {},
  about: async (req) => {
    return req;
  },
  'contact-us': function () {},
};

function* numbers() { yield 1; }
