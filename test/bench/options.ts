/** What a bench is told on the command line. */
export interface BenchOptions {
  readonly rows: number;
  /** Name the functions that cost most in this process. */
  readonly profile: boolean;
  /** Processes that copy beside the one that is measured. */
  readonly copiers: number;
}
