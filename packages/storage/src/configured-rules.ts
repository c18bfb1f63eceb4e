/**
 * What the configuration of each replicator said of the rules when it last started. Who starts with an unchanged file
 * deploys nothing over rules that came since: its file is the older one.
 */
export interface ConfiguredRules {
  /** Of the replicator; the same at every start. */
  readonly process: string;
  /** Of the text of its rules. */
  readonly hash: string;
}

/** Names of containers are new every time: the oldest ones are forgotten. */
const PROCESSES_MAX = 64;

/** @param hash null if the configuration names no rules (any more) */
export function configuredAfter(
  known: readonly ConfiguredRules[],
  { process, hash }: { readonly process: string; readonly hash: string | null },
): readonly ConfiguredRules[] {
  const others = known.filter((each) => each.process !== process);
  return hash === null ? others : [...others, { process, hash }].slice(-PROCESSES_MAX);
}
