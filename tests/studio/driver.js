// What the tests ask of kino-dsp.js (the global `dsp`), as text in and text out, in any engine.
const arrays = (source) => source.map((samples) => Float64Array.from(samples));
const plain = (block) => block.map((samples) => Array.from(samples));

/** Block by block, as a live player does; *moves* are [block, document] pairs. */
function play({ doc, moves = [], sources, rate, total, block = 128 }) {
  const channels = sources.map(arrays);
  const told = channels.map((source) => ({ channels: source.length, frames: source[0].length }));
  const mixer = new dsp.Mixer(doc, rate, told, { live: true });
  const made = [new Float64Array(total), new Float64Array(total)];
  const moved = [];
  for (let start = 0; start < total; start += block) {
    for (const [at, other] of moves) if (at * block === start) moved.push(mixer.update(other));
    const frames = Math.min(block, total - start);
    const piece = channels.map((source) =>
      source.map((samples) => samples.subarray(start, start + frames)),
    );
    const { master } = mixer.process(piece, frames);
    made.forEach((samples, side) => samples.set(master[side], start));
  }
  return { master: plain(made), moved, latency: mixer.latency };
}

globalThis.asked = {
  render: ({ doc, sources, rate, piece }) => {
    const { master, preMaster } = dsp.render(doc, sources.map(arrays), rate, piece);
    return { master: plain(master), pre_master: plain(preMaster) };
  },
  duck: ({ music, voice, settings, rate }) =>
    plain(dsp.duck(arrays(music), arrays(voice), settings, rate)),
  defaults: () =>
    Object.fromEntries(
      ["Gate", "Compressor", "Delay", "Limiter"].map((kind) => [kind, dsp[kind].settings({})]),
    ),
  coefficients: ({ shape, hertz, q, gain_db, rate }) =>
    dsp.coefficients(shape, hertz, q, gain_db, rate),
  play,
};
globalThis.ask = (name, given) => JSON.stringify(asked[name](JSON.parse(given)));
