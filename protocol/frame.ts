/** Frames on a byte stream: a big-endian u32 length, then that many bytes. */
import { CryonetError } from './errors.ts';

export function frame(payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const framed = new Uint8Array(4 + payload.length);
  new DataView(framed.buffer).setUint32(0, payload.length);
  framed.set(payload, 4);
  return framed;
}

/** Cuts a stream into frames. A length over the limit is refused before anything is kept for it. */
export class FrameReader {
  readonly #limit: number;
  #chunks: Uint8Array[] = [];
  #buffered = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The frames that `chunk` completes, each the caller's to keep. Throws `frame_too_large`; the stream is then of
   *  no more use. */
  push(chunk: Uint8Array): Uint8Array[] {
    if (chunk.length === 0) return [];
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    const frames: Uint8Array[] = [];
    while (this.#buffered >= 4) {
      const header = this.#peek(4);
      const size = new DataView(header.buffer, header.byteOffset).getUint32(0);
      if (size > this.#limit) {
        throw new CryonetError('frame_too_large', `a frame of ${size} bytes; the limit is ${this.#limit}`);
      }
      if (this.#buffered < 4 + size) break;
      this.#take(4);
      frames.push(this.#take(size));
    }
    return frames;
  }

  #peek(size: number): Uint8Array {
    if (this.#chunks[0]!.length < size) this.#chunks = [join(this.#chunks, this.#buffered)];
    return this.#chunks[0]!.subarray(0, size);
  }

  #take(size: number): Uint8Array {
    const taken = new Uint8Array(size);
    let filled = 0;
    while (filled < size) {
      const first = this.#chunks[0]!;
      const part = first.subarray(0, size - filled);
      taken.set(part, filled);
      filled += part.length;
      if (part.length === first.length) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(part.length);
    }
    this.#buffered -= size;
    return taken;
  }
}

function join(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const joined = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.length;
  }
  return joined;
}
