/**
 * Playing a mix in the page while it is changed, through kino-dsp.js in an AudioWorklet.
 *
 * Knows: fetching and decoding what is heard, one worklet for each shape of a mix, moving it, and
 * meters. Does not know: controls, or where sources come from.
 *
 * @typedef {Object} Source
 * @property {string} url of a file that the browser can decode
 * @property {boolean} [stereo] whether mono becomes two equal channels
 * @property {number|null} [normalizeDb] the peak that it is brought to
 */

const WORKLET = new URL("./kino-dsp.js", import.meta.url);
const RATE = 48000;
const FADE_S = 0.02;
const METERS_S = 1 / 30;

export class Player {
  #context = null;
  #playing = null; // {node, gain, players, started, offset}
  #buffers = [];
  #doc = null;

  /**
   * @param {(meters: {position: number, strips: number[], master: number[],
   *   reductions: number[]}) => void} onMeters
   * @param {() => void} onEnd the programme is over
   */
  constructor(onMeters, onEnd) {
    this.onMeters = onMeters;
    this.onEnd = onEnd;
  }

  get isPlaying() {
    return this.#context !== null;
  }

  /** Where it is, in seconds. */
  get position() {
    if (this.#playing === null) return 0;
    return this.#playing.offset + this.#context.currentTime - this.#playing.started;
  }

  /** The longest source, in seconds. */
  get duration() {
    return Math.max(0, ...this.#buffers.map(({ duration }) => duration));
  }

  /**
   * Play *doc*, a mix whose strips hear *sources* in their order. Returns as soon as it sounds.
   * Throws an Error with a sentence for a source that cannot be had; then nothing plays.
   * @param {Object} doc
   * @param {Source[]} sources
   */
  async play(doc, sources) {
    this.stop();
    const context = new AudioContext({ sampleRate: doc.sample_rate ?? RATE });
    this.#context = context;
    try {
      const [buffers] = await Promise.all([
        Promise.all(sources.map((source) => decoded(source, context))),
        context.audioWorklet.addModule(WORKLET),
        context.resume(),
      ]);
      if (this.#context !== context) return; // it was stopped meanwhile
      this.#buffers = buffers;
      this.#doc = doc;
      this.#begin(0);
    } catch (error) {
      if (this.#context === context) this.stop();
      throw error;
    }
  }

  /** Play on as another *doc* of the same strips says. */
  move(doc) {
    this.#doc = doc;
    this.#playing?.node.port.postMessage({ doc });
  }

  stop() {
    this.#context?.close();
    this.#context = this.#playing = null;
    this.#buffers = [];
  }

  /** Begin at *offset* seconds; what played before fades. */
  #begin(offset) {
    const context = this.#context;
    const node = new AudioWorkletNode(context, "kino-mixer", {
      numberOfInputs: this.#buffers.length,
      outputChannelCount: [2],
      processorOptions: {
        doc: this.#doc,
        sources: this.#buffers.map((each) => ({
          channels: each.numberOfChannels, frames: each.length,
        })),
        live: true,
        start: Math.round(offset * context.sampleRate),
        meters: METERS_S,
      },
    });
    const gain = new GainNode(context, { gain: 0 });
    gain.gain.linearRampToValueAtTime(1, context.currentTime + FADE_S);
    node.connect(gain).connect(context.destination);
    const players = this.#buffers.map((buffer, i) => {
      const player = new AudioBufferSourceNode(context, { buffer });
      player.connect(node, 0, i);
      player.start(0, offset);
      return player;
    });
    const before = this.#playing;
    this.#playing = { node, gain, players, started: context.currentTime, offset };
    node.port.onmessage = ({ data }) => this.#hear(node, data);
    if (before !== null) this.#fade(before);
  }

  #fade({ node, gain, players }) {
    const now = this.#context.currentTime;
    gain.gain.setValueAtTime(gain.gain.value, now);
    gain.gain.linearRampToValueAtTime(0, now + FADE_S);
    node.port.onmessage = null;
    players[0].onended = () => node.disconnect();
    for (const player of players) player.stop(now + 2 * FADE_S);
  }

  #hear(node, { moved, frames, latency, meters }) {
    if (this.#playing?.node !== node) return;
    if (frames !== undefined) this.#playing.end = frames + latency;
    if (moved === false) this.#begin(this.position);
    if (meters === undefined) return;
    this.onMeters(meters);
    if (meters.position < this.#playing.end) return;
    this.stop();
    this.onEnd();
  }
}

/** A source as samples at the rate of *context*. Throws an Error with a sentence. */
async function decoded({ url, stereo = false, normalizeDb = null }, context) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`the server answers ${answer.status} to ${url}`);
  let buffer;
  try {
    buffer = await context.decodeAudioData(await answer.arrayBuffer());
  } catch (error) {
    if (error.name !== "EncodingError") throw error;
    throw new Error(`this browser cannot decode ${url}`, { cause: error });
  }
  const gain = normalizeDb === null ? 1 : gainTo(normalizeDb, buffer);
  const channels = stereo && buffer.numberOfChannels === 1 ? [0, 0] : null;
  return gain === 1 && channels === null ? buffer : remade(buffer, channels, gain);
}

/** What brings the loudest sample to *peakDb*. */
function gainTo(peakDb, buffer) {
  let peak = 0;
  for (let c = 0; c < buffer.numberOfChannels; c++) {
    for (const sample of buffer.getChannelData(c)) peak = Math.max(peak, Math.abs(sample));
  }
  return peak > 0 ? 10 ** (peakDb / 20) / peak : 1;
}

/** *buffer* with these of its *channels* (all by default), times *gain*. */
function remade(buffer, channels, gain) {
  const chosen = channels ?? Array.from({ length: buffer.numberOfChannels }, (_, i) => i);
  const { length, sampleRate } = buffer;
  const made = new AudioBuffer({ numberOfChannels: chosen.length, length, sampleRate });
  chosen.forEach((from, to) => {
    made.copyToChannel(buffer.getChannelData(from).map((sample) => sample * gain), to);
  });
  return made;
}
