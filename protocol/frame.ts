/** Frames on a byte stream: a big-endian u32 length, then that many bytes. */
import { CryonetError } from './errors.ts';

export function frame(payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const framed = new Uint8Array(4 + payload.length);
  new DataView(framed.buffer).setUint32(0, payload.length);
  framed.set(payload, 4);
  return framed;
}

/** Cuts a stream into frames. A length over the limit is refused before memory is allocated for it. */
export class FrameReader {
  readonly #limit: number;
  readonly #header = new Uint8Array(4);
  /** The frame that is being filled; undefined while the header is being filled. */
  #payload: Uint8Array | undefined;
  #filled = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Returns the frames that `chunk` completes; the caller owns them. Throws `frame_too_large`, after which the stream
   *  cannot be used any more. */
  push(chunk: Uint8Array): Uint8Array[] {
    const frames: Uint8Array[] = [];
    let at = 0;
    while (at < chunk.length) {
      const target = this.#payload ?? this.#header;
      const part = chunk.subarray(at, at + target.length - this.#filled);
      target.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled < target.length) break;
      this.#filled = 0;
      const whole = this.#payload ?? this.#begin();
      if (whole === undefined) continue;
      this.#payload = undefined;
      frames.push(whole);
    }
    return frames;
  }

  /** Called when the header is complete. Returns an empty frame at once, since no byte will follow for it. */
  #begin(): Uint8Array | undefined {
    const size = new DataView(this.#header.buffer).getUint32(0);
    if (size > this.#limit) {
      throw new CryonetError('frame_too_large', `a frame of ${size} bytes; the limit is ${this.#limit}`);
    }
    this.#payload = new Uint8Array(size);
    return size === 0 ? this.#payload : undefined;
  }
}
