/**
 * The sync rules of the big tests, over the tables of `schema.ts`, and five users whose claims make them see different
 * parts. `oracle.ts` says the same in SQL, by hand.
 */

export const RULES = `bucket_definitions:
  everyone:
    data:
      - SELECT CAST(id AS text) AS id, name, plan FROM orgs
      - SELECT * FROM ticker
  mine:
    parameters: SELECT request.user_id() AS user_id
    data:
      - SELECT * FROM notes WHERE owner_id = bucket.user_id
      - SELECT CAST(id AS text) AS id, title, status, urgent, priority, due, estimate FROM tasks WHERE owner_id = bucket.user_id AND status = 'open'
      - SELECT * FROM settings WHERE owner_id = bucket.user_id
      - SELECT id, name, email FROM users WHERE id = bucket.user_id
  org:
    parameters: SELECT org_id FROM memberships WHERE user_id = request.user_id()
    data:
      - SELECT CAST(id AS text) AS id, user_id, role FROM memberships WHERE org_id = bucket.org_id
      - SELECT id, name, meta, budget, started_at AS begun FROM projects WHERE org_id = bucket.org_id
      - SELECT CAST(id AS text) AS id, owner_id, kind, payload, value, at FROM events WHERE org_id = bucket.org_id
      - SELECT * FROM documents WHERE org_id = bucket.org_id
      - SELECT id, seq, value AS reading, at FROM readings WHERE org_id = bucket.org_id
  region:
    parameters: SELECT request.jwt() ->> 'region' AS region
    data:
      - SELECT id, name, created_at FROM users AS people WHERE region = bucket.region
`;

export interface TestUser {
  readonly sub: string;
  readonly claims: Readonly<Record<string, string>>;
}

/** In seeded order: ordinary, without a region, in many orgs, another ordinary one, and one that the source never saw. */
export const TEST_USERS: readonly TestUser[] = [
  { sub: 'u1', claims: { region: 'eu' } },
  { sub: 'u2', claims: {} },
  { sub: 'u3', claims: { region: 'us' } },
  { sub: 'u4', claims: { region: 'nowhere' } },
  { sub: "stranger's", claims: { region: 'asia' } },
];
