/**
 * The mixer's sound in JavaScript: docs/dsp.md, sample by sample, as the server renders it.
 *
 * Knows: every section; strips, sub-buses and the master of a MixDoc; how parameters move while it
 * runs. Does not know: the page, the network, where samples come from.
 *
 * One file without imports, because the file of an AudioWorklet may not import in every browser. It
 * runs in a worklet (as the processor "kino-mixer"), in a page and in any other ES2022 engine. All
 * arithmetic is float64. A block is an array of channels, each a Float64Array of the same length.
 * Sections write into the block they are given, and how a stream is cut changes no bit.
 */

const CONTROL = 16; // samples between two gains of gate and compressor
const GRID = 64; // samples between two sets of filter coefficients; each latency is a multiple
const FAINT = 1e-30; // what decays below this is let go: denormal numbers cost time
const GLIDE_S = 0.02; // the way of a parameter to where it is moved while the mixer runs
const UNLIMITED_DB = 1000; // stands for "no limit": float32 samples cannot ask for more
const HALF = Math.SQRT1_2;

const peak = (samples) => samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
const whole = (x) => Math.floor(x + 0.5);
const modulo = (n, m) => ((n % m) + m) % m;
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const linear = (db) => Math.pow(10, db / 20);
const decibels = (x) => 20 * Math.log10(Math.max(x, 1e-10));
const onGrid = (ms, rate) => GRID * whole((ms * rate) / (1000 * GRID));
/** What is left of a value after some samples of decay, with a time constant in milliseconds. */
const decay = (samples, ms, rate) => Math.exp(-samples / ((ms * rate) / 1000));

const times = (count, make) => Array.from({ length: count }, (_, i) => make(i));
/** *samples* if it has this length already, else a new array that has. */
const sized = (samples, length) => (samples.length === length ? samples : new Float64Array(length));
const silence = (channels, length) => times(channels, () => new Float64Array(length));
/** A copy of *block*, in the arrays of *old* where they fit. */
const copied = (block, old) =>
  block.map((samples, channel) => {
    const copy = sized(old[channel] ?? [], samples.length);
    copy.set(samples);
    return copy;
  });
const scale = (block, gains) => {
  for (const samples of block) for (let i = 0; i < samples.length; i++) samples[i] *= gains[i];
};
const add = (sum, block) => {
  for (let side = 0; side < 2; side++) {
    const [into, from] = [sum[side], block[side]];
    for (let i = 0; i < into.length; i++) into[i] += from[i];
  }
};

/** A parameter: a number or straight lines through points, gliding to where it is moved. */
class Control {
  /** *value*: a number, null (no limit), {points: [[s, value]…]} or {positions: [n…], values}. */
  constructor(value, rate) {
    this.rate = rate;
    this.glide = Math.ceil(GLIDE_S * rate);
    this.begin = -Infinity;
    this.from = 0;
    this.take(value);
  }

  take(value) {
    this.told = JSON.stringify(value);
    this.number = value ?? UNLIMITED_DB;
    this.positions = null;
    if (value === null || typeof value !== "object") return;
    const points = value.points ?? value.positions.map((n, i) => [n / this.rate, value.values[i]]);
    this.positions = value.positions ?? points.map(([seconds]) => seconds * this.rate);
    this.values = points.map(([, each]) => each);
    this.line = 0; // the one that was read last
  }

  /** Be told *value* from sample *n* on. */
  set(value, n) {
    if (JSON.stringify(value) === this.told) return;
    this.from = this.at(n);
    this.begin = n;
    this.take(value);
  }

  moves(n) {
    return this.positions !== null || n < this.begin + this.glide;
  }

  at(n) {
    const target = this.positions === null ? this.number : this.between(n);
    const gone = (n - this.begin) / this.glide;
    return gone < 1 ? this.from + (target - this.from) * Math.max(gone, 0) : target;
  }

  between(n) {
    const { positions, values } = this;
    let i = this.line;
    while (i + 1 < positions.length && positions[i + 1] <= n) i++;
    while (i > 0 && positions[i] > n) i--;
    this.line = i;
    if (i + 1 === positions.length || n <= positions[i]) return values[i];
    const part = (n - positions[i]) / (positions[i + 1] - positions[i]);
    return values[i] + (values[i + 1] - values[i]) * part;
  }
}

const valuesOf = (value) => value.values ?? value.points?.map(([, each]) => each) ?? [value];
/** The largest and the smallest value that a parameter, as a document gives it, ever has. */
const largest = (value) => valuesOf(value).reduce((a, b) => Math.max(a, b));
const smallest = (value) => valuesOf(value).reduce((a, b) => Math.min(a, b));

/** A stream with its *past* samples in front, which are *filling* before the first. */
class History {
  constructor(past, filling = 0) {
    this.past = past;
    this.line = new Float64Array(past).fill(filling);
    this.fresh = 0;
  }

  /** A line in which *samples* stand behind those that came before. */
  push(samples) {
    const old = this.line.subarray(this.fresh, this.fresh + this.past);
    this.line = sized(this.line, this.past + samples.length);
    this.line.set(old);
    this.line.set(samples, this.past);
    this.fresh = samples.length;
    return this.line;
  }
}

/** A stream, later by *latency* samples; with none, the section that changes nothing. */
class DelayLine {
  constructor(latency, channels) {
    this.latency = latency;
    this.histories = times(channels, () => new History(latency));
  }

  update(given) {
    return given === null;
  }

  process(block) {
    if (this.latency === 0) return;
    block.forEach((samples, channel) => {
      const line = this.histories[channel].push(samples);
      samples.set(line.subarray(0, samples.length));
    });
  }
}

/**
 * What sections share. A kind tells what `moves`, which becomes a Control of that name, and what
 * `stays` as it is told as long as the section lives (a number, or a curve), both with their
 * defaults. In process(block, start), *start* is the position of the block in the programme that
 * the section is fed.
 */
class Section {
  static moves = {};
  static stays = {};
  static latencyOf = () => 0;
  static settings(given) {
    return { ...this.moves, ...this.stays, ...given };
  }

  constructor(given, rate, channels) {
    const { moves, stays, latencyOf } = this.constructor;
    const settings = this.constructor.settings(given);
    for (const name in moves) this[name] = new Control(settings[name], rate);
    for (const name in stays) this[name] = settings[name];
    this.rate = rate;
    this.channels = channels;
    this.latency = latencyOf(settings, rate);
  }

  /** Glide to other settings, or say false: it takes another section to follow them. */
  update(given, start) {
    if (given === null) return false;
    const { moves, stays } = this.constructor;
    const settings = this.constructor.settings(given);
    for (const name in stays) {
      if (JSON.stringify(settings[name]) !== JSON.stringify(this[name])) return false;
    }
    for (const name in moves) this[name].set(settings[name], start);
    return true;
  }
}

/** The largest of the last *width* values, all 0 or more; what has left does not come back. */
class SlidingMaximum {
  values = new Float64Array(64); // a ring: those that may yet be the largest, falling
  born = new Float64Array(64);
  head = 0;
  size = 0;
  now = 0;

  next(value, width) {
    if (this.size === this.values.length) this.grow();
    const { values, born } = this;
    const last = values.length - 1;
    while (this.size > 0 && born[this.head] <= this.now - width) {
      this.head = (this.head + 1) & last;
      this.size--;
    }
    while (this.size > 0 && values[(this.head + this.size - 1) & last] <= value) this.size--;
    const end = (this.head + this.size++) & last;
    values[end] = value;
    born[end] = this.now++;
    return values[this.head];
  }

  /** A ring of twice the length, always a power of two. */
  grow() {
    for (const name of ["values", "born"]) {
      const old = this[name];
      this[name] = new Float64Array(2 * old.length);
      this[name].set(old.subarray(this.head));
      this[name].set(old.subarray(0, this.head), old.length - this.head);
    }
    this.head = 0;
  }
}

/** Gain that rides on the level of a key: the part that gate and compressor share. */
class Rider extends Section {
  static latencyOf = ({ lookahead_ms }, rate) => onGrid(largest(lookahead_ms), rate);

  constructor(given, rate, channels) {
    super(given, rate, channels);
    this.line = new DelayLine(this.latency, channels);
    this.lookahead = new Control(this.lookahead_ms, rate);
    this.most = largest(this.lookahead_ms);
    this.past = null; // gains that reach the sound later
    this.gains = new Float64Array(0);
    this.peak = 0;
    this.before = this.after = null; // the two latest gains
    this.reduction = 0; // in dB, for meters
  }

  process(block, start, key) {
    this.before ??= this.after ??= this.restGain(start);
    this.gains = sized(this.gains, block[0].length);
    const rest = this.before;
    this.follow(this.key ? key : block, start);
    if (this.lookahead.positions !== null && this.latency > 0) {
      this.past ??= new History(this.latency + 1, rest);
      this.wait(start - this.latency);
    }
    this.line.process(block);
    scale(block, this.gains);
  }

  /** Let the gains come later by what the look-ahead, at the samples from *n* on, lacks. */
  wait(n) {
    const { gains, latency } = this;
    const line = this.past.push(gains);
    for (let i = 0; i < gains.length; i++) {
      const late = clamp(latency * (1 - this.lookahead.at(n + i) / this.most), 0, latency);
      const newer = latency + 1 + i - Math.floor(late);
      gains[i] = line[newer] + (line[newer - 1] - line[newer]) * (late - Math.floor(late));
    }
  }

  /** The hold at sample *n* in control steps. */
  steps(n) {
    return whole((this.hold_ms.at(n) * this.rate) / (1000 * CONTROL));
  }

  /** The gain of every sample; it moves over the 16 samples after those it was measured on. */
  follow(key, start) {
    const { gains } = this;
    for (let i = 0; i < gains.length; ) {
      const inside = modulo(start + i, CONTROL);
      const end = Math.min(gains.length, i + CONTROL - inside);
      const step = (this.after - this.before) / CONTROL;
      for (const samples of key) {
        for (let j = i; j < end; j++) this.peak = Math.max(this.peak, Math.abs(samples[j]));
      }
      for (let j = i; j < end; j++) gains[j] = this.before + step * (inside + j - i + 1);
      if (inside + end - i === CONTROL) {
        this.before = this.after;
        this.after = this.gain(decibels(this.peak), start + end - CONTROL);
        this.peak = 0;
      }
      i = end;
    }
  }
}

export class Gate extends Rider {
  static moves = {
    threshold_db: -50, hysteresis_db: 6, range_db: 80, attack_ms: 1, hold_ms: 50, release_ms: 100,
  };
  static stays = { lookahead_ms: 0 };

  open = false;
  closedFor = Infinity; // control steps; once let go, a longer hold does not bring it back
  way = 0; // from 0, closed, to 1, open

  restGain = (start) => linear(-this.range_db.at(start));

  gain(level, n) {
    const threshold = this.threshold_db.at(n);
    if (level >= threshold) this.open = true;
    else if (level < threshold - this.hysteresis_db.at(n)) this.open = false;
    this.closedFor = this.open ? 0 : this.closedFor + 1;
    if (this.closedFor > this.steps(n)) this.closedFor = Infinity;
    const step = (ms) => CONTROL / Math.max((ms * this.rate) / 1000, CONTROL);
    const held = this.closedFor < Infinity;
    this.way += held ? step(this.attack_ms.at(n)) : -step(this.release_ms.at(n));
    this.way = clamp(this.way, 0, 1);
    this.reduction = this.range_db.at(n) * (1 - this.way);
    return linear(-this.reduction);
  }
}

/** Compressor and ducker: Giannoulis, Massberg and Reiss, JAES 60, 2012. */
export class Compressor extends Rider {
  static moves = {
    threshold_db: -18, ratio: 4, knee_db: 6, attack_ms: 10, release_ms: 100, range_db: null,
    makeup_db: 0, hold_ms: 0,
  };
  static stays = { lookahead_ms: 0, key: null };

  held = new SlidingMaximum();
  released = 0;

  restGain = (start) => linear(this.makeup_db.at(start));

  gain(level, n) {
    const left = decay(CONTROL, this.release_ms.at(n), this.rate) * this.released;
    const held = this.held.next(this.asked(level, n), this.steps(n) + 1);
    this.released = Math.max(held, left < FAINT ? 0 : left);
    const stay = decay(CONTROL, this.attack_ms.at(n), this.rate);
    this.reduction = stay * this.reduction + (1 - stay) * this.released;
    if (this.reduction < FAINT) this.reduction = 0;
    return linear(this.makeup_db.at(n) - this.reduction);
  }

  /** The static curve: how many dB lower the *level* asks for. */
  asked(level, n) {
    const slope = 1 - 1 / this.ratio.at(n);
    const over = level - this.threshold_db.at(n);
    const knee = this.knee_db.at(n);
    const into = clamp(over + knee / 2, 0, knee);
    const bend = knee > 0 ? (into * (into / knee)) / 2 : 0;
    return Math.min(slope * (Math.max(over - knee / 2, 0) + bend), this.range_db.at(n));
  }
}

/** {b0, b1, b2, a1, a2} of a filter, by R. Bristow-Johnson's "Cookbook formulae for audio EQ". */
export function coefficients(shape, hertz, q, gainDb, rate) {
  const angle = (2 * Math.PI * clamp(hertz, 1, 0.49 * rate)) / rate;
  const cos = Math.cos(angle);
  const alpha = Math.sin(angle) / (2 * q);
  const a = Math.pow(10, gainDb / 40);
  const side = shape === "high_pass" || shape === "low_shelf" ? 1 : -1;
  const [edge, more, less, c] = [(1 + side * cos) / 2, a + 1, a - 1, side * cos];
  const bend = 2 * Math.sqrt(a) * alpha;
  const pass = [edge, -2 * side * edge, edge, 1 + alpha, -2 * cos, 1 - alpha];
  const shelf = [ // a high shelf is a low one with -cos, -b1 and -a1
    a * (more - less * c + bend), 2 * side * a * (less - more * c), a * (more - less * c - bend),
    more + less * c + bend, -2 * side * (less + more * c), more + less * c - bend,
  ];
  const peak = [1 + alpha * a, -2 * cos, 1 - alpha * a, 1 + alpha / a, -2 * cos, 1 - alpha / a];
  const rows = { peak, low_shelf: shelf, high_shelf: shelf, high_pass: pass, low_pass: pass };
  const [b0, b1, b2, a0, a1, a2] = rows[shape];
  return { b0: b0 / a0, b1: b1 / a0, b2: b2 / a0, a1: a1 / a0, a2: a2 / a0 };
}

/** One filter of the equalizer, transposed direct form II. */
export class Biquad extends Section {
  static moves = { gain_db: 0, frequency_hz: 1000, q: 0.707 };
  static stays = { shape: "peak" };

  states = silence(this.channels, 2);
  row = null;
  settled = false;

  process(block, start) {
    const frames = block[0].length;
    for (let i = 0; i < frames; ) {
      const inside = modulo(start + i, GRID);
      const end = Math.min(frames, i + GRID - inside);
      if (inside === 0 || this.row === null) this.design(start + i - inside);
      for (let c = 0; c < block.length; c++) this.filter(block[c], this.states[c], i, end);
      i = end;
    }
  }

  design(n) {
    for (const state of this.states) {
      for (let k = 0; k < 2; k++) if (Math.abs(state[k]) < FAINT) state[k] = 0;
    }
    const { gain_db, frequency_hz, q } = this;
    const moves = gain_db.moves(n) || frequency_hz.moves(n) || q.moves(n);
    if (!moves && this.settled) return;
    this.settled = !moves;
    this.row = coefficients(this.shape, frequency_hz.at(n), q.at(n), gain_db.at(n), this.rate);
  }

  filter(samples, state, begin, end) {
    const { b0, b1, b2, a1, a2 } = this.row;
    let s1 = state[0];
    let s2 = state[1];
    for (let i = begin; i < end; i++) {
      const x = samples[i];
      const y = b0 * x + s1;
      s1 = b1 * x - a1 * y + s2;
      s2 = b2 * x - a2 * y;
      samples[i] = y;
    }
    state[0] = s1;
    state[1] = s2;
  }
}

export class Delay extends Section {
  static moves = { feedback: 0.4, mix: 0.3 };
  static stays = { time_s: 0.35, echoes: null };

  moving = typeof this.time_s === "number" ? null : new Control(this.time_s, this.rate);
  time = this.moving === null
    ? Math.max(1, whole(this.time_s * this.rate))
    : Math.ceil(Math.max(2, largest(this.time_s) * this.rate)) + 2;
  rings = silence(this.channels, this.time * (this.echoes ?? 1));
  place = 0;

  /** Samples that it sounds on after the end of the input; endless echoes are cut at -60 dB. */
  get tail() {
    if (this.echoes !== null) return this.echoes * this.time;
    const { positions, values, number } = this.feedback;
    const largest = positions ? values.reduce((a, b) => Math.max(a, b)) : number;
    return this.time * (largest > 0 ? 1 + Math.ceil(Math.log(1e-3) / Math.log(largest)) : 1);
  }

  process(block, start) {
    for (let i = 0; i < block[0].length; i++) {
      const feedback = this.feedback.at(start + i);
      const mix = this.mix.at(start + i);
      const time = this.moving && Math.max(2, this.moving.at(start + i) * this.rate);
      for (let channel = 0; channel < block.length; channel++) {
        const x = block[channel][i];
        const ring = this.rings[channel];
        const wet = time === null ? this.still(ring, feedback) : this.bent(ring, feedback, time);
        const kept = this.echoes === null ? x + feedback * wet : x;
        ring[this.place] = Math.abs(kept) < FAINT ? 0 : kept;
        block[channel][i] = (1 - mix) * x + mix * wet;
      }
      this.place = (this.place + 1) % this.rings[0].length;
    }
  }

  /** The echoes of a time that stands. */
  still(ring, feedback) {
    let wet = ring[this.place]; // the oldest echo; younger ones are added to it
    for (let age = this.time; age < ring.length; age += this.time) {
      wet = wet * feedback + ring[(this.place + age) % ring.length];
    }
    return wet;
  }

  /** The echoes of a *time* in samples that moves. */
  bent(ring, feedback, time) {
    let wet = 0;
    for (let echo = this.echoes ?? 1; echo > 0; echo--) {
      wet = wet * feedback + this.between(ring, echo * time);
    }
    return wet;
  }

  /** The ring so many samples ago, by Lagrange's polynomial through four of them. */
  between(ring, time) {
    const back = Math.floor(time);
    const d = time - back;
    const { length } = ring;
    const nearest = this.place - back + length; // 2 or more
    return (
      ring[(nearest + 1) % length] * ((-d * (d - 1) * (d - 2)) / 6) +
      ring[nearest % length] * (((d + 1) * (d - 1) * (d - 2)) / 2) +
      ring[(nearest - 1) % length] * ((-(d + 1) * d * (d - 2)) / 2) +
      ring[(nearest - 2) % length] * (((d + 1) * d * (d - 1)) / 6)
    );
  }
}

/** sinc(t) under a Kaiser window that ends at ±half, divided by its sum. */
function windowedSinc(at, half, beta) {
  const bessel = (x) => {
    let [sum, term] = [1, 1];
    for (let j = 1; term > 1e-20 * sum; j++) sum += term *= (x / (2 * j)) ** 2;
    return sum;
  };
  const sinc = (t) => (t === 0 ? 1 : Math.sin(Math.PI * t) / (Math.PI * t));
  const taps = at.map((t) => sinc(t) * bessel(beta * Math.sqrt(1 - (t / half) ** 2)));
  const sum = taps.reduce((a, b) => a + b);
  return Float64Array.from(taps, (tap) => tap / sum);
}

/** Σ taps[i]·x[n − i·stride], where x[n] stands at *place* of *line*. */
function filtered(taps, line, place, stride = 1) {
  let sum = 0;
  for (let i = 0; i < taps.length; i++) sum += taps[i] * line[place - i * stride];
  return sum;
}

/** Twice the rate (`up`) and back (`down`) by a half-band filter, for one channel. */
class HalfBand {
  constructor(count) {
    this.taps = windowedSinc(times(count, (i) => i - (count - 1) / 2), count / 2, 11);
    this.above = new History(2 * count);
    this.below = new History(count);
    this.doubled = this.halved = new Float64Array(0);
  }

  up(samples) {
    const [line, count] = [this.below.push(samples), this.taps.length];
    this.doubled = sized(this.doubled, 2 * samples.length);
    for (let n = 0; n < samples.length; n++) {
      this.doubled[2 * n] = line[count / 2 + n];
      this.doubled[2 * n + 1] = filtered(this.taps, line, count + n);
    }
    return this.doubled;
  }

  down(samples) {
    const [line, count] = [this.above.push(samples), this.taps.length];
    this.halved = sized(this.halved, samples.length / 2);
    for (let n = 0; n < this.halved.length; n++) {
      const place = 2 * (count + n);
      this.halved[n] = (line[place - count] + filtered(this.taps, line, place - 1, 2)) / 2;
    }
    return this.halved;
  }
}

/** tanh(k·v)/k·(1 + d/2) with k = 1 + 3d, at four times the rate. */
export class Drive extends Section {
  static moves = { amount: 0 };
  static latencyOf = () => 128;

  line = new DelayLine(56, this.channels);
  stages = times(this.channels, () => [new HalfBand(64), new HalfBand(16)]);

  process(block, start) {
    this.line.process(block);
    block.forEach((samples, channel) => {
      const [outer, inner] = this.stages[channel];
      const fine = inner.up(outer.up(samples));
      for (let n = 0; n < samples.length; n++) {
        const amount = this.amount.at(start - 92 + n); // late by so much up to here
        const k = 1 + 3 * amount;
        const level = (1 + amount / 2) / k;
        for (let i = 4 * n; i < 4 * n + 4; i++) fine[i] = Math.tanh(k * fine[i]) * level;
      }
      samples.set(outer.down(inner.down(fine)));
    });
  }
}

const TRUE_PEAK = times(7, (p) => windowedSinc(times(24, (i) => i - 12 + (p + 1) / 8), 12, 8));
/** No value between samples is larger than this times the largest of the 24 around it. */
const MOST_GAIN = Math.max(
  ...TRUE_PEAK.map((taps) => taps.reduce((sum, tap) => sum + Math.abs(tap), 0)),
);

/** The latency of a limiter with so much look-ahead. */
const late = (ms, rate) => Math.max(2 * GRID, onGrid(ms, rate));

/** From the decibels that peaks ask for to those that are taken, for one latency. */
class Reduction {
  constructor(latency) {
    this.box = new Float64Array(latency - 16);
    this.window = new SlidingMaximum();
    this.place = this.sum = this.released = 0;
  }

  next(asked, left) {
    this.released = Math.max(this.window.next(asked, this.box.length + 11), left * this.released);
    if (this.released < FAINT) this.released = 0;
    return this.mean(this.released);
  }

  /** The mean of the box; summed anew once a round, so that no rounding adds up. */
  mean(value) {
    const { box } = this;
    this.sum += value - box[this.place];
    box[this.place] = value;
    this.place = (this.place + 1) % box.length;
    if (this.place === 0) this.sum = box.reduce((a, b) => a + b);
    return this.sum / box.length;
  }
}

/** A look-ahead that moves: a mean of the reductions of the largest and the smallest one. */
class Ahead {
  constructor(lookahead_ms, latency, rate) {
    [this.most, this.least] = [largest(lookahead_ms), smallest(lookahead_ms)];
    const shortest = late(this.least, rate);
    this.moves = shortest < latency;
    if (!this.moves) return;
    this.lookahead = new Control(lookahead_ms, rate);
    this.taken = new Reduction(shortest);
    this.line = new Float64Array(latency - shortest); // a ring
    this.place = 0;
  }

  /** The reduction from that of the largest look-ahead, where sample *n* comes out. */
  blend(long, asked, left, n) {
    if (!this.moves) return long;
    const { line, place, most, least } = this;
    const short = line[place];
    line[place] = this.taken.next(asked, left);
    this.place = (place + 1) % line.length;
    return long + ((most - this.lookahead.at(n)) / (most - least)) * (short - long);
  }
}

/** No true peak above the ceiling. */
export class Limiter extends Section {
  static moves = { ceiling_db: -1, release_ms: 100 };
  static stays = { lookahead_ms: 5 };
  static latencyOf = ({ lookahead_ms }, rate) => late(largest(lookahead_ms), rate);

  line = new DelayLine(this.latency, this.channels);
  histories = times(this.channels, () => new History(23));
  lines = [];
  near = new SlidingMaximum();
  taken = new Reduction(this.latency);
  sooner = new Ahead(this.lookahead_ms, this.latency, this.rate);
  gains = new Float64Array(0);
  reduction = 0; // in dB, for meters

  process(block, start) {
    const gains = (this.gains = sized(this.gains, block[0].length));
    this.lines = block.map((samples, channel) => this.histories[channel].push(samples));
    const { release_ms, ceiling_db, rate } = this;
    let left = decay(1, release_ms.at(start - 12), rate);
    const moves = release_ms.moves(start - 12);
    for (let i = 0; i < gains.length; i++) {
      const n = start + i - 12; // what is looked at
      if (moves) left = decay(1, release_ms.at(n), rate);
      const asked = this.over(i, ceiling_db.at(n) - 0.35);
      const taken = this.taken.next(asked, left);
      this.reduction = this.sooner.blend(taken, asked, left, n + 12 - this.latency);
      gains[i] = this.reduction > 1e-16 ? linear(-this.reduction) : 1;
    }
    this.line.process(block);
    scale(block, gains);
  }

  /** By how many dB the largest value at and after a sample, 12 samples late, exceeds *free*. */
  over(i, free) {
    let [top, newest] = [0, 0];
    for (const line of this.lines) {
      top = Math.max(top, Math.abs(line[i + 11]));
      newest = Math.max(newest, Math.abs(line[i + 23]));
    }
    if (this.near.next(newest, 24) * MOST_GAIN <= linear(free)) return 0;
    for (const line of this.lines) {
      for (const taps of TRUE_PEAK) top = Math.max(top, Math.abs(filtered(taps, line, i + 23)));
    }
    return Math.max(0, decibels(top) - free);
  }
}

/** Left and right by a 2×2 matrix that the kind's `law` makes of its one parameter. */
class Matrix extends Section {
  rows = new Float64Array(4); // left to left, right to left, left to right, right to right

  process([left, right], start) {
    const { value, rows } = this;
    const { law, moves } = this.constructor;
    const moving = value.moves(start);
    if (!moving && value.number === moves.value) return;
    law(value.at(start), rows);
    for (let i = 0; i < left.length; i++) {
      if (moving) law(value.at(start + i), rows);
      const [l, r] = [left[i], right[i]];
      left[i] = rows[0] * l + rows[1] * r;
      right[i] = rows[2] * l + rows[3] * r;
    }
  }

  static of = (neutral, law) =>
    class extends Matrix {
      static moves = { value: neutral };
      static law = law;
    };
}
const diagonal = (rows, left, right) => {
  rows[0] = left;
  rows[3] = right;
};
const gain = (db) => (db > -120 ? linear(db) : 0); // a fader at its bottom is silent
export const Gain = Matrix.of(0, (db, rows) => diagonal(rows, gain(db), gain(db)));
export const Balance = Matrix.of(0, (at, rows) => {
  diagonal(rows, 1 - Math.max(0, at), 1 + Math.min(0, at));
});
export const Width = Matrix.of(1, (width, rows) => {
  diagonal(rows, (1 + width) / 2, (1 + width) / 2);
  rows[1] = rows[2] = (1 - width) / 2;
});
/** Constant power, for a mono source that is on both sides; never neutral. */
export const Pan = Matrix.of(null, (pan, rows) => {
  diagonal(rows, Math.sin(((1 - pan) * Math.PI) / 4), Math.sin(((1 + pan) * Math.PI) / 4));
});
/** Mute and solo: 1 for a strip that is heard, else 0. */
const Heard = Matrix.of(1, (part, rows) => diagonal(rows, part, part));

const [L, R, C, LFE, BACK, LS, RS] =
  [[1, 0], [0, 1], [HALF, HALF], [0, 0], [0.5, 0.5], [HALF, 0], [0, HALF]];
/** What each of 1 to 8 channels gives to left and right: ITU-R BS.775-3. */
const FOLD = [
  [], [[1, 1]], [L, R], [L, R, C], [L, R, LS, RS], [L, R, C, LS, RS], [L, R, C, LFE, LS, RS],
  [L, R, C, LFE, BACK, LS, RS], [L, R, C, LFE, LS, RS, LS, RS],
];
const emptied = (block, length) => times(2, (side) => sized(block[side] ?? [], length).fill(0));
/** *block* of 1 to 8 channels as left and right, in the arrays of *old* where they fit. */
export function folded(block, old) {
  const placed = emptied(old, block[0].length);
  block.forEach((samples, channel) => {
    FOLD[block.length][channel].forEach((part, side) => {
      if (part) for (let i = 0; i < samples.length; i++) placed[side][i] += part * samples[i];
    });
  });
  return placed;
}

/** The latency of an entry: a kind, its settings (null: off), and whether it is late when off. */
const latencyOf = ([kind, given, kept = false], rate) =>
  given !== null || kept ? kind.latencyOf(kind.settings(given), rate) : 0;

/** A section that can come, go and be exchanged while it runs: one fades to the other. */
class Insert {
  constructor(entry, rate, channels) {
    this.kind = entry[0];
    this.latency = latencyOf(entry, rate);
    this.make = (given) =>
      given === null ? new DelayLine(this.latency, channels) : new this.kind(given, rate, channels);
    this.section = this.make(entry[1]);
    this.fill = Math.ceil((GLIDE_S * rate) / 4);
    this.fade = 3 * this.fill;
    this.leaving = null; // the section that is heard less and less
    this.waiting = undefined; // settings that came meanwhile
    this.copy = [];
  }

  update(settings, start) {
    if (this.leaving !== null) this.waiting = settings;
    else if (!this.section.update(settings, start)) {
      this.leaving = this.section;
      this.section = this.make(settings);
      this.age = -this.latency - this.fill; // it is not heard until it is filled
    }
  }

  process(block, start, key) {
    if (this.leaving === null) return this.section.process(block, start, key);
    this.copy = copied(block, this.copy);
    this.leaving.process(this.copy, start, key);
    const fed = this.age + this.latency + this.fill;
    block.forEach((samples) => { // it hears the stream come in, for an echo would be a click
      for (let i = 0; i < Math.min(samples.length, this.fill - fed); i++) {
        samples[i] *= (fed + i) / this.fill;
      }
    });
    this.section.process(block, start, key);
    block.forEach((samples, channel) => {
      for (let i = 0; i < samples.length; i++) {
        const old = this.copy[channel][i];
        samples[i] = old + (samples[i] - old) * clamp((this.age + i) / this.fade, 0, 1);
      }
    });
    this.age += block[0].length;
    if (this.age < this.fade) return;
    const { waiting } = this;
    this.leaving = null;
    this.waiting = undefined;
    if (waiting !== undefined) this.update(waiting, start + block[0].length);
  }
}

/** Sections one after another, from their entries. */
class Rack {
  constructor(entries, rate, channels) {
    this.inserts = entries.map((entry) => new Insert(entry, rate, channels));
    this.latency = this.before(null);
    this.tail = Math.max(...this.inserts.map(({ section }) => section.tail ?? 0));
  }

  /** The latency of what stands before the section of a kind; of all, where there is none. */
  before(kind) {
    const end = this.inserts.findIndex((insert) => insert.kind === kind);
    const inserts = this.inserts.slice(0, end < 0 ? undefined : end);
    return inserts.reduce((sum, { latency }) => sum + latency, 0);
  }

  /** By how many dB its compressor lowers now. */
  reduction() {
    const insert = this.inserts.find(({ kind }) => kind === Compressor);
    return insert?.section.reduction ?? 0;
  }

  process(block, start, key) {
    for (const insert of this.inserts) {
      insert.process(block, start, key);
      if (insert.latency === 0) continue;
      start -= insert.latency;
      for (const samples of block) samples.fill(0, 0, Math.max(0, -start)); // nothing rings ahead
    }
  }

  update(entries, start) {
    this.inserts.forEach((insert, index) => {
      insert.update(entries[index][1], start);
      start -= insert.latency;
    });
  }
}

const filter = (shape, frequency_hz = null) => [
  Biquad, frequency_hz === null ? null : { shape, frequency_hz, q: HALF },
];
const band = (shape, frequency_hz, given) => [
  Biquad, (given?.gain_db ?? 0) === 0 ? null : { shape, frequency_hz, ...given },
];
const equalizer = (eq) => [
  filter("high_pass", eq?.high_pass_hz), band("low_shelf", 250, eq?.low),
  band("peak", 1000, eq?.mid), band("high_shelf", 4000, eq?.high),
  filter("low_pass", eq?.low_pass_hz),
];
const echoes = (delay) => [Delay, delay?.mix === 0 ? null : delay];
const stripEntries = ({ gate, compressor, eq, delay }) => [
  [Gate, gate], [Compressor, compressor], ...equalizer(eq), echoes(delay),
];
const busEntries = ({ eq, delay, fader_db }) => [
  ...equalizer(eq), echoes(delay), [Gain, { value: fader_db }],
];
const masterEntries = (master, live) => [
  filter("high_pass", master.high_pass_hz),
  [Drive, master.drive === null ? null : { amount: master.drive }, live],
  filter("low_pass", master.low_pass_hz), [Gate, master.gate], [Compressor, master.compressor],
  ...equalizer(master.eq), [Width, { value: master.width }], [Balance, { value: master.balance }],
  [Gain, { value: master.volume_db }], [Limiter, master.limiter, live],
];

/** A MixDoc with all that it may leave out; `heard` is what mute and solo come to. */
function complete({ strips, buses = [], master = {} }) {
  const soloed = strips.some(({ solo }) => solo);
  const off = { gate: null, compressor: null, eq: null, delay: null, fader_db: 0 };
  return {
    strips: strips.map(({ sends = [], ...strip }) => ({
      ...off, pan: 0, ...strip, heard: !strip.mute && (strip.solo || !soloed) ? 1 : 0,
      sends: sends.map((send) => ({ gain_db: 0, pre_fader: false, ...send })),
    })),
    buses: buses.map((bus) => ({ ...off, ...bus })),
    master: {
      ...off, high_pass_hz: null, drive: null, low_pass_hz: null, width: 1, balance: 0,
      volume_db: 0, limiter: null, ...master,
    },
  };
}

/** What cannot change while a mixer runs: who is there, how they are joined, and each latency. */
function shapeOf({ strips, buses, master }, rate, live) {
  const latencies = (entries) => entries.map((entry) => latencyOf(entry, rate));
  const joins = strips.map(({ id, compressor, sends }) => [
    id, compressor?.key, sends.map(({ bus, pre_fader }) => [bus, pre_fader]),
  ]);
  return JSON.stringify([
    joins, buses.map(({ id }) => id), master.compressor?.key,
    strips.map((strip) => latencies(stripEntries(strip))),
    latencies(masterEntries(master, live)),
  ]);
}

/** A strip from its source to its sends and its fader. */
class Strip {
  constructor(strip, rate, channels) {
    const section = (kind, value) => new kind({ value }, rate, 2);
    this.rack = new Rack(stripEntries(strip), rate, channels);
    this.pan = section(channels === 1 ? Pan : Balance, strip.pan);
    this.heard = section(Heard, strip.heard);
    this.fader = section(Gain, strip.fader_db);
    this.sends = strip.sends.map((send) => ({ ...send, gain: section(Gain, send.gain_db) }));
    this.output = this.copy = [];
    this.line = null; // waits for the strip that is latest
  }

  update(strip, start) {
    const at = start - this.rack.latency;
    this.rack.update(stripEntries(strip), start);
    this.pan.update({ value: strip.pan }, at);
    this.heard.update({ value: strip.heard }, at);
    this.fader.update({ value: strip.fader_db }, at);
    this.sends.forEach(({ gain }, i) => gain.update({ value: strip.sends[i].gain_db }, at));
  }

  /** Add what *block* becomes to *sum*, and to what is sent to buses, by id. */
  process(block, start, key, sum, sent) {
    const at = start - this.rack.latency;
    this.rack.process(block, start, key);
    this.output = folded(block, this.output);
    this.pan.process(this.output, at);
    this.heard.process(this.output, at);
    this.send(true, at, sent);
    this.fader.process(this.output, at);
    this.send(false, at, sent);
    add(sum, this.output);
  }

  send(before, at, sent) {
    for (const { bus, pre_fader, gain } of this.sends) {
      if (pre_fader !== before) continue;
      this.copy = copied(this.output, this.copy);
      gain.process(this.copy, at);
      add(sent[bus], this.copy);
    }
  }
}

/**
 * A whole mix, block by block, of *sources* {channels, frames} at *rate*, one for each strip.
 *
 * *live*: it will be told other documents, so unheard strips work on, and drive and limiter have
 * their latency whether they are on or off. *start*: the sample of the programme that comes first.
 * `preMaster` comes `lead` samples late, `master` `latency`; after `frames` samples all is over.
 */
export class Mixer {
  constructor(doc, rate, sources, { live = false, start = 0 } = {}) {
    const told = complete(doc);
    Object.assign(this, { rate, live, position: start, shape: shapeOf(told, rate, live) });
    this.strips = told.strips.map((strip, i) => new Strip(strip, rate, sources[i].channels));
    this.buses = told.buses.map((bus) => ({
      id: bus.id, rack: new Rack(busEntries(bus), rate, 2), sent: [],
    }));
    this.master = new Rack(masterEntries(told.master, live), rate, 2);
    this.lead = Math.max(...this.strips.map(({ rack }) => rack.latency));
    this.latency = this.lead + this.master.latency;
    this.frames = Math.max(
      ...told.strips.map(({ sends }, i) => {
        const reached = this.buses.filter(({ id }) => sends.some(({ bus }) => bus === id));
        const tails = reached.map(({ rack }) => rack.tail);
        return (sources[i].frames ?? Infinity) + this.strips[i].rack.tail + Math.max(0, ...tails);
      }),
    );
    /** The source that a compressor follows, as late as what it is fed. */
    const keyOf = (compressor, late) => {
      const index = told.strips.findIndex(({ id }) => `strip:${id}` === compressor?.key);
      if (index < 0) return null;
      return { index, line: new DelayLine(late, sources[index].channels), block: [] };
    };
    this.strips.forEach((strip, i) => {
      const wait = this.lead - strip.rack.latency;
      strip.line = new DelayLine(wait, sources[i].channels);
      strip.key = keyOf(told.strips[i].compressor, wait + strip.rack.before(Compressor));
    });
    this.master.key = keyOf(told.master.compressor, this.lead + this.master.before(Compressor));
    this.blocks = sources.map(({ channels }) => silence(channels, 0));
    this.sum = this.output = [];
  }

  /** Glide to another document, or say false: it takes a new mixer. */
  update(doc) {
    const { strips, buses, master } = complete(doc);
    if (shapeOf({ strips, buses, master }, this.rate, this.live) !== this.shape) return false;
    const at = this.position - this.lead;
    this.strips.forEach((strip, i) => strip.update(strips[i], this.position - strip.line.latency));
    this.buses.forEach(({ rack }, i) => rack.update(busEntries(buses[i]), at));
    this.master.update(masterEntries(master, this.live), at);
    return true;
  }

  /**
   * The next *frames* samples, {master, preMaster}, which stay until the next call. *inputs* are
   * the channels of every strip; those that are missing are silent.
   */
  process(inputs, frames) {
    this.fill(inputs, frames);
    const keys = [...this.strips, this.master].map(({ key }) => this.follow(key));
    const at = this.position - this.lead;
    const sum = (this.sum = emptied(this.sum, frames));
    const sent = {};
    for (const bus of this.buses) sent[bus.id] = bus.sent = emptied(bus.sent, frames);
    this.strips.forEach((strip, i) => {
      if (!this.live && strip.heard.value.number === 0) return;
      strip.line.process(this.blocks[i]);
      strip.process(this.blocks[i], this.position - strip.line.latency, keys[i], sum, sent);
    });
    for (const bus of this.buses) {
      bus.rack.process(bus.sent, at);
      add(sum, bus.sent);
    }
    for (const samples of sum) samples.fill(0, Math.max(0, this.frames - at));
    this.output = copied(sum, this.output);
    this.master.process(this.output, at, keys[this.strips.length]);
    this.position += frames;
    return { master: this.output, preMaster: sum };
  }

  fill(inputs, frames) {
    this.blocks.forEach((block, i) => {
      for (let channel = 0; channel < block.length; channel++) {
        block[channel] = sized(block[channel], frames).fill(0);
        block[channel].set(inputs[i]?.[channel] ?? []);
      }
    });
  }

  follow(key) {
    if (key === null) return undefined;
    key.block = copied(this.blocks[key.index], key.block);
    key.line.process(key.block);
    return key.block;
  }
}

/** What *process* makes of *total* samples of *sources*, [source][channel] typed arrays. */
function inPieces(sources, total, process, piece = 4096) {
  const joined = [];
  for (let start = 0; start < total; start += piece) {
    const frames = Math.min(piece, total - start);
    const inputs = sources.map((source) =>
      source.map((samples) => {
        const taken = new Float64Array(frames);
        taken.set(samples.subarray(start, start + frames));
        return taken;
      }),
    );
    process(inputs, start).forEach((samples, channel) => {
      joined[channel] ??= new Float64Array(total);
      joined[channel].set(samples, start);
    });
  }
  return joined;
}

/** The mix of *sources*, [strip][channel] typed arrays at *rate*, from start to end, on time. */
export function render(doc, sources, rate, piece) {
  const told = sources.map((source) => ({ channels: source.length, frames: source[0].length }));
  const mixer = new Mixer(doc, rate, told);
  const { frames, lead, latency } = mixer;
  const process = (inputs) => {
    const { master, preMaster } = mixer.process(inputs, inputs[0][0].length);
    return [...master, ...preMaster];
  };
  const made = inPieces(sources, frames + latency, process, piece);
  const onTime = (late) => (samples) => samples.subarray(late, late + frames);
  const [master, preMaster] = [made.slice(0, 2), made.slice(2)];
  return { master: master.map(onTime(latency)), preMaster: preMaster.map(onTime(lead)) };
}

/** *music* [channel], lowered by a Compressor with *settings* that follows *voice* [channel]. */
export function duck(music, voice, settings, rate, piece) {
  const section = new Compressor({ ...settings, key: "voice" }, rate, music.length);
  const process = ([block, key], start) => {
    section.process(block, start, key);
    return block;
  };
  const made = inPieces([music, voice], music[0].length + section.latency, process, piece);
  return made.map((samples) => samples.subarray(section.latency));
}

if (typeof registerProcessor === "function") {
  /**
   * A Mixer in the audio thread: input i is strip i, output 0 the master, output 1 the sum before
   * it. Options: {doc, sources, live, start, meters}. A message {doc} moves it; {moved: false}
   * answers that another node has to take over. Every *meters* seconds, if they are given, it tells
   * {meters: {position, strips, master, reductions}}: the largest samples after each fader and of
   * each side of the master since it last did, and by how many dB each strip's compressor lowers.
   */
  class KinoMixer extends AudioWorkletProcessor {
    constructor({ processorOptions: { doc, sources, meters = 0, ...options } }) {
      super();
      this.every = meters * sampleRate;
      this.peaks = { since: 0, strips: sources.map(() => 0), master: [0, 0] };
      const mixer = (this.mixer = new Mixer(doc, sampleRate, sources, options));
      this.port.onmessage = ({ data }) => this.port.postMessage({ moved: mixer.update(data.doc) });
      this.port.postMessage({ lead: mixer.lead, latency: mixer.latency, frames: mixer.frames });
    }

    process(inputs, outputs) {
      const { master, preMaster } = this.mixer.process(inputs, outputs[0][0].length);
      [master, preMaster].slice(0, outputs.length).forEach((block, i) => {
        outputs[i].forEach((samples, side) => samples.set(block[side]));
      });
      if (this.every > 0) this.measure(master);
      return true;
    }

    measure(master) {
      const { peaks, mixer } = this;
      mixer.strips.forEach(({ output }, i) => {
        peaks.strips[i] = Math.max(peaks.strips[i], ...output.map(peak));
      });
      peaks.master = peaks.master.map((most, side) => Math.max(most, peak(master[side])));
      peaks.since += master[0].length;
      if (peaks.since < this.every) return;
      const { strips } = peaks;
      const reductions = mixer.strips.map(({ rack }) => rack.reduction());
      const told = { position: mixer.position, strips, master: peaks.master, reductions };
      this.port.postMessage({ meters: told });
      this.peaks = { since: 0, strips: strips.map(() => 0), master: [0, 0] };
    }
  }
  registerProcessor("kino-mixer", KinoMixer);
}
