// Sending a file: a small one in one request, a large one so that a broken connection costs seconds (tus 1.0.0).
// Whatever breaks is tried again until it works or is stopped: the server makes one job, however often it is asked.

const RESUMABLE_FROM = 8 * 1024 * 1024;
const SLICE = 16 * 1024 * 1024; // of one request: what a proxy holds back is not safe yet
const SAMPLE = 64 * 1024;
const TUS = { "Tus-Resumable": "1.0.0" };
const LONGEST_PAUSE_S = 10;

class Refused extends Error {
  constructor(problem, status) {
    super(problem.detail);
    this.problem = problem;
    this.status = status;
  }
}

class Stopped extends Error {}

class TryAgain extends Error {
  constructor(afterS) {
    super();
    this.afterS = afterS;
  }
}

class Sending {
  // what: {file, options}; report({sent, broken}) is told how many bytes are there, and in how many seconds a broken
  // connection is tried again.
  constructor(file, options, key, addresses, report) {
    Object.assign(this, { file, options, key, addresses, report });
    this.sent = 0;
    this.controller = new AbortController();
  }

  stop() {
    this.controller.abort();
  }

  // The job's page.
  async run() {
    const accepted = this.file.size < RESUMABLE_FROM ? await this.whole() : await this.resumable();
    return accepted.links.page;
  }

  async whole() {
    const headers = { "Content-Type": "text/csv", "Idempotency-Key": this.key };
    const address = `${this.addresses.jobs}?${new URLSearchParams(this.options)}`;
    const answer = await this.persist(() => this.ask("POST", address, headers, this.file));
    return JSON.parse(answer.responseText);
  }

  async resumable() {
    try {
      await this.pieces();
    } catch (error) {
      if (error.status !== 404) throw error; // else it was given up meanwhile: once more, from the start
      await this.pieces();
    }
    this.tell(this.file.size);
    const address = `${this.upload}/complete?${new URLSearchParams(this.options)}`;
    return JSON.parse((await this.persist(() => this.ask("POST", address, {}))).responseText);
  }

  async pieces() {
    const metadata = { ...this.options, resume_key: await this.resumeKey() };
    const headers = {
      ...TUS,
      "Upload-Length": this.file.size,
      "Upload-Metadata": Object.entries(metadata).map(([name, value]) => `${name} ${base64(value)}`).join(","),
    };
    const begun = await this.persist(() => this.ask("POST", this.addresses.uploads, headers));
    this.upload = begun.getResponseHeader("Location");
    let offset = Number(begun.getResponseHeader("Upload-Offset"));
    while (offset === null || offset < this.file.size) {
      offset = await this.persist(async () => {
        const known = offset;
        offset = null; // not known any more, if this fails
        return this.slice(known ?? await this.offset());
      });
    }
  }

  async offset() {
    const answer = await this.ask("HEAD", this.upload, TUS);
    return Number(answer.getResponseHeader("Upload-Offset"));
  }

  async slice(offset) {
    this.tell(offset);
    if (offset === this.file.size) return offset;
    const headers = { ...TUS, "Upload-Offset": offset, "Content-Type": "application/offset+octet-stream" };
    const answer = await this.ask("PATCH", this.upload, headers, this.file.slice(offset, offset + SLICE), offset);
    return Number(answer.getResponseHeader("Upload-Offset"));
  }

  // The same for the same file as long as nobody changes it: name, size, time of change, both ends.
  async resumeKey() {
    const ends = [this.file.slice(0, SAMPLE), this.file.slice(-SAMPLE)];
    const bytes = await new Blob([this.file.name, ...ends]).arrayBuffer().catch(() => this.unreadable());
    return `${this.file.size}-${this.file.lastModified}-${hash(new Uint8Array(bytes))}`;
  }

  tell(sent) {
    this.sent = sent;
    this.report({ sent });
  }

  async persist(attempt) {
    for (let failures = 0; ; failures += 1) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof TryAgain)) throw error;
        // A file that is gone fails like a connection that is.
        await this.file.slice(0, 1).arrayBuffer().catch(() => this.unreadable());
        await this.pause(error.afterS ?? Math.min(LONGEST_PAUSE_S, 2 ** failures / 2));
      }
    }
  }

  unreadable() {
    throw new Refused({ detail: "The file changed, or cannot be read any more.", next_step: "Choose it again." }, 0);
  }

  pause(seconds) {
    this.report({ sent: this.sent, broken: Math.ceil(seconds) });
    return new Promise((resolve, reject) => {
      const { signal } = this.controller;
      const done = () => {
        clearTimeout(timer);
        removeEventListener("online", done);
        signal.removeEventListener("abort", done);
        if (signal.aborted) reject(new Stopped());
        else resolve();
      };
      const timer = setTimeout(done, seconds * 1000);
      addEventListener("online", done);
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    });
  }

  // One request. fetch() tells no progress of a body, so XMLHttpRequest it is.
  ask(method, address, headers, body = null, before = 0) {
    return new Promise((resolve, reject) => {
      const { signal } = this.controller;
      if (signal.aborted) return reject(new Stopped());
      const request = new XMLHttpRequest();
      const stop = () => request.abort();
      const end = (settle, value) => {
        signal.removeEventListener("abort", stop);
        settle(value);
      };
      request.open(method, address);
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      if (body) request.upload.addEventListener("progress", ({ loaded }) => this.tell(before + loaded));
      request.addEventListener("error", () => end(reject, new TryAgain()));
      request.addEventListener("abort", () => end(reject, new Stopped()));
      request.addEventListener("load", () => {
        if (request.status >= 200 && request.status < 300) end(resolve, request);
        else end(reject, refusal(request));
      });
      signal.addEventListener("abort", stop);
      request.send(body);
    });
  }
}

// What is better asked again later, and what is not.
function refusal(request) {
  let problem = {};
  try {
    problem = JSON.parse(request.responseText);
  } catch {
    // a proxy's answer, or HEAD's, which has no body
  }
  const again = ["idempotency_in_progress", "locked", "wrong_offset"].includes(problem.code);
  if (again || [423, 502, 503, 504].includes(request.status)) {
    return new TryAgain(Number(request.getResponseHeader("Retry-After")) || undefined);
  }
  return new Refused(
    { detail: `The server answered ${request.status}.`, next_step: "Try again.", ...problem }, request.status,
  );
}

const base64 = (text) => btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));

// FNV-1a, twice. crypto.subtle is there on https and on this machine only.
function hash(bytes) {
  let [one, two] = [0x811c9dc5, 0x01234567];
  for (const byte of bytes) {
    one = Math.imul(one ^ byte, 0x01000193);
    two = Math.imul(two ^ byte ^ 0x5a, 0x01000193);
  }
  return (one >>> 0).toString(16) + (two >>> 0).toString(16);
}

const newKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(16)).join("-");
