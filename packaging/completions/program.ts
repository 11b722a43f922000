/** What a shell completes of one program. */

interface CompletedValue {
  readonly placeholder: string;
  readonly choices?: readonly string[];
  readonly kind?: 'file' | 'folder';
}

export interface CompletedOption {
  /** With its dashes. */
  readonly long: string;
  readonly short?: string;
  readonly help: string;
  readonly repeatable: boolean;
  /** None for a switch. */
  readonly value: CompletedValue | undefined;
}

export interface Completed {
  readonly name: string;
  readonly help: string;
  readonly options: readonly CompletedOption[];
  readonly commands: readonly (Completed & { readonly words: readonly string[] })[];
}
