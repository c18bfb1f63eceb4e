/** What a bench is told on the command line. */
export interface BenchOptions {
  readonly rows: number;
  /** Name the functions that cost most in this process. */
  readonly profile: boolean;
}
