/** Values while they are being taken, by figure, then by subject; one for each round, undefined where a take failed. */

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly takes: number;
}

export class Results {
  readonly #values = new Map<string, Map<string, (number | undefined)[]>>();

  record(key: string, subject: string, round: number, value: number): void {
    const bySubject = this.#values.get(key) ?? new Map<string, (number | undefined)[]>();
    this.#values.set(key, bySubject);
    const values = bySubject.get(subject) ?? [];
    bySubject.set(subject, values);
    values[round] = value;
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  subjects(key: string): string[] {
    return [...(this.#values.get(key)?.keys() ?? [])];
  }

  summary(key: string, subject: string): Summary | undefined {
    const sorted = this.#of(key, subject)
      .filter((value) => value !== undefined)
      .sort((a, b) => a - b);
    if (sorted.length === 0) return undefined;
    const middle = (sorted.length - 1) / 2;
    const median = (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
    return { median, min: sorted[0]!, max: sorted.at(-1)!, takes: sorted.length };
  }

  /** Records as `key` of `subject` the values of one figure over those of another, each a key and a subject. They are taken
   *  within each round: what else the machine did falls on both. */
  divide(key: string, subject: string, over: [string, string], under: [string, string]): void {
    const divisors = this.#of(...under);
    for (const [round, value] of this.#of(...over).entries()) {
      const divisor = divisors[round];
      if (value !== undefined && divisor) this.record(key, subject, round, value / divisor);
    }
  }

  toJSON(): object {
    return Object.fromEntries(
      [...this.#values].map(([key, bySubject]) => [key, Object.fromEntries(bySubject)]),
    );
  }

  #of(key: string, subject: string): (number | undefined)[] {
    return this.#values.get(key)?.get(subject) ?? [];
  }
}
