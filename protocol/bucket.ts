/** A token bucket: it starts full, is refilled steadily, and never holds more than `burst`. */
export interface Bucket {
  readonly burst: number;
  readonly perSecond: number;
  level: number;
  /** Milliseconds at which `level` was right. */
  at: number;
}

export function newBucket(burst: number, perSecond: number): Bucket {
  return { burst, perSecond, level: burst, at: Number.NEGATIVE_INFINITY };
}

/** Refills the bucket and returns its level. `now` in milliseconds, steady. */
export function fill(bucket: Bucket, now: number): number {
  bucket.level = Math.min(bucket.burst, bucket.level + ((now - bucket.at) / 1000) * bucket.perSecond);
  bucket.at = now;
  return bucket.level;
}

/** Takes `amount` and returns true; where there is less than that, takes nothing and returns false. */
export function take(bucket: Bucket, amount: number, now: number): boolean {
  if (fill(bucket, now) < amount) return false;
  bucket.level -= amount;
  return true;
}
