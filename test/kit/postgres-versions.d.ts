declare const RELEASES: {
  readonly 15: '15.18.0-beta.17';
  readonly 16: '16.14.0-beta.17';
  readonly 17: '17.10.0-beta.17';
  readonly 18: '18.4.0-beta.17';
};
export type PostgresMajor = keyof typeof RELEASES;
export declare const POSTGRES_MAJORS: readonly PostgresMajor[];
/**
 * The directory of a version's programs.
 * @throws if the version is not there and cannot be fetched
 */
export declare function postgresPrograms(major: PostgresMajor): Promise<string>;
/** From `SLUICE_TEST_POSTGRES`; null if it is not set. */
export declare function requestedMajor(): PostgresMajor | null;
export {};
//# sourceMappingURL=postgres-versions.d.ts.map
