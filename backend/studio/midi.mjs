/**
 * The notes of a Standard MIDI File, for a small picture of it.
 *
 * Knows: the file's chunks, delta times, running status, note on and off (MIDI 1.0, SMF 1.0).
 * Does not know: tempo: times are in ticks, as a picture needs no seconds.
 */

/**
 * @param {ArrayBuffer} bytes
 * @returns {{tracks: number, notes: Array<{key: number, start: number, end: number}>, end: number}}
 * @throws {Error} with a sentence, for what is no such file
 */
export function readMidi(bytes) {
  const view = new DataView(bytes);
  const name = (at) => String.fromCharCode(...new Uint8Array(bytes, at, 4));
  if (bytes.byteLength < 14 || name(0) !== "MThd") throw new Error("this is no MIDI file");
  const notes = [];
  let tracks = 0;
  let end = 0;
  let at = 8 + view.getUint32(4);
  while (at + 8 <= bytes.byteLength) {
    const length = Math.min(view.getUint32(at + 4), bytes.byteLength - at - 8);
    if (name(at) === "MTrk") {
      tracks += 1;
      end = Math.max(end, readTrack(new Uint8Array(bytes, at + 8, length), notes));
    }
    at += 8 + length;
  }
  return { tracks, notes, end };
}

/**
 * Add a track's notes; returns its last tick. What is cut off ends it, and a note that nothing
 * ends lasts as long. Running status goes on behind meta events, as the service reads it.
 */
function readTrack(data, notes) {
  const sounding = new Map();
  let at = 0;
  let tick = 0;
  let running = 0;
  const number = () => {
    let value = 0;
    while (data[at] & 0x80) value = value * 128 + (data[at++] & 0x7f);
    return value * 128 + (data[at++] ?? 0);
  };
  while (at < data.length) {
    tick += number();
    const status = data[at] & 0x80 ? data[at++] : running;
    if (status === 0xff || status === 0xf0 || status === 0xf7) {
      if (status === 0xff) at++;
      const length = number(); // not `at += number()`, which reads `at` first
      at += length;
      continue;
    }
    running = status;
    const [key, velocity] = [data[at], data[at + 1]];
    const kind = status >> 4;
    at += kind === 0xc || kind === 0xd ? 1 : 2;
    if (kind !== 0x8 && kind !== 0x9) continue;
    const voice = key + 128 * (status & 15);
    if (sounding.has(voice)) notes.push({ key, start: sounding.get(voice), end: tick });
    sounding.delete(voice);
    if (kind === 0x9 && velocity > 0) sounding.set(voice, tick);
  }
  for (const [voice, start] of sounding) notes.push({ key: voice & 127, start, end: tick });
  return tick;
}
